//! The doors of the harness through which bytes come that nobody here wrote, for `fuzz/`.
//!
//! Each takes anything, and must neither panic, hang nor take much memory. It is compiled for tests and by `cargo fuzz` only;
//! what `fuzz/corpus` holds goes through each door in `cargo test`, too.

use crate::mail::diagnosis::{Evidence, Login, Service, diagnose};
use crate::qcow2::Header;
use crate::{
    cache, distro, drift, etc, image, lab, machine, mail, network, predict, report, scenario, storage, upgrade,
};
use std::path::Path;

/// A door.
pub type Door = fn(&[u8]);

/// All doors, by the name of their target and their corpus.
pub const DOORS: &[(&str, Door)] = &[
    ("scenario", scenario),
    ("package", package),
    ("agent", agent),
    ("imap", imap),
    ("smtp", smtp),
    ("collected", collected),
    ("capture", capture),
    ("inventories", inventories),
    ("storage", storage),
    ("etc", etc),
    ("report", report),
    ("archive", archive),
];

/// Files that a person writes: scenarios, labs, recipes. Labs that a scenario names are the project's own.
pub fn scenario(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    scenario::fuzz(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios"), text);
    scenario::fuzz_lab(text);
    image::fuzz(text);
}

/// Packages and metadata of a mirror: rpm, deb, repodata. Their first bytes say which they are.
pub fn package(bytes: &[u8]) {
    match bytes.first() {
        Some(b'<') => predict::fuzz_repodata(bytes),
        Some(b'!') => distro::fuzz(bytes),
        _ => predict::fuzz_header(bytes),
    }
}

/// What a guest's agent sends.
pub fn agent(bytes: &[u8]) {
    wait_for(machine::fuzz(bytes));
}

/// What an IMAP server sends.
pub fn imap(bytes: &[u8]) {
    wait_for(mail::fuzz(true, bytes));
}

/// What an SMTP server sends.
pub fn smtp(bytes: &[u8]) {
    wait_for(mail::fuzz(false, bytes));
}

/// What goes through a guest's network cards.
pub fn capture(bytes: &[u8]) {
    network::flows::fuzz(bytes);
}

/// Two inventories of a machine's configuration, and what differs.
pub fn inventories(bytes: &[u8]) {
    let _ = drift::fuzz_two(bytes);
}

/// What the tools of storage print.
pub fn storage(bytes: &[u8]) {
    storage::fuzz(&String::from_utf8_lossy(bytes));
}

/// Somebody's own `/etc`, and what a report may show of it.
pub fn etc(bytes: &[u8]) {
    etc::fuzz(bytes);
}

/// A report that somebody else wrote.
pub fn report(bytes: &[u8]) {
    let _ = report::fuzz(bytes);
}

/// An archive's list, and the disks in it. Their first bytes say which they are.
pub fn archive(bytes: &[u8]) {
    if bytes.starts_with(b"QFI") {
        let _ = Header::parse(bytes, bytes.len() as u64);
    } else {
        let _ = cache::fuzz(bytes);
    }
}

/// What programs in a guest print for us: configuration, evidence, dumps, logs, scriptlets, how much is at rest, a filter's log and counters.
pub fn collected(bytes: &[u8]) {
    drift::fuzz(bytes);
    let text = String::from_utf8_lossy(bytes);
    if let Ok(evidence) = Evidence::read(&text) {
        let login = Login { user: "alice", service: Service::Imap };
        let _ = diagnose(login, &evidence, Some(&evidence)).to_string();
    }
    let _ = predict::System::parse(&text, Path::new("fuzzed.json"));
    let _ = mail::directory::DirectoryLog::read(&text);
    let steps = upgrade::steps(&text).unwrap_or_default();
    let _ = upgrade::transaction(&steps, &text);
    let _ = upgrade::Trouble::of(1, &steps, &text);
    predict::fuzz_scriptlet(&text);
    lab::fuzz(&text);
    let _ = network::flows::filter_counter::read(&text, "refused");
    text.lines().for_each(|line| drop(network::flows::filter_log::Logged::read(line, "refused ")));
}

fn wait_for(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime without threads needs nothing").block_on(work);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    /// A change of some bytes: where, how many go, and what comes.
    type Edit = (prop::sample::Index, u8, Vec<u8>);

    fn edits() -> impl Strategy<Value = Vec<Edit>> {
        let known = [
            &b"\0"[..],
            b"\xff\xff\xff\xff",
            b"\x7f\xff\xff\xff",
            b"\x80",
            b"\n",
            b"\r\n",
            b"(((((",
            b"{99999999999}",
            b"\"",
            b"\\",
            b"-",
            b" ",
            b"18446744073709551615",
            b"4294967295",
            b"[[",
            b"]",
            b"${v}",
            b"=",
            b"\x1b[2J",
            b"\xe2\x80\xae",
        ];
        let bytes = prop_oneof![
            3 => Just(Vec::new()),
            4 => prop::sample::select(known.to_vec()).prop_map(<[u8]>::to_vec),
            2 => prop::collection::vec(any::<u8>(), 1..9),
        ];
        prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(0), 0..9_u8, any::<u8>()], bytes), 1..6)
    }

    proptest! {
        /// What is near to something real goes deepest. Many more with `PROPTEST_CASES=100000`.
        #[test]
        fn what_was_changed_a_little_goes_through(which in any::<prop::sample::Index>(), edits in edits()) {
            for (name, door) in DOORS {
                let mut bytes = which.get(&corpus(name)).clone();
                for (place, gone, come) in &edits {
                    let start = place.index(bytes.len() + 1);
                    let end = (start + usize::from(*gone)).min(bytes.len());
                    bytes.splice(start..end, come.iter().copied());
                }
                door(&bytes);
            }
        }
    }

    fn corpus(name: &str) -> Vec<Vec<u8>> {
        static ALL: LazyLock<BTreeMap<&str, Vec<Vec<u8>>>> = LazyLock::new(|| {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
            let read = |(name, _): &(&'static str, Door)| {
                let files = fs_err::read_dir(corpus.join(name)).unwrap();
                let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
                paths.sort();
                (*name, paths.iter().map(|path| fs_err::read(path).unwrap()).collect())
            };
            DOORS.iter().map(read).collect()
        });
        ALL[name].clone()
    }

    /// A corpus that no reader understands tests little.
    #[rstest::rstest]
    #[case("report", crate::report::fuzz)]
    #[case("inventories", crate::drift::fuzz_two)]
    #[case("archive", crate::cache::fuzz)]
    fn something_real_is_in_the_corpus(#[case] name: &str, #[case] reads: fn(&[u8]) -> bool) {
        assert!(corpus(name).iter().any(|bytes| reads(bytes)));
    }

    /// What was ever found stays found.
    #[test]
    fn the_corpus_goes_through_all_doors() {
        for (name, door) in DOORS {
            let files = corpus(name);
            assert!(!files.is_empty(), "{name} has no corpus");
            for bytes in &files {
                door(bytes);
            }
        }
    }
}
