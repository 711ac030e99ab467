//! Writer of rpms with rpmbuild, from the same model: for what the `rpm` crate cannot say, and to be compared with.

use super::error::ReleaseError;
use super::package::{Content, File, Package, Scriptlet};
use super::write::VENDOR;
use crate::image::run_tool;
use crate::predict::entry::{Algorithm, Care};
use std::collections::HashMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Writes a package to a file, with its intermediate files in `workspace`.
pub(super) fn write(package: &Package, target: &Path, workspace: &Path) -> Result<(), ReleaseError> {
    let own = tempfile::Builder::new().prefix("rpmbuild-").tempdir_in(workspace)?;
    let root = own.path().join("root");
    lay_out(package, &root)?;
    let spec = own.path().join("package.spec");
    fs_err::write(&spec, text(package))?;
    let out = own.path().join("out");
    let macros: [(&str, String); 10] = [
        ("_topdir", own.path().display().to_string()),
        ("_rpmdir", out.display().to_string()),
        ("_rpmfilename", "package.rpm".into()),
        ("_tmppath", own.path().display().to_string()),
        ("_build_id_links", "none".into()),
        ("__spec_install_post", "%{nil}".into()),
        ("debug_package", "%{nil}".into()),
        ("_binary_payload", "w1.zstdio".into()),
        ("_binary_filedigest_algorithm", if package.digests == Algorithm::Md5 { "1" } else { "8" }.into()),
        ("_buildhost", VENDOR.into()),
    ];
    let mut arguments = vec!["-bb".to_owned(), "--quiet".into(), "--noclean".into()];
    arguments.push(format!("--buildroot={}", root.display()));
    arguments.push(format!("--target={}", if package.noarch { "noarch" } else { "x86_64" }));
    for (name, value) in macros {
        arguments.extend(["--define".to_owned(), format!("{name} {value}")]);
    }
    arguments.push(spec.display().to_string());
    run_tool("rpmbuild", arguments, &package.name, workspace, &mut |_| {})?;
    fs_err::rename(out.join("package.rpm"), target)?;
    Ok(())
}

/// Puts the files where rpmbuild collects them. Owners and modes are in the spec.
fn lay_out(package: &Package, root: &Path) -> Result<(), ReleaseError> {
    let place = |path: &str| root.join(path.trim_start_matches('/'));
    fs_err::create_dir_all(root)?;
    for (path, file) in &package.files {
        let place = place(path);
        fs_err::create_dir_all(if matches!(file.content, Content::Directory) {
            &place
        } else {
            place.parent().unwrap_or(root)
        })?;
    }
    let mut sets: HashMap<&str, PathBuf> = HashMap::new();
    for (path, file) in &package.files {
        let known = file.hard_link.as_deref().and_then(|set| sets.get(set));
        match (&file.content, known) {
            (Content::Directory, _) => {}
            (Content::Link(target), _) => symlink(target, place(path))?,
            (Content::File(_), Some(first)) => fs_err::hard_link(first, place(path))?,
            (Content::File(bytes), None) => {
                sets.extend(file.hard_link.as_deref().map(|set| (set, place(path))));
                fs_err::write(place(path), bytes.as_slice())?;
                fs_err::set_permissions(place(path), std::fs::Permissions::from_mode(0o600))?;
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(file.modified.into());
                fs_err::File::options().write(true).open(place(path))?.set_modified(time)?;
            }
        }
    }
    Ok(())
}

/// The spec file.
fn text(package: &Package) -> String {
    let mut spec = String::new();
    let mut line = |text: &str| {
        spec.push_str(text);
        spec.push('\n');
    };
    let escaped = |text: &str| text.replace('%', "%%");
    line(&format!("Name: {}", package.name));
    if let Some(epoch) = package.evr.epoch {
        line(&format!("Epoch: {epoch}"));
    }
    line(&format!("Version: {}\nRelease: {}", package.evr.version, package.evr.release));
    line(&format!("Summary: {}\nGroup: {}", escaped(&package.summary), package.section));
    line(&format!("License: see the package's origin\nVendor: {VENDOR}\nAutoReqProv: no"));
    let relations = &package.relations;
    for (tag, needs) in [
        ("Requires", &relations.requires),
        ("Requires(pre)", &relations.requires_before),
        ("Provides", &relations.provides),
        ("Conflicts", &relations.conflicts),
        ("Obsoletes", &relations.obsoletes),
    ] {
        // `<lua>` is what the other writer's packages ask for; rpmbuild's ask for no interpreter of rpm, and may not name it.
        for need in needs.iter().filter(|need| !need.name.starts_with('<')) {
            line(&format!("{tag}: {need}"));
        }
    }
    line(&format!("%description\n{}", escaped(&package.summary)));
    let scriptlets = &package.scriptlets;
    for (section, scriptlet) in
        [("%post", &scriptlets.post), ("%preun", &scriptlets.preun), ("%posttrans", &scriptlets.posttrans)]
    {
        if let Some(Scriptlet { interpreter, text }) = scriptlet {
            line(&format!("{section} -p {interpreter}\n{}", escaped(text)));
        }
    }
    line("%files");
    for (path, file) in &package.files {
        line(&listed(path, file));
    }
    spec
}

/// A line of `%files`.
fn listed(path: &str, file: &File) -> String {
    let care = match file.care {
        Care::None => "",
        Care::Config => "%config ",
        Care::NoReplace => "%config(noreplace) ",
    };
    let (kind, mode) = match file.content {
        Content::Directory => ("%dir ", format!("{:04o}", file.mode)),
        Content::Link(_) => ("", "-".to_owned()),
        Content::File(_) => ("", format!("{:04o}", file.mode)),
    };
    format!("{care}{kind}%attr({mode},{},{}) {}", file.owner, file.group, quoted(path))
}

/// A path as `%files` takes it. Within quotes rpmbuild finds a name with blanks or brackets as it stands, if no other file
/// matches it as a pattern.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('%', "%%"))
}
