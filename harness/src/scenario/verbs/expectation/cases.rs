//! Every key of every expectation, once met and once not. The keys are read from the types: one without a case fails the test.

use super::*;
use crate::drift::{Digest, Drift, Entry, Inventory, Manager, What};
use crate::guest_path::GuestPath;
use crate::mail::delivery::DeliveryOutcome;
use crate::mail::diagnosis::RootCause;
use crate::mail::imap::Uid;
use crate::mail::mailbox::{Held, Holding};
use crate::mail::message::MessageId;
use crate::mail::tls::Distrust;
use crate::mail::{Finding, Outcome};
use crate::scenario::format::schema;
use crate::scenario::format::step::key_tests::{forms, kind};
use crate::scenario::format::step::{
    Clock, Deliver, Diagnose, DriftSince, Egress, FileState, ImapLogin, Inbox, LdapRequests, Load, MessageState,
    NoSecretInProcesses, PredictUpgrade, Reboot, Run, SmtpLogin, SshLogin, Storage, Units, Upgrade, VerifyPrediction,
};
use crate::storage::{Found, Layer};
use std::collections::BTreeSet;

/// A key, as `run.status`, with an observation that meets it and one that does not.
struct Case {
    key: &'static str,
    met: Judged,
    unmet: Judged,
}

/// What a verb is told, from the lines of its table.
pub(crate) fn read<T: serde::de::DeserializeOwned>(keys: &str) -> T {
    toml::from_str(keys).unwrap_or_else(|error| panic!("{error}\n{keys}"))
}

/// A case of a verb: what it is told, and what a met and an unmet expectation see.
fn case<T: serde::de::DeserializeOwned>(key: &'static str, told: &str, judge: impl Fn(&T, bool) -> Judged) -> Case {
    let expectation: T = read(told);
    Case { key, met: judge(&expectation, true), unmet: judge(&expectation, false) }
}

/// Keys that expect nothing: whom a step is about, what is done, how, and what later steps know it by.
const NO_EXPECTATIONS: &[&str] = &[
    "account.create",
    "verify-prediction.except",
    "capture.limit",
    "capture.name",
    "checkpoint.keep",
    "checkpoint.name",
    "clock.advance",
    "deliver.clock",
    "deliver.from",
    "deliver.tls",
    "deliver.wait",
    "diagnose.service",
    "diagnose.since",
    "diagnose.user",
    "drift.below",
    "drift.since",
    "egress.since",
    "fio.label",
    "fio.disk",
    "fio.each",
    "fio.format",
    "file.path",
    "flows.since",
    "predict.name",
    "predict.repository",
    "imap.clock",
    "imap.mechanism",
    "imap.password",
    "imap.security",
    "imap.user",
    "impair.delay",
    "impair.duplicate_percent",
    "impair.jitter",
    "impair.loss_percent",
    "inbox.flag",
    "inbox.of",
    "inbox.remember",
    "inventory.name",
    "backup.paths",
    "load.bytes",
    "load.label",
    "load.from",
    "load.lasts",
    "load.per-minute",
    "load.senders",
    "mailboxes.create",
    "mark.name",
    "mark.units",
    "message.id",
    "message.of",
    "delete.paths",
    "ldap-requests.from",
    "ldap-requests.since",
    "restore.paths",
    "rewind.keep_test_state",
    "rewind.to",
    "run.command",
    "run.password_of",
    "service.reload",
    "service.restart",
    "service.start",
    "service.stop",
    "smtp.clock",
    "smtp.mechanism",
    "smtp.password",
    "smtp.security",
    "smtp.user",
    "spool.of",
    "spool.put",
    "spool.take",
    "ssh.user",
    "service-state.packages",
    "service-state.pam",
    "service-state.postconf",
    "service-state.units",
    "storage.make",
    "storage.passphrase_of",
    "upgrade.deliver_to",
    "upgrade.driver",
    "upgrade.repository",
    "write.content",
    "write.mode",
    "write.path",
];

