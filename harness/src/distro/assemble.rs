//! From a Debian package and a distributor's changes to what goes into the rpm.

use super::deb::{self, Deb};
use super::error::ReleaseError;
use super::overlay::{Change, Changes, Digests, NewContent};
use super::package::{Content, File, Need, Package, Relations, Scriptlet, Scriptlets};
use super::tree::{Attributes, Harvest};
use super::version::Evr;
use crate::image::LEFT_OUT;
use crate::predict::entry::{Algorithm, Care};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Where the packages of a release keep what their scriptlets need.
pub(super) const HOME: &str = "/usr/lib/leap-like";

/// The package with the helper that runs maintainer scripts.
pub(super) const HELPER: &str = "leap-like-scripts";

/// What the tree of base-files leads to: kernel file systems and what is empty at every boot. They are mounted over, and rpm
/// would try to give the mounted ones its own modes.
const NOT_ON_DISK: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];

/// Links into /usr that base-files has in both releases, whoever made them in Debian's.
const LINKS_INTO_USR: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Packages without which /bin/sh does not run. A scriptlet for the shell in one of them would need what needs them.
const BELOW_THE_SHELL: [&str; 2] = ["libc6", "libgcc-s1"];

/// What a package is made of.
pub(super) struct Ingredients<'a> {
    pub(super) deb: &'a Deb,
    pub(super) file: &'a Path,
    pub(super) relations: Relations,
    pub(super) changes: &'a Changes,
    pub(super) harvest: &'a Harvest,
    /// Whether maintainer scripts go along.
    pub(super) with_scripts: bool,
    /// For messages.
    pub(super) overlay: &'a str,
}

/// Whether a path is packaged: what the images leave out is left out here.
fn is_wanted(path: &str) -> bool {
    !LEFT_OUT.iter().any(|pattern| path.starts_with(pattern.trim_end_matches('*')))
}

/// Makes the package.
pub(super) fn package(of: Ingredients) -> Result<Package, ReleaseError> {
    let control = &of.deb.control;
    let name = control.package.clone();
    let mut files = deb::files(of.file, is_wanted)?;
    files.retain(|path, file| !(deb::is_merged(path) && matches!(file.content, Content::Directory)));
    if name == "base-files" {
        files.retain(|path, _| !NOT_ON_DISK.contains(&path.as_str()));
        for link in LINKS_INTO_USR {
            let content = Content::Link(format!("usr/{link}"));
            files.insert(format!("/{link}"), File { content, mode: 0o777, ..File::default() });
        }
    }
    for path in &of.deb.conffiles {
        if let Some(file) = files.get_mut(path) {
            file.care = Care::NoReplace;
        }
    }
    let harvested = of.harvest.of(&name);
    for (path, file) in &mut files {
        if let Some(attributes) = harvested.attributes.get(path) {
            attributes.apply(file);
        }
    }
    for (path, made) in of.harvest.bytecode(&name)? {
        files.insert(path, made);
    }
    let mut relations = of.relations;
    let mut scriptlets = Scriptlets::default();
    add_version(&mut files, &control.package, &control.version);
    if of.with_scripts {
        add_scripts(of.deb, &mut files, &mut scriptlets);
    }
    if scriptlets != Scriptlets::default() {
        relations.requires_before.push(Need::any(HELPER));
    }
    let mut package = Package {
        evr: Evr::of_debian(&control.version),
        noarch: control.all_architectures,
        summary: if control.summary.is_empty() { name.clone() } else { control.summary.clone() },
        section: control.section.clone(),
        digests: Algorithm::Sha256,
        name,
        relations,
        files,
        scriptlets,
    };
    change(&mut package, of.changes, of.overlay)?;
    Ok(package)
}

/// A package that no Debian package stands behind.
pub(super) fn created(
    name: &str,
    summary: &str,
    version: &str,
    changes: &Changes,
    overlay: &str,
) -> Result<Package, ReleaseError> {
    let mut package = Package {
        name: name.to_owned(),
        evr: Evr { epoch: None, version: version.to_owned(), release: "1".into() },
        noarch: true,
        summary: summary.to_owned(),
        section: "system".into(),
        relations: Relations::default(),
        files: BTreeMap::new(),
        scriptlets: Scriptlets::default(),
        digests: Algorithm::Sha256,
    };
    change(&mut package, changes, overlay)?;
    Ok(package)
}

/// An empty file whose name tells which version of a Debian package is installed. While a package is upgraded there are
/// two of them, so its scriptlet learns the version before without asking rpm's database.
fn add_version(files: &mut BTreeMap<String, File>, package: &str, version: &str) {
    // As old as its newest file, so that of two marks the newer one is that of the newer version.
    let modified = files.values().map(|file| file.modified).max().unwrap_or_default();
    let content = Content::File(Arc::default());
    let mark = File { content, mode: 0o644, modified, ..File::default() };
    files.insert(format!("{HOME}/versions/{package}={version}"), mark);
}

