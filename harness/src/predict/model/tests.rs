//! Small systems and repositories, and what is said of them.

use super::*;
use crate::predict::dump::Installed;
use crate::predict::entry::{Algorithm, Digest};
use crate::predict::plan::Extent;
use crate::predict::scriptlet::{Kind, Scriptlet};

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
    System { rpm: "RPM version 4.11.2".into(), packages, disk, ..System::default() }
}

fn forecast(system: &System, packages: Vec<Coming>) -> UpgradePrediction {
    let repository = Repository { packages };
    let plan = Plan::new(system, &repository, Extent::Repository);
    predict(system, &repository, &plan)
}

fn lines(forecast: &UpgradePrediction) -> Vec<String> {
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
    let relation = |name| crate::predict::repository::any(name);
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

fn scriptlet(kind: Kind, text: &str) -> Scriptlet {
    Scriptlet { kind, program: None, text: text.into() }
}

/// What is said of `/etc/pam.d/imap`, a changed `%config` file that the new package has below `/usr/lib`, with these scriptlets.
fn with_scriptlets(scripts: Vec<Scriptlet>) -> UpgradePrediction {
    let mut system = system(vec![installed("cyrus-imapd", &[("/etc/pam.d/imap", CONFIG)])]);
    system.disk.insert("/etc/pam.d".into(), OnDisk::Directory);
    let coming = Coming { scripts, ..coming("cyrus-imapd", &[("/usr/lib/pam.d/imap", PLAIN)]) };
    forecast(&system, vec![coming])
}

const LOOP: &str =
    "for i in pam.d/imap ; do\n  test -f /etc/${i}.rpmsave && mv -v /etc/${i}.rpmsave /etc/${i} ||:\ndone";

#[rstest::rstest]
#[case::nothing(Kind::PostTrans, "ldconfig", Fate::RemovedWithRpmsave)]
#[case::loop_(Kind::PostTrans, LOOP, Fate::Restored)]
#[case::literal(
    Kind::PostTrans,
    "test -f /etc/pam.d/imap.rpmsave && mv /etc/pam.d/imap.rpmsave /etc/pam.d/imap",
    Fate::Restored
)]
#[case::before_the_file_is_set_aside(Kind::Post, LOOP, Fate::RemovedWithRpmsave)]
#[case::copied(
    Kind::PostTrans,
    "f=/etc/pam.d/imap\ns=\"${f}.rpmsave\"\nif [ -f \"$s\" ] && [ ! -e \"$f\" ] && [ ! -L \"$f\" ]; then\n cp -p -- \"$s\" \"$f\" || :\nfi",
    Fate::Restored
)]
#[case::copy_is_deleted(Kind::PostTrans, "rm -f /etc/pam.d/*.rpmsave", Fate::DeletedWithoutBackup)]
#[case::moved_elsewhere(Kind::PostTrans, "mv /etc/pam.d/imap.rpmsave /etc/pam.d/imap.old", Fate::Moved)]
#[case::edited(Kind::PostTrans, "mv /etc/pam.d/imap.rpmsave /etc/pam.d/imap\nsed -i s/a/b/ /etc/pam.d/*", Fate::Edited)]
#[case::depends(
    Kind::PostTrans,
    "if grep -q x /etc/pam.d/imap.rpmsave; then mv /etc/pam.d/imap.rpmsave /etc/pam.d/imap; fi",
    Fate::Unknown
)]
#[case::fails(Kind::Pre, "test -f /etc/nothing && mv /etc/nothing /etc/else", Fate::Unknown)]
#[case::a_trigger_may_run(Kind::Trigger, "rm -f /etc/pam.d/imap", Fate::Unknown)]
fn what_scriptlets_do_is_part_of_the_answer(#[case] kind: Kind, #[case] text: &str, #[case] expected: Fate) {
    let forecast = with_scriptlets(vec![scriptlet(kind, text)]);
    let file = forecast.files.iter().find(|file| file.path == "/etc/pam.d/imap").unwrap();
    assert_eq!(file.fate, expected, "{}", file.why);
    assert_eq!(forecast.alarms().count(), usize::from(expected != Fate::Restored));
}

#[rstest::rstest]
#[case::by_the_new_one_only(None, Fate::OverwrittenWithoutBackup)]
#[case::by_both(Some((Kind::Post, "echo x > /etc/made")), Fate::Rewritten)]
#[case::in_the_end(Some((Kind::PostTrans, "echo x > /etc/made")), Fate::Rewritten)]
#[case::at_the_first_installation_only(
    Some((Kind::Post, "if [ \"$1\" = 1 ]; then echo x > /etc/made; fi")),
    Fate::OverwrittenWithoutBackup
)]
#[case::at_upgrades_only(
    Some((Kind::Post, "if [ \"$1\" -gt 1 ]; then echo x > /etc/made; fi")),
    Fate::OverwrittenWithoutBackup
)]
#[case::when_it_goes(Some((Kind::PreUn, "echo x > /etc/made")), Fate::OverwrittenWithoutBackup)]
#[case::another_file(Some((Kind::Post, "echo x > /etc/other")), Fate::OverwrittenWithoutBackup)]
fn a_file_that_scriptlets_write_is_theirs(#[case] before: Option<(Kind, &str)>, #[case] expected: Fate) {
    let mut one = installed("one", &[]);
    one.scripts.extend(before.map(|(kind, text)| scriptlet(kind, text)));
    let mut system = system(vec![one]);
    system.disk.insert("/etc/made".into(), OnDisk::Regular(Vec::new()));
    system.disk.insert("/etc/other".into(), OnDisk::Regular(Vec::new()));
    let coming = Coming { scripts: vec![scriptlet(Kind::Post, "(echo y; echo z) > /etc/made")], ..coming("one", &[]) };
    let forecast = forecast(&system, vec![coming]);
    let file = forecast.files.iter().find(|file| file.path == "/etc/made").unwrap();
    assert_eq!(file.fate, expected, "{}", file.why);
    assert_eq!(forecast.alarms().filter(|file| file.path == "/etc/made").count(), 1);
}