/// Every key of every verb.
fn keys() -> BTreeSet<String> {
    let verbs = forms(&schema::STEP["properties"]["do"]).into_iter().flat_map(|verb| {
        assert_eq!(kind(verb), "object", "{verb}");
        verb["properties"].as_object().unwrap().iter().collect::<Vec<_>>()
    });
    let keys = verbs.flat_map(|(verb, told)| {
        let told = forms(told);
        let names = told.into_iter().filter_map(|form| form["properties"].as_object()).flat_map(|names| names.keys());
        names.map(|name| format!("{verb}.{name}")).collect::<Vec<_>>()
    });
    keys.collect()
}

#[test]
fn every_key_is_tried_or_no_expectation() {
    let tried: BTreeSet<_> = cases().iter().map(|case| case.key.to_owned()).collect();
    let none: BTreeSet<_> = NO_EXPECTATIONS.iter().map(|key| (*key).to_owned()).collect();
    let both: Vec<_> = tried.intersection(&none).collect();
    assert!(both.is_empty(), "keys that are tried, and said to expect nothing: {both:?}");
    let known: BTreeSet<_> = tried.union(&none).cloned().collect();
    let all = keys();
    let missing: Vec<_> = all.difference(&known).collect();
    assert!(missing.is_empty(), "keys without a case in which they are not met: {missing:?}");
    let gone: Vec<_> = known.difference(&all).collect();
    assert!(gone.is_empty(), "keys that no verb has: {gone:?}");
}

#[test]
fn every_key_that_is_not_met_fails_its_step() {
    for Case { key, met, unmet } in cases() {
        assert!(met.is_met(), "{key}: {met:?}");
        let (_, name) = key.split_once('.').unwrap();
        assert!(!unmet.is_met(), "{key} is met by all: {unmet:?}");
        assert!(unmet.unmet.iter().all(|unmet| unmet.key == name), "{key}: {unmet:?}");
        assert!(unmet.instead().is_some(), "{key}");
    }
}

/// The configuration of the mail server: files with their contents; one that ends with `!` has another mode.
pub(crate) fn inventory(files: &[(&str, &str)]) -> Inventory {
    let entry = |content: &str| Entry {
        what: What::File { size: 1, sha256: Digest::of(content.trim_end_matches('!').as_bytes()), text: None },
        mode: if content.ends_with('!') { "0600" } else { "0644" }.into(),
        user: "root".into(),
        group: "root".into(),
        claims: Vec::new(),
    };
    Inventory {
        machine: "mail".into(),
        at: jiff::Timestamp::UNIX_EPOCH,
        manager: Manager::None,
        packages: [].into(),
        files: files.iter().map(|(path, content)| (GuestPath::from(*path), entry(content))).collect(),
    }
}

/// What changed between two sets of files, each with its content; one that ends with `!` has another mode.
pub(crate) fn drift_between(before: &[(&str, &str)], after: &[(&str, &str)]) -> (Drift, Inventory) {
    let (before, after) = (inventory(before), inventory(after));
    (Drift::between(&before, &after, None), after)
}

fn refused(met: bool) -> Finding {
    if met { Finding::of(Outcome::Refused, "no such user") } else { Finding::accepted() }
}

fn refused_saying(met: bool) -> Finding {
    Finding::of(Outcome::Refused, if met { "no such user" } else { "another reason" })
}

fn expired(met: bool) -> Finding {
    Finding::untrusted([if met { Distrust::Expired } else { Distrust::OtherName }], "words")
}

fn holding(ids: &[&str]) -> Holding {
    let held = |id: &&str| Held { id: Some((*id).to_owned()), flags: [].into(), digest: (*id).to_owned() };
    let messages = ids.iter().zip(1..).map(|(id, uid)| (Uid(uid), held(id))).collect();
    Holding { uid_validity: Some(1), messages }
}

fn id(text: &str) -> MessageId {
    serde_json::from_value(text.into()).unwrap()
}

