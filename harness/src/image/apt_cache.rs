//! What apt has answered, kept: to ask it costs the download of an index.
//!
//! What is in the cache by an answer of a day is used. What is missing will be fetched, and the archive has the versions of
//! now: an answer of hours ago may name some that it has no more. Offline, the last answer holds.

use crate::cache::{Cache, ContentKey, PlanName, Size};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How old an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// A day: for what may be in the cache.
    Day,
    /// Minutes: for what will be fetched.
    ToFetch,
    /// The archive is asked.
    Now,
    /// Any age: for what an archive is asked that did not answer a moment ago.
    Any,
}

impl CachePolicy {
    /// What a user asks for, who may want the archive to be asked whatever is kept.
    pub(crate) fn asked_for(refresh: bool) -> Self {
        if refresh { Self::Now } else { Self::Day }
    }

    fn longest(self) -> Duration {
        match self {
            Self::Day => Duration::from_hours(24),
            Self::ToFetch => Duration::from_mins(10),
            Self::Now => Duration::ZERO,
            Self::Any => Duration::MAX,
        }
    }
}

/// The place of the answer to one question.
#[derive(Debug)]
pub(crate) struct Answer {
    file: PathBuf,
}

impl Answer {
    /// To the question for these packages of a suite; `kind` tells apart what was asked about them.
    pub(crate) fn to(cache: &Cache, suite: &str, packages: &[String], kind: &str) -> Self {
        let question = [suite.as_bytes()].into_iter().chain(packages.iter().map(String::as_bytes));
        let name = PlanName::new(&ContentKey::of(question), kind);
        Self { file: cache.building().join(name.to_string()) }
    }

    /// The last one, however old it is.
    pub(crate) fn last<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&std::fs::read(&self.file).ok()?).ok()
    }

    /// One that is no older than it may be: the last one, or what `ask` answers, which is kept. If nobody answers, the last
    /// one after all, and `old` is told.
    pub(crate) fn get<T: DeserializeOwned + Serialize, E: From<io::Error>>(
        &self,
        freshness: CachePolicy,
        ask: impl FnOnce() -> Result<T, E>,
        old: impl FnOnce(),
    ) -> Result<T, E> {
        if self.is_of(freshness)
            && let Some(last) = self.last()
        {
            return Ok(last);
        }
        match ask() {
            Ok(answer) => {
                self.keep(&serde_json::to_vec_pretty(&answer).map_err(io::Error::from)?)?;
                Ok(answer)
            }
            Err(error) => self.last().ok_or(error).inspect(|_| old()),
        }
    }

    fn is_of(&self, freshness: CachePolicy) -> bool {
        let written = self.file.metadata().and_then(|data| data.modified());
        written.ok().and_then(|time| time.elapsed().ok()).is_some_and(|age| age < freshness.longest())
    }

    /// An answer that was written halfway would be read as none; one that is moved is whole.
    fn keep(&self, text: &[u8]) -> io::Result<()> {
        let new = self.file.with_extension(format!("json-{:012x}", rand::random::<u64>() >> 16));
        fs_err::write(&new, text)?;
        fs_err::rename(&new, &self.file).inspect_err(|_| drop(fs_err::remove_file(&new)))
    }
}

/// Forgets the plans that were asked for before `before`, so that the next build asks again, and says which files went.
pub fn forget_plans(cache: &Cache, before: SystemTime) -> io::Result<Vec<(PathBuf, Size)>> {
    let mut forgotten = Vec::new();
    for entry in fs_err::read_dir(cache.building())? {
        let entry = entry?;
        let is_plan = entry.file_name().to_string_lossy().starts_with("plan-") && entry.file_type()?.is_file();
        let data = entry.metadata()?;
        if is_plan && data.modified()? <= before {
            fs_err::remove_file(entry.path())?;
            forgotten.push((entry.path(), Size::bytes(data.len())));
        }
    }
    Ok(forgotten)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// An answer kept for so long, and asked for again.
    struct Kept {
        answer: Answer,
        _directory: tempfile::TempDir,
    }

    impl Kept {
        fn since(age: Duration) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let cache = Cache::at(directory.path().join("cache")).unwrap();
            let answer = Answer::to(&cache, "suite", &[], "image");
            answer.keep(b"\"kept\"").unwrap();
            let file = std::fs::File::open(&answer.file).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
            Self { answer, _directory: directory }
        }

        fn get(&self, freshness: CachePolicy) -> String {
            self.answer.get::<String, io::Error>(freshness, || Ok("asked".into()), || {}).unwrap()
        }
    }

    #[rstest::rstest]
    #[case::of_the_day(CachePolicy::Day, 20 * 60, "kept")]
    #[case::of_yesterday(CachePolicy::Day, 25 * 60, "asked")]
    #[case::to_fetch_soon(CachePolicy::ToFetch, 2, "kept")]
    #[case::to_fetch_later(CachePolicy::ToFetch, 20, "asked")]
    #[case::now(CachePolicy::Now, 0, "asked")]
    #[case::any(CachePolicy::Any, 100 * 60, "kept")]
    fn an_answer_gets_old(#[case] freshness: CachePolicy, #[case] minutes: u64, #[case] expected: &str) {
        let kept = Kept::since(Duration::from_mins(minutes));
        assert_eq!(kept.get(freshness), expected);
        assert_eq!(kept.answer.last::<String>().as_deref(), Some(expected), "the last answer is what is kept");
    }

    #[test]
    fn an_answer_of_the_future_is_asked_for_again() {
        let kept = Kept::since(Duration::ZERO);
        let file = std::fs::File::open(&kept.answer.file).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_hours(1)).unwrap();
        assert_eq!(kept.get(CachePolicy::Day), "asked");
    }

    #[test]
    fn without_an_answer_the_last_one_holds() {
        let kept = Kept::since(Duration::from_hours(100));
        let told = Cell::new(false);
        let ask = || Err(io::Error::other("nobody there"));
        assert_eq!(kept.answer.get::<String, _>(CachePolicy::Day, ask, || told.set(true)).unwrap(), "kept");
        assert!(told.get());
        std::fs::remove_file(&kept.answer.file).unwrap();
        let error = kept.answer.get::<String, _>(CachePolicy::Day, ask, || panic!("there is none")).unwrap_err();
        assert_eq!(error.to_string(), "nobody there");
    }

    #[test]
    fn only_answers_are_forgotten_and_only_old_ones() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache")).unwrap();
        let [old, new] = ["old", "new"].map(|suite| Answer::to(&cache, suite, &[], "image"));
        for answer in [&old, &new] {
            answer.keep(b"\"kept\"").unwrap();
        }
        let long_ago = SystemTime::now() - Duration::from_hours(48);
        std::fs::File::open(&old.file).unwrap().set_modified(long_ago).unwrap();
        std::fs::write(cache.building().join("notes"), "x").unwrap();
        let forgotten = forget_plans(&cache, SystemTime::now() - Duration::from_hours(24)).unwrap();
        assert_eq!(forgotten.len(), 1);
        assert_eq!((old.last::<String>(), new.last::<String>()), (None, Some("kept".into())));
        assert!(cache.building().join("notes").exists());
    }
}
