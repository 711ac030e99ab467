//! Small systems and repositories, and what is said of them.

use super::super::dump::Installed;
use super::super::entry::{Algorithm, Digest};
use super::super::plan::Extent;
use super::*;

const FILE: u32 = 0o100_644;
const PLAIN: u32 = 0;
const CONFIG: u32 = 1;

fn digest(content: &str) -> String {
    format!("digest of {content}")
}

fn entry(flags: u32, content: &str) -> FileEntry {
    FileEntry::from_tags(flags, FILE, Algorithm::Sha256, &digest(content), "")
}

fn installed(name: &str, files: &[(&str, u32)]) -> Installed {
    Installed {
        name: name.into(),
        evr: "1-1".into(),
        arch: "x86_64".into(),
        files: files.iter().map(|(path, flags)| ((*path).to_owned(), entry(*flags, "old"))).collect(),
        scripts: Vec::new(),
    }
}

fn coming(name: &str, files: &[(&str, u32)]) -> Coming {
    Coming {
        name: name.into(),
        evr: "2-1".into(),
        arch: "x86_64".into(),
        files: files.iter().map(|(path, flags)| ((*path).to_owned(), entry(*flags, "new"))).collect(),
        provides: vec![name.into()],
        ..Coming::default()
    }
}

/// A system with these packages, on which the administrator has changed every file.
fn system(packages: Vec<Installed>) -> System {
    let changed = OnDisk::Regular(vec![Digest { algorithm: Algorithm::Sha256, hex: digest("admin") }]);
    let paths = packages.iter().flat_map(|package| package.files.iter().map(|(path, _)| path.clone()));
    let disk = paths.map(|path| (path, changed.clone())).collect();
    System { rpm: "RPM version 4.11.2".into(), packages, disk }
}

fn forecast(system: &System, packages: Vec<Coming>) -> Forecast {
    let repository = Repository { packages };
    let plan = Plan::new(system, &repository, Extent::Repository);
    predict(system, &repository, &plan)
}

fn lines(forecast: &Forecast) -> Vec<String> {
    forecast.files.iter().map(|file| format!("{} ({}): {}: {}", file.path, file.package, file.fate, file.why)).collect()
}