fn copies(met: bool) -> Copies {
    let (inbox, elsewhere) = if met { ("/a/1.", None) } else { ("/a/1.", Some("/b/1.".to_owned())) };
    Copies { inbox: vec![inbox.into()], elsewhere: elsewhere.into_iter().collect(), queued: Vec::new() }
}

/// All cases.
fn cases() -> Vec<Case> {
    [logins(), commands(), mail(), configuration(), machines(), packets()].into_iter().flatten().collect()
}

fn logins() -> Vec<Case> {
    let imap = |key, told, found: fn(bool) -> Finding| {
        case(key, &format!("user = 'a'\n{told}"), |it: &ImapLogin, met| it.expected().judge(&found(met)))
    };
    let smtp = |key, told, found: fn(bool) -> Finding| {
        case(key, &format!("user = 'a'\n{told}"), |it: &SmtpLogin, met| it.expected().judge(&found(met)))
    };
    vec![
        imap("imap.expect", "expect = 'refused'", refused),
        imap("imap.reason", "expect = 'refused'\nreason = 'no such'", refused_saying),
        imap("imap.because", "expect = 'untrusted'\nbecause = 'expired'", expired),
        smtp("smtp.expect", "expect = 'refused'", refused),
        smtp("smtp.reason", "expect = 'refused'\nreason = 'no such'", refused_saying),
        smtp("smtp.because", "expect = 'untrusted'\nbecause = 'expired'", expired),
        case("ssh.expect", "user = 'a'\nexpect = 'refused'", |it: &SshLogin, met| it.expected().judge(&refused(met))),
        case("ldap-requests.expect", "from = 'mail'\nsince = 'x'\nexpect = 'none'", |it: &LdapRequests, met| {
            it.judge(usize::from(!met))
        }),
        case(
            "diagnose.expect",
            "user = 'a'\nservice = 'imap'\nsince = 'x'\nexpect = 'nothing'",
            |it: &Diagnose, met| it.judge(if met { RootCause::Nothing } else { RootCause::SssdDown }, |_| true, ""),
        ),
        case(
            "diagnose.also",
            "user = 'a'\nservice = 'imap'\nsince = 'x'\nexpect = 'sssd-down'\nalso = ['user-denied']",
            |it: &Diagnose, met| it.judge(RootCause::SssdDown, |_| met, ""),
        ),
        case("no-secret-in-processes.password_of", "password_of = 'a'", |it: &NoSecretInProcesses, met| {
            it.judge(&if met { Vec::new() } else { vec!["in the cmdline of process 1".to_owned()] }, 3)
        }),
    ]
}

fn commands() -> Vec<Case> {
    let run = |key, told, right: &'static str, wrong: &'static str| {
        case(key, told, |it: &Run, met| {
            it.judge(Printed { status: 0, stdout: if met { right } else { wrong }, stderr: "" })
        })
    };
    let file = |key, told, right: FileSeen, wrong: FileSeen| {
        case(key, told, |it: &FileState, met| it.judge(if met { &right } else { &wrong }))
    };
    let text = |text: &str| FileSeen::Present(text.into());
    vec![
        case("run.status", "command = 'x'\nstatus = 3", |it: &Run, met| {
            it.judge(Printed { status: if met { 3 } else { 0 }, stdout: "", stderr: "" })
        }),
        run("run.output_contains", "command = 'x'\noutput_contains = ['a']", "a", "b"),
        run("run.output_lacks", "command = 'x'\noutput_lacks = ['a']", "b", "a"),
        run("run.output_is", "command = 'x'\noutput_is = '2'", "2", "12"),
        run("run.output_lines", "command = 'x'\noutput_lines = [{ is = '2' }]", "1\n2", "12"),
        file("file.expect", "path = '/a'\nexpect = 'absent'", FileSeen::Absent, text("")),
        file("file.contains", "path = '/a'\ncontains = ['a']", text("a"), text("b")),
        file("file.lacks", "path = '/a'\nlacks = ['a']", text("b"), text("a")),
        case("units.active", "active = ['a', 'b']", |it: &Units, met| {
            let state = if met { "active" } else { "failed" };
            it.judge(&UnitsSeen {
                states: [("a".into(), "active".into()), ("b".into(), state.into())].into(),
                runs: None,
            })
        }),
        case("units.same_since", "active = ['a']\nsame_since = 'x'", |it: &Units, met| {
            let run = |run: &str| [("a".to_owned(), run.to_owned())].into();
            let runs = Some((run("1"), run(if met { "1" } else { "2" })));
            it.judge(&UnitsSeen { states: [("a".into(), "active".into())].into(), runs })
        }),
    ]
}