#[test]
fn a_scriptlet_in_lua_makes_what_it_names_unknown() {
    let lua =
        Scriptlet { program: Some("<lua>".into()), ..scriptlet(Kind::PreTrans, "os.remove(\"/etc/pam.d/imap\")") };
    let forecast = with_scriptlets(vec![lua]);
    insta::assert_snapshot!(lines(&forecast).join("\n"), @r#"/etc/pam.d/imap (cyrus-imapd-1-1): unknown: cyrus-imapd-2-1 no longer has it, and it was changed; /usr/lib/pam.d/imap comes instead; %pretrans of cyrus-imapd-2-1 touches it, and what that does cannot be told: os.remove("/etc/pam.d/imap")"#);
    let hints: Vec<_> = forecast.hints.iter().map(|hint| (hint.path.as_deref(), hint.scriptlet.as_str())).collect();
    assert_eq!(hints, [(Some("/etc/pam.d/imap"), "%pretrans")]);
}

#[test]
fn a_line_that_changes_files_which_cannot_be_told_is_a_hint() {
    let forecast = with_scriptlets(vec![scriptlet(Kind::Post, "rm -f \"$SOMEWHERE\"")]);
    let hints: Vec<_> = forecast.hints.iter().map(|hint| (hint.path.as_deref(), hint.line.as_str())).collect();
    assert_eq!(hints, [(None, "rm -f \"$SOMEWHERE\"")]);
}

#[test]
fn an_older_copy_that_is_put_in_place_of_a_newer_file_is_a_loss() {
    let mut system = system(vec![installed("one", &[("/etc/conf", CONFIG | 16)])]);
    let older = OnDisk::Regular(vec![Digest { algorithm: Algorithm::Sha256, hex: digest("older") }]);
    system.disk.insert("/etc/conf.rpmsave".into(), older);
    let restore = "[ ! -f /etc/conf.rpmsave ] || mv /etc/conf.rpmsave /etc/conf";
    let coming =
        Coming { scripts: vec![scriptlet(Kind::PostTrans, restore)], ..coming("one", &[("/etc/conf", CONFIG | 16)]) };
    let forecast = forecast(&system, vec![coming]);
    let said: Vec<_> = forecast.files.iter().map(|file| (file.path.as_str(), file.fate)).collect();
    assert_eq!(said, [("/etc/conf", Fate::OverwrittenWithoutBackup)]);
}

#[test]
fn what_another_package_changes_at_an_unknown_time_is_unknown() {
    let system = system(vec![installed("one", &[("/etc/conf", CONFIG)]), installed("two", &[])]);
    let asks = "[ -e /etc/conf.rpmsave ] && mv /etc/conf.rpmsave /etc/conf";
    let two = Coming { scripts: vec![scriptlet(Kind::Post, asks)], ..coming("two", &[]) };
    let forecast = forecast(&system, vec![coming("one", &[]), two]);
    let said: Vec<_> = forecast.files.iter().map(|file| (file.path.as_str(), file.fate)).collect();
    assert_eq!(said, [("/etc/conf", Fate::Unknown)]);
}

#[test]
fn an_edited_file_of_a_vendor_is_lost_or_shadowed() {
    let covered = vec!["/etc".into(), "/usr/etc".into(), "/usr/lib/pam.d".into()];
    let mut system = system(vec![installed("pam", &[("/usr/lib/pam.d/imap", PLAIN), ("/usr/lib/pam.d/smtp", PLAIN)])]);
    system.covered = covered;
    system.disk.insert("/usr/etc/pam.d/own".into(), OnDisk::Regular(Vec::new()));
    let pam = coming("pam", &[("/usr/lib/pam.d/imap", PLAIN), ("/usr/lib/pam.d/own", PLAIN)]);
    let said = lines(&forecast(&system, vec![pam]));
    insta::assert_snapshot!(said.join("\n"), @r"
    /usr/lib/pam.d/smtp (pam-1-1): deleted without backup: pam-2-1 no longer has it, and it was changed but not %config
    /usr/lib/pam.d/imap (pam-1-1): overwritten without backup: it was changed, and neither pam-1-1 nor pam-2-1 marks it %config
    /usr/etc/pam.d/own (pam-2-1): kept, but another file is read: /usr/lib/pam.d/own comes, and is read in its place
    ");
}

#[test]
fn a_file_in_a_directory_that_no_package_has_any_more_is_left_behind() {
    let directory = FileEntry::from_tags(0, 0o040_755, Algorithm::Sha256, "", "");
    let mut one = installed("one", &[]);
    one.files.push(("/etc/one.d".into(), directory.clone()));
    one.files.push(("/etc/two.d".into(), directory.clone()));
    let mut system = system(vec![one]);
    for path in ["/etc/one.d/own", "/etc/two.d/own"] {
        system.disk.insert(path.into(), OnDisk::Regular(Vec::new()));
    }
    let mut new = coming("one", &[]);
    new.files.push(("/etc/two.d".into(), directory));
    let said: Vec<_> = forecast(&system, vec![new]).files.into_iter().map(|file| (file.path, file.fate)).collect();
    assert_eq!(said, [("/etc/one.d/own".to_owned(), Fate::LeftBehind)]);
}