#[test]
fn the_upgrade_that_lost_the_logins() {
    let system = system(vec![
        installed("cyrus-imapd", &[("/etc/pam.d/imap", PLAIN), ("/etc/imapd.conf", CONFIG | 16)]),
        installed("postfix", &[("/etc/pam.d/smtp", PLAIN), ("/etc/postfix/main.cf", CONFIG)]),
    ]);
    let forecast = forecast(
        &system,
        vec![
            coming("cyrus-imapd", &[("/usr/lib/pam.d/imap", PLAIN), ("/etc/imapd.conf", CONFIG | 16)]),
            coming("postfix", &[("/etc/postfix/main.cf", CONFIG)]),
        ],
    );
    insta::assert_snapshot!(lines(&forecast).join("\n"), @r"
    /etc/pam.d/imap (cyrus-imapd-1-1): deleted without backup: cyrus-imapd-2-1 no longer has it, and it was changed but not %config; /usr/lib/pam.d/imap comes instead
    /etc/pam.d/smtp (postfix-1-1): deleted without backup: postfix-2-1 no longer has it, and it was changed but not %config
    /etc/postfix/main.cf (postfix-1-1): replaced, old one in .rpmsave: it was changed, and postfix-2-1 does not say noreplace
    /etc/imapd.conf (cyrus-imapd-1-1): kept, new one in .rpmnew: it was changed, and cyrus-imapd-2-1 says noreplace
    ");
    assert_eq!(forecast.losses().count(), 2);
    assert_eq!((forecast.changing, forecast.new, forecast.staying), (2, 0, 0));
}

#[test]
fn a_package_that_the_repository_does_not_have_stays_with_its_files() {
    let system = system(vec![installed("orphan", &[("/etc/orphan", PLAIN)])]);
    let forecast = forecast(&system, vec![coming("other", &[])]);
    assert!(forecast.files.is_empty());
    assert_eq!((forecast.changing, forecast.new, forecast.staying), (0, 0, 1));
}

#[test]
fn a_package_is_obsoleted_or_driven_out() {
    let relation = |name| super::super::repository::any(name);
    let system = system(vec![
        installed("old-name", &[("/etc/a", PLAIN)]),
        installed("base", &[]),
        installed("enemy", &[("/etc/b", CONFIG)]),
    ]);
    let heir = Coming { obsoletes: vec![relation("old-name")], ..coming("new-name", &[]) };
    let base = Coming { conflicts: vec![relation("enemy")], ..coming("base", &[]) };
    insta::assert_snapshot!(lines(&forecast(&system, vec![base, heir])).join("\n"), @r"
    /etc/a (old-name-1-1): deleted without backup: old-name-1-1 goes, as new-name-2-1 obsoletes it, and it was changed but not %config
    /etc/b (enemy-1-1): removed, old one in .rpmsave: enemy-1-1 goes, as base-2-1 conflicts with it, and it was changed
    ");
}

#[test]
fn a_file_moves_to_a_package_that_is_required() {
    let system = system(vec![installed("whole", &[("/etc/whole.conf", CONFIG | 16)])]);
    let part = coming("part", &[("/etc/whole.conf", CONFIG | 16)]);
    let whole = Coming { requires: vec!["part".into()], ..coming("whole", &[]) };
    let said = lines(&forecast(&system, vec![whole, part]));
    assert_eq!(
        said,
        ["/etc/whole.conf (whole-1-1): kept, new one in .rpmnew: it was changed, and part-2-1 says noreplace"]
    );
    // Nobody asks for it: it does not come.
    let said = lines(&forecast(&system, vec![coming("whole", &[]), coming("part", &[("/etc/whole.conf", CONFIG)])]));
    assert_eq!(
        said,
        ["/etc/whole.conf (whole-1-1): removed, old one in .rpmsave: whole-2-1 no longer has it, and it was changed"]
    );
}

#[test]
fn a_file_of_two_packages_stays_with_the_one_that_stays() {
    let system = system(vec![installed("one", &[("/etc/shared", PLAIN)]), installed("two", &[("/etc/shared", PLAIN)])]);
    let said = lines(&forecast(&system, vec![coming("one", &[])]));
    assert_eq!(said, ["/etc/shared (one-1-1): kept: two-1-1 has it too, and stays"]);
}

#[test]
fn an_older_copy_is_lost_when_a_new_one_is_made() {
    let mut system = system(vec![installed("one", &[("/etc/conf", CONFIG)])]);
    system.disk.insert("/etc/conf.rpmsave".into(), OnDisk::Regular(Vec::new()));
    let forecast = forecast(&system, vec![coming("one", &[])]);
    let losses: Vec<&str> = forecast.losses().map(|file| file.path.as_str()).collect();
    assert_eq!(losses, ["/etc/conf.rpmsave"]);
}

#[test]
fn an_unowned_file_gives_way_to_a_coming_one() {
    let mut system = system(vec![installed("one", &[])]);
    system.disk.insert("/etc/mine".into(), OnDisk::Regular(Vec::new()));
    let said = lines(&forecast(&system, vec![coming("one", &[("/etc/mine", PLAIN), ("/usr/share/other", CONFIG)])]));
    assert_eq!(
        said,
        [
            "/etc/mine (one-2-1): overwritten without backup: no installed package has it, and one-2-1 brings it without %config"
        ]
    );
}

#[test]
fn scriptlets_of_what_goes_and_comes_are_searched() {
    let mut going = installed("one", &[("/etc/conf", CONFIG)]);
    going.scripts.push(("%postun".into(), "rm -f /etc/conf".into()));
    let system = system(vec![going]);
    let coming =
        Coming { scripts: vec![("%post", "mv /etc/conf /etc/new".into())], ..coming("one", &[("/etc/conf", CONFIG)]) };
    let hints = forecast(&system, vec![coming]).hints;
    let said: Vec<_> = hints.iter().map(|hint| (hint.package.as_str(), hint.scriptlet.as_str())).collect();
    assert_eq!(said, [("one-1-1", "%postun"), ("one-2-1", "%post")]);
}