fn mail() -> Vec<Case> {
    let deliver = |told, right: Sighting, wrong: Sighting| {
        case("deliver.seen", told, |it: &Deliver, met| it.judge(if met { &right } else { &wrong }))
    };
    let handed = |key, told, found: fn(bool) -> (Finding, usize)| {
        case(key, &format!("to = 'a'\n{told}"), |it: &Deliver, met| {
            let (finding, refused) = found(met);
            it.judge_submission(&finding, refused).unwrap_or_else(|| Judged::new("accepted"))
        })
    };
    let message = |key, told, right: (Copies, &'static str), wrong: (Copies, &'static str)| {
        case(key, told, |it: &MessageState, met| {
            let (copies, text) = if met { &right } else { &wrong };
            it.judge(copies, Some(text))
        })
    };
    let inbox = |key, told, right: Vec<&'static str>, wrong: Vec<&'static str>| {
        case(key, told, |it: &Inbox, met| {
            let (before, now) = (holding(&["<old@x>"]), holding(if met { &right } else { &wrong }));
            it.judge(InboxSeen {
                before: Some(&before),
                now: &now,
                own: &[id("<new@x>")],
                of_others: &[&id("<other@x>")],
            })
        })
    };
    let load = |key, right: Bulk, wrong: Bulk| {
        case(key, "to = ['a']\nlasts = '1 s'", |it: &Load, met| {
            it.judge(if met { right } else { wrong }, String::new())
        })
    };
    let paced = |right: Bulk, wrong: Bulk| {
        case("load.at-least", "to = ['a']\nlasts = '1 s'\nat-least = 2", |it: &Load, met| {
            it.judge(if met { right } else { wrong }, String::new())
        })
    };
    let bulk = Bulk { accepted: 2, not_admitted: 0, is_complete: true };
    let arrived = || Sighting::Imap(DeliveryOutcome::Arrived { uid: Uid(1), seconds: 1.0 });
    vec![
        handed("deliver.to", "wait = false", |met| (Finding::accepted(), usize::from(!met))),
        handed("deliver.expect", "wait = false", |met| (refused(!met), 0)),
        handed("deliver.expect", "expect = 'refused'", |met| (refused(met), 0)),
        handed("deliver.reason", "expect = 'refused'\nreason = 'no such'", |met| (refused_saying(met), 0)),
        handed("deliver.because", "expect = 'untrusted'\nbecause = 'expired'", |met| (expired(met), 0)),
        deliver("to = 'a'\nseen = 'spool'", Sighting::Spool(copies(true)), Sighting::Spool(copies(false))),
        deliver("to = 'a'\nseen = 'imap'", arrived(), Sighting::Imap(DeliveryOutcome::NotSeen { detail: "x".into() })),
        deliver("to = 'a'\nseen = 'imap'", arrived(), Sighting::Imap(DeliveryOutcome::Duplicated { uids: vec![] })),
        message("message.expect", "id = 'm@x'\nof = 'a'", (copies(true), ""), (copies(false), "")),
        message(
            "message.expect",
            "id = 'm@x'\nof = 'a'\nexpect = 'absent'",
            (Copies::default(), ""),
            (copies(true), ""),
        ),
        message("message.contains", "id = 'm@x'\nof = 'a'\ncontains = ['a']", (copies(true), "a"), (copies(true), "b")),
        message("message.lacks", "id = 'm@x'\nof = 'a'\nlacks = ['a']", (copies(true), "b"), (copies(true), "a")),
        inbox("inbox.holds", "of = 'a'\nholds = 'x'", vec!["<old@x>", "<new@x>"], vec!["<new@x>"]),
        inbox("inbox.holds", "of = 'a'\nholds = 'x'", vec!["<old@x>", "<new@x>"], vec!["<old@x>"]),
        inbox(
            "inbox.holds",
            "of = 'a'\nholds = 'x'",
            vec!["<old@x>", "<new@x>"],
            vec!["<old@x>", "<new@x>", "<other@x>"],
        ),
        inbox("inbox.each", "of = 'a'\nholds = 'x'", vec!["<old@x>", "<new@x>"], vec!["<old@x>", "<new@x>", "<new@x>"]),
        paced(bulk, Bulk { accepted: 1, ..bulk }),
        load("load.to", bulk, Bulk { accepted: 0, ..bulk }),
        load("load.readers", bulk, Bulk { not_admitted: 1, ..bulk }),
        load("load.expect", bulk, Bulk { is_complete: false, ..bulk }),
    ]
}

