//! The doors of the harness through which bytes come that nobody here wrote, for `fuzz/`.
//!
//! Each takes anything, and must neither panic, hang nor take much memory. It is compiled for tests and by `cargo fuzz` only;
//! what `fuzz/corpus` holds goes through each door in `cargo test`, too.

use crate::mail::diagnosis::{Evidence, Login, Service, diagnose};
use crate::{drift, image, machine, mail, packages, release, scenario};
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
        Some(b'<') => packages::fuzz_repodata(bytes),
        Some(b'!') => release::fuzz(bytes),
        _ => packages::fuzz_header(bytes),
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

/// What programs in a guest print for us: configuration, evidence, dumps, logs.
pub fn collected(bytes: &[u8]) {
    drift::fuzz(bytes);
    let text = String::from_utf8_lossy(bytes);
    if let Ok(evidence) = Evidence::read(&text) {
        let login = Login { user: "alice", service: Service::Imap };
        let _ = diagnose(login, &evidence, Some(&evidence)).to_string();
    }
    let _ = packages::System::parse(&text, Path::new("fuzzed.json"));
    let _ = mail::directory::DirectoryLog::read(&text);
    let steps = packages::upgrade::steps(&text).unwrap_or_default();
    let _ = packages::upgrade::transaction(&steps, &text);
    let _ = packages::upgrade::Trouble::of(1, &steps, &text);
}

fn wait_for(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime without threads needs nothing").block_on(work);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was ever found stays found.
    #[test]
    fn the_corpus_goes_through_all_doors() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (name, door) in DOORS {
            let files: Vec<_> = fs_err::read_dir(corpus.join(name)).unwrap().collect();
            assert!(!files.is_empty(), "{name} has no corpus");
            for file in files {
                door(&fs_err::read(file.unwrap().path()).unwrap());
            }
        }
    }
}