/// Maintainer scripts, as files, and scriptlets that call them.
///
/// preinst is left out: in both releases it only moves conffiles and diversions of dpkg, or stops what comes back after a
/// restart. So is postrm: it forgets what dpkg calls purged, which rpm does not know.
fn add_scripts(deb: &Deb, files: &mut BTreeMap<String, File>, scriptlets: &mut Scriptlets) {
    let package = &deb.control.package;
    if BELOW_THE_SHELL.contains(&package.as_str()) {
        return;
    }
    for (kind, text) in &deb.scripts {
        if kind == "postrm" {
            continue;
        }
        let mode = if kind == "templates" { 0o644 } else { 0o755 };
        // Nobody is asked anything: see confmodule.
        let text = text.replace("/usr/share/debconf/confmodule", "/usr/lib/leap-like/confmodule");
        let content = Content::File(Arc::new(text.into_bytes()));
        files.insert(format!("{HOME}/scripts/{package}.{kind}"), File { content, mode, ..File::default() });
    }
    if deb.scripts.contains_key("postinst") {
        let version = &deb.control.version;
        scriptlets.post = Some(Scriptlet::shell(format!(". {HOME}/maintain\nconfigure {package} '{version}' \"$1\"")));
    }
    if deb.scripts.contains_key("prerm") {
        // In the interpreter of rpm itself: an upgrade, where there is nothing to do, starts no shell for it.
        scriptlets.preun = Some(Scriptlet::lua(format!(
            "if tonumber(arg[2]) == 0 then rpm.execute('/bin/sh', '-c', '. {HOME}/maintain; remove {package}') end"
        )));
    }
}

/// Changes a package as a distributor wants it.
fn change(package: &mut Package, changes: &Changes, overlay: &str) -> Result<(), ReleaseError> {
    let unknown = |what: &str| ReleaseError::Overlay { overlay: overlay.to_owned(), what: what.to_owned() };
    for path in &changes.drop {
        // A path that an overlay before had added is not there, and need not be.
        if package.files.remove(path).is_none() && !changes.withdrawn.contains(path) {
            return Err(unknown(path));
        }
    }
    for (path, change) in &changes.files {
        let file = changed(package, path, change).ok_or_else(|| unknown(path))?;
        package.files.insert(path.clone(), file);
    }
    package.relations.provides.extend(changes.provides.iter().map(|name| Need::any(name)));
    package.relations.requires.extend(changes.requires.iter().map(|name| Need::any(name)));
    if changes.digests == Some(Digests::Md5) {
        package.digests = Algorithm::Md5;
    }
    for (scriptlet, added) in
        [(&mut package.scriptlets.post, &changes.post), (&mut package.scriptlets.posttrans, &changes.posttrans)]
    {
        if let Some(added) = added {
            let before = scriptlet.take().map(|before| format!("{}\n", before.text)).unwrap_or_default();
            *scriptlet = Some(Scriptlet::shell(format!("{before}{added}")));
        }
    }
    Ok(())
}

/// The file as it is after a change; none, if there is nothing to change.
fn changed(package: &Package, path: &str, change: &Change) -> Option<File> {
    let old = package.files.get(path);
    let mut file = old.cloned().unwrap_or_default();
    match &change.content {
        None => drop(old?),
        Some(NewContent::Text(text)) => {
            file.content = Content::File(Arc::new(text.clone().into_bytes()));
            file.mode = old.map_or(0o644, |old| old.mode);
        }
        Some(NewContent::Like(other)) => {
            file.content = package.files.get(other)?.content.clone();
            file.mode = old.map_or(0o644, |old| old.mode);
        }
        Some(NewContent::Link(target)) => {
            file.content = Content::Link(target.clone());
            file.mode = 0o777;
        }
        Some(NewContent::Directory) => file.content = Content::Directory,
    }
    file.hard_link = None;
    file.mode = change.mode.unwrap_or(file.mode);
    file.care = change.care.unwrap_or(file.care);
    Some(file)
}