fn configuration() -> Vec<Case> {
    let drift = |key, told: &'static str, right: &'static [(&str, &str)], wrong: &'static [(&str, &str)]| {
        case(key, &format!("since = 'x'\n{told}"), |it: &DriftSince, met| {
            let (drift, now) = drift_between(&[("/etc/a", "a"), ("/etc/b", "b")], if met { right } else { wrong });
            it.judge(&drift, &now)
        })
    };
    let both: &[(&str, &str)] = &[("/etc/a", "a"), ("/etc/b", "b")];
    vec![
        drift("drift.removed", "removed = ['/etc/a']", &[("/etc/b", "b")], both),
        drift("drift.removed", "removed = []", both, &[("/etc/b", "b")]),
        drift("drift.changed", "changed = []", both, &[("/etc/a", "z"), ("/etc/b", "b")]),
        drift("drift.attributes", "attributes = []", both, &[("/etc/a", "a!"), ("/etc/b", "b")]),
        drift("drift.added", "added = []", both, &[("/etc/a", "a"), ("/etc/b", "b"), ("/etc/c", "c")]),
        drift("drift.kept", "kept = ['/etc/a']", both, &[("/etc/b", "b")]),
        drift(
            "drift.backups",
            "backups = { '/etc/a' = '/etc/a.rpmsave' }",
            &[("/etc/a", "z"), ("/etc/a.rpmsave", "a"), ("/etc/b", "b")],
            &[("/etc/a", "z"), ("/etc/b", "b")],
        ),
        case("predict.loses", "repository = 'r'\nname = 'f'\nloses = ['/etc/a']", |it: &PredictUpgrade, met| {
            it.judge(2, &if met { BTreeSet::from(["/etc/a"]) } else { BTreeSet::new() })
        }),
        case(
            "verify-prediction.prediction",
            "prediction = \'f\'\nexcept = ['/etc/b']",
            |it: &VerifyPrediction, met| {
                let path = if met { "/etc/b" } else { "/etc/a" };
                it.judge(2, &[FailedPrediction { path: path.into(), words: "otherwise".into() }])
            },
        ),
    ]
}

