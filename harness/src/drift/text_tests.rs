use super::super::claim::Claim;
use super::super::inventory::{Digest, Inventory, Manager, What};
use super::*;
use crate::guest_path::GuestPath;
use crate::predict::Transaction;
use crate::predict::transaction::{TransactionStep, Verb};
use std::collections::BTreeMap;

fn file(text: &str, claims: &[(&str, &str)]) -> Entry {
    let what = What::File { size: text.len() as u64, sha256: Digest::of(text.as_bytes()), text: Some(text.into()) };
    entry(what, "0644", claims)
}

/// One whose content is not shown.
fn private(content: &str, claims: &[(&str, &str)]) -> Entry {
    let what = What::File { size: content.len() as u64, sha256: Digest::of(content.as_bytes()), text: None };
    entry(what, "0600", claims)
}

fn entry(what: What, mode: &str, claims: &[(&str, &str)]) -> Entry {
    let claims = claims.iter().map(|(package, flags)| Claim::from_words((*package).into(), flags)).collect();
    Entry { what, mode: mode.into(), user: "root".into(), group: "root".into(), claims }
}

fn inventory(day: u8, packages: &[(&str, &str)], files: Vec<(&str, Entry)>) -> Inventory {
    let at = format!("2026-11-{day:02}T10:00:00Z").parse().unwrap();
    Inventory {
        machine: "mail".into(),
        at,
        manager: Manager::Rpm,
        packages: packages.iter().map(|(name, version)| ((*name).into(), (*version).into())).collect(),
        files: files.into_iter().map(|(path, entry)| (path.into(), entry)).collect::<BTreeMap<_, _>>(),
    }
}

const IMAP: &str = "auth sufficient pam_sss.so\nauth required pam_unix.so\n";
const SIEVE: &str = "auth required pam_sss.so\n";

/// A release upgrade, as it was.
fn upgrade() -> Drift {
    let cyrus = |flags| [("cyrus-imapd", flags)];
    let before = inventory(
        1,
        &[("cyrus-imapd", "2.4.18"), ("postfix", "3.2.0"), ("sssd", "1.13.4"), ("old", "1")],
        vec![
            ("/etc/pam.d", entry(What::Directory, "0755", &[])),
            ("/etc/pam.d/imap", file(IMAP, &cyrus("0"))),
            ("/etc/pam.d/sieve", file(SIEVE, &cyrus("1"))),
            ("/etc/pam.d/pop", file(SIEVE, &cyrus("1"))),
            ("/etc/imapd.conf", file("a: 1\nb: 2\nc: 3\nd: 4\n", &cyrus("17"))),
            ("/etc/sssd/sssd.conf", private("x", &[("sssd", "17")])),
            ("/etc/postfix/sasl.db", private("s", &[])),
            ("/etc/localtime", entry(What::Link { target: "/usr/share/zoneinfo/UTC".into() }, "0777", &[])),
            ("/etc/same", file("same", &[("postfix", "1")])),
        ],
    );
    let after = inventory(
        2,
        &[("cyrus-imapd", "3.10.2"), ("postfix", "3.10.5"), ("sssd", "1.13.4"), ("fresh", "2")],
        vec![
            ("/etc/pam.d", entry(What::Directory, "0755", &[])),
            ("/etc/pam.d/sieve", file("auth include common\n", &cyrus("1"))),
            ("/etc/pam.d/sieve.rpmsave", file(SIEVE, &[])),
            ("/etc/pam.d/pop.rpmsave", file(SIEVE, &[])),
            ("/etc/imapd.conf", file("a: 1\nb: 2\nc: 3\nd: 4\n", &cyrus("17"))),
            ("/etc/imapd.conf.rpmnew", file("a: 1\n", &[])),
            ("/etc/sssd/sssd.conf", private("y", &[("sssd", "17")])),
            ("/etc/postfix/sasl.db", private("s", &[]).with_mode("0644")),
            ("/etc/localtime", file("zone", &[])),
            ("/etc/same", file("same", &[("fresh", "0")])),
        ],
    );
    let step = |number, package: &str, verb, paths: &[&str]| TransactionStep {
        number,
        package: package.into(),
        verb,
        changed: paths.iter().map(|&path| path.into()).collect(),
    };
    let transaction = Transaction {
        steps: vec![
            step(1, "cyrus-imapd 3.10.2", Verb::Install, &["/etc/pam.d/imap", "/etc/pam.d/sieve", "/etc/pam.d/pop"]),
            step(2, "old 1", Verb::Erase, &[]),
            step(3, "sssd 1.13.4", Verb::Posttrans, &["/etc/sssd/sssd.conf"]),
        ],
    };
    Drift::between(&before, &after, Some(&transaction))
}

impl Entry {
    fn with_mode(self, mode: &str) -> Self {
        Self { mode: mode.into(), ..self }
    }
}

#[test]
fn an_upgrade_as_people_read_it() {
    insta::assert_snapshot!(upgrade().to_string());
}

#[test]
fn an_upgrade_as_programs_read_it() {
    let drift = upgrade();
    insta::assert_json_snapshot!(drift);
    let json = serde_json::to_string(&drift).unwrap();
    assert_eq!(serde_json::from_str::<Drift>(&json).unwrap(), drift);
}

#[test]
fn nothing_is_nothing() {
    let same = inventory(1, &[], vec![("/etc/a", file("a", &[]))]);
    insta::assert_snapshot!(Drift::between(&same, &same, None).to_string(), @"
    Configuration of mail between 2026-11-01T10:00:00Z and 2026-11-01T10:00:00Z:
    nothing changed on its disk.
    ");
}

#[rstest::rstest]
#[case("/etc/pam.d/imap", "removed without a backup")]
#[case("/etc/pam.d/pop", "removed, and left as /etc/pam.d/pop.rpmsave")]
#[case("/etc/pam.d/sieve", "replaced, and the old content left as /etc/pam.d/sieve.rpmsave")]
#[case("/etc/sssd/sssd.conf", "changed, and no copy of the old content is left")]
#[case("/etc/postfix/sasl.db", "given mode 0600 → 0644")]
#[case("/etc/imapd.conf.rpmnew", "left beside /etc/imapd.conf")]
fn each_fate_has_words(#[case] path: &str, #[case] fate: &str) {
    assert_eq!(upgrade().at(&GuestPath::from(path)).unwrap().fate(), fate);
}

#[rstest::rstest]
#[case::the_same(file(IMAP, &[("cyrus-imapd", "0")]), true)]
#[case::of_another_package(file(IMAP, &[("postfix", "0")]), true)]
#[case::other_content(file(SIEVE, &[("cyrus-imapd", "0")]), false)]
#[case::another_mode(Entry { mode: "0600".into(), ..file(IMAP, &[("cyrus-imapd", "0")]) }, false)]
fn drift_is_what_differs_on_the_disk(#[case] now: Entry, #[case] is_empty: bool) {
    let of = |entry| inventory(1, &[], vec![("/etc/pam.d/imap", entry)]);
    let before = of(file(IMAP, &[("cyrus-imapd", "0")]));
    assert_eq!(Drift::between(&before, &of(now), None).is_empty(), is_empty);
}

#[test]
fn what_was_added_tells_its_owner_alone() {
    let after = inventory(1, &[("postfix", "3")], vec![("/etc/new", file(IMAP, &[("postfix", "0")]))]);
    let drift = Drift::between(&inventory(1, &[], vec![]), &after, None);
    assert_eq!(drift.changes[0].ownership(), "postfix 3's");
}