impl Attributes {
    fn apply(&self, file: &mut File) {
        match (&mut file.content, &self.link) {
            // A directory of the package that a script has made a link, as /var/run: through the link, rpm would give the
            // directory that it leads to the mode of this one.
            (Content::Directory, Some(target)) => {
                file.content = Content::Link(target.clone());
                file.mode = 0o777;
            }
            (Content::Link(_), _) | (_, Some(_)) => {}
            _ => file.mode = self.mode,
        }
        file.owner.clone_from(&self.owner);
        file.group.clone_from(&self.group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn text(text: &str) -> Content {
        Content::File(Arc::new(text.as_bytes().to_vec()))
    }

    #[rstest]
    #[case::a_directory_with_a_new_mode(Content::Directory, 0o755, None, "directory 750 cyrus")]
    #[case::a_directory_that_became_a_link(Content::Directory, 0o755, Some("/run"), "link to /run 777 cyrus")]
    #[case::a_file(text("x"), 0o755, None, "file 750 cyrus")]
    #[case::a_file_that_became_a_link(text("x"), 0o644, Some("y"), "file 644 cyrus")]
    #[case::a_link(Content::Link("a".into()), 0o777, Some("a"), "link to a 777 cyrus")]
    fn a_path_is_as_scripts_have_left_it(
        #[case] content: Content,
        #[case] mode: u16,
        #[case] link: Option<&str>,
        #[case] expected: &str,
    ) {
        let mut file = File { content, mode, ..File::default() };
        let link = link.map(ToOwned::to_owned);
        Attributes { mode: 0o750, owner: "cyrus".into(), group: "mail".into(), link }.apply(&mut file);
        let kind = match &file.content {
            Content::File(_) => "file".to_owned(),
            Content::Link(target) => format!("link to {target}"),
            Content::Directory => "directory".to_owned(),
        };
        assert_eq!(format!("{kind} {:o} {}", file.mode, file.owner), expected);
    }

    fn sample() -> Package {
        let mut package = created("a", "a", "1", &Changes::default(), "o").unwrap();
        package.files.insert("/etc/a".into(), File { content: text("a"), mode: 0o600, ..File::default() });
        package
    }

    fn changes(files: &[(&str, Change)], drop: &[&str]) -> Changes {
        let files = files.iter().map(|(path, change)| ((*path).to_owned(), change.clone())).collect();
        Changes { files, drop: drop.iter().map(ToString::to_string).collect(), ..Changes::default() }
    }

    #[test]
    fn a_distributor_adds_changes_and_drops() {
        let mut package = sample();
        let like = Change { content: Some(NewContent::Like("/etc/a".into())), care: Some(Care::NoReplace), mode: None };
        let flagged = Change { content: None, care: Some(Care::Config), mode: None };
        change(&mut package, &changes(&[("/etc/a", flagged), ("/etc/b", like)], &[]), "o").unwrap();
        let (a, b) = (&package.files["/etc/a"], &package.files["/etc/b"]);
        assert_eq!((a.care, a.mode), (Care::Config, 0o600));
        assert!(matches!(&b.content, Content::File(bytes) if bytes.as_slice() == b"a"));
        assert_eq!((b.care, b.mode), (Care::NoReplace, 0o644));
        change(&mut package, &changes(&[], &["/etc/b"]), "o").unwrap();
        assert!(!package.files.contains_key("/etc/b"));
    }

    #[rstest]
    #[case::drops_nothing(changes(&[], &["/etc/none"]))]
    #[case::changes_nothing(changes(&[("/etc/none", Change { content: None, care: Some(Care::Config), mode: None })], &[]))]
    #[case::is_like_nothing(changes(
        &[("/etc/b", Change { content: Some(NewContent::Like("/etc/none".into())), care: None, mode: None })], &[]
    ))]
    fn an_overlay_that_does_not_fit_is_named(#[case] changes: Changes) {
        let error = change(&mut sample(), &changes, "opensuse").unwrap_err().to_string();
        assert!(error.contains("images/overlays/opensuse.toml") && error.contains("/etc/"), "{error}");
    }

    fn scripted(package: &str, scripts: &[&str]) -> (BTreeMap<String, File>, Scriptlets) {
        let control = format!("Package: {package}\nVersion: 1:2-3\nArchitecture: amd64\n");
        let deb = Deb {
            stanza: String::new(),
            control: crate::distro::control::Control::parse(&control).unwrap(),
            scripts: scripts
                .iter()
                .map(|name| ((*name).to_owned(), ". /usr/share/debconf/confmodule\n".into()))
                .collect(),
            conffiles: std::collections::BTreeSet::new(),
        };
        let (mut files, mut scriptlets) = (BTreeMap::new(), Scriptlets::default());
        add_scripts(&deb, &mut files, &mut scriptlets);
        (files, scriptlets)
    }

    #[test]
    fn maintainer_scripts_go_along_and_ask_nobody() {
        let (files, scriptlets) = scripted("postfix", &["postinst", "postrm", "prerm"]);
        let paths: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/usr/lib/leap-like/scripts/postfix.postinst", "/usr/lib/leap-like/scripts/postfix.prerm"]);
        let postinst = &files["/usr/lib/leap-like/scripts/postfix.postinst"];
        assert!(
            matches!(&postinst.content, Content::File(bytes) if bytes.starts_with(b". /usr/lib/leap-like/confmodule"))
        );
        assert_eq!(postinst.mode, 0o755);
        assert_eq!(scriptlets.post.unwrap().text, ". /usr/lib/leap-like/maintain\nconfigure postfix '1:2-3' \"$1\"");
        assert_eq!(scriptlets.preun.unwrap().interpreter, "<lua>");
    }

    /// A scriptlet for the shell would need dash, which needs the C library.
    #[test]
    fn the_c_library_has_no_scriptlets() {
        let (files, scriptlets) = scripted("libc6", &["postinst", "prerm"]);
        assert!(files.is_empty() && scriptlets == Scriptlets::default());
    }
}