fn machines() -> Vec<Case> {
    let storage = |key, told: &str, right: Built, wrong: Built| {
        case(key, &format!("layers = []\n{told}"), |it: &Storage, met| it.judge(if met { &right } else { &wrong }))
    };
    let done = |words: &str| Built::Done(words.into());
    let failed = |words: &str| Built::Failed(words.into());
    let layer = |found| compared(&[(Layer::Disks(read("sizes_mib = [1]")), found)]);
    let over = |trouble: Option<&'static str>| Upgraded::Over { status: 0, steps: 1, seconds: 1.0, trouble };
    let upgrade = |key, told: &str, right: (Upgraded<'static>, usize), wrong: (Upgraded<'static>, usize)| {
        case(key, &format!("repository = 'r'\n{told}"), |it: &Upgrade, met| {
            let (ended, accepted) = if met { right } else { wrong };
            it.judge(ended, (accepted, 0))
        })
    };
    let reboot = |key, told, right: Rebooted<'static>, wrong: Rebooted<'static>| {
        case(key, told, |it: &Reboot, met| it.judge("mail", if met { right } else { wrong }))
    };
    vec![
        storage("storage.expect", "", done("built"), failed("no")),
        storage("storage.expect", "expect = 'failed'", failed("no"), done("built")),
        storage("storage.layers", "make = 'compared'", layer(Found::AsPlanned), layer(Found::Resting)),
        storage("storage.room_for", "room_for = '/dev/a'", done("built"), Built::NoRoom("it does not fit".into())),
        storage(
            "storage.output_contains",
            "expect = 'failed'\noutput_contains = ['no room']",
            failed("no room"),
            failed("nothing"),
        ),
        storage(
            "storage.output_contains",
            "make = 'compared'\noutput_contains = ['as planned']",
            done("as planned"),
            done("built"),
        ),
        upgrade("upgrade.expect", "", (over(None), 0), (over(Some("no space")), 0)),
        upgrade("upgrade.expect", "expect = 'failed'", (over(Some("no space")), 0), (over(None), 0)),
        upgrade(
            "upgrade.output_contains",
            "expect = 'failed'\noutput_contains = ['space']",
            (over(Some("no space")), 0),
            (over(Some("no")), 0),
        ),
        upgrade(
            "upgrade.accepted_at_least",
            "deliver_to = 'a'\naccepted_at_least = 2",
            (over(None), 2),
            (over(None), 1),
        ),
        upgrade("upgrade.until_package", "until_package = 5", (Upgraded::UnderWay(5), 0), (over(None), 0)),
        reboot("reboot.expect", "", Rebooted::Back, Rebooted::Away("panic")),
        reboot("reboot.expect", "expect = 'away'", Rebooted::Away("panic"), Rebooted::Back),
        reboot(
            "reboot.output_contains",
            "expect = 'away'\noutput_contains = ['panic']",
            Rebooted::Away("a panic"),
            Rebooted::Away("silence"),
        ),
        case::<Clock>("clock.right_within", "right_within = '5 s'", |clock, met| {
            let Clock::RightWithin(tolerance) = clock else { panic!("{clock:?}") };
            let now = jiff::Timestamp::UNIX_EPOCH;
            let told = if met { now } else { "1970-01-01T00:00:06Z".parse().unwrap() };
            TimeTold { before: now, told, after: now }.judge(*tolerance)
        }),
    ]
}

fn packets() -> Vec<Case> {
    let seen = |change: fn(&mut Contacted)| {
        let mut seen = Contacted::default();
        change(&mut seen);
        seen
    };
    let egress = |key, told: &str, right: Contacted, wrong: Contacted| {
        case(key, &format!("since = 'x'\n{told}"), |it: &Egress, met| it.judge(if met { &right } else { &wrong }))
    };
    let nobody = Contacted::default;
    let stranger = || seen(|seen| seen.strangers = vec!["somebody".into()]);
    let missing = || seen(|seen| seen.missing = vec!["directory".into()]);
    vec![
        egress("egress.only", "only = []", missing(), stranger()),
        egress("egress.exactly", "exactly = []", nobody(), stranger()),
        egress("egress.exactly", "exactly = ['directory']", nobody(), missing()),
        egress("egress.logged", "only = []\nlogged = { on = 'edge', prefix = 'refused ' }", nobody(), {
            seen(|seen| seen.by_log = Some("the log has less".into()))
        }),
        egress("egress.counted", "only = []\ncounted = [{ on = 'edge', comment = 'x', to = ['a/icmp'] }]", nobody(), {
            seen(|seen| seen.by_counters = vec!["it has counted more".into()])
        }),
        egress("egress.full", "only = []\nfull = true", seen(|seen| seen.is_full = true), nobody()),
    ]
}
