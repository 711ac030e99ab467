//! A directory of snapshots: `<scenario>/<case>/<step>.snap`, in the form of insta.
//!
//! Source of the form: insta's documentation, "Snapshot Files": YAML between two lines of three hyphens, then the content. A
//! file beside it that ends with `.snap.new` is not accepted yet.

use super::{Record, file_name};
use crate::bounded::Comparer;
use std::io;
use std::path::{Path, PathBuf};

/// What is done when something is not as its snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDifference {
    /// It is told.
    Tell,
    /// It is written beside it, for a person to accept.
    Propose,
}

/// The snapshots of all scenarios.
#[derive(Debug, Clone)]
pub struct Snapshots {
    directory: PathBuf,
    on_difference: OnDifference,
}

impl Snapshots {
    /// Those in `directory`.
    #[must_use]
    pub fn new(directory: &Path, on_difference: OnDifference) -> Self {
        Self { directory: directory.to_owned(), on_difference }
    }

    /// The file of a step's snapshot.
    #[must_use]
    pub fn path(&self, scenario: &str, case: &str, step: &str) -> PathBuf {
        self.directory.join(scenario).join(case).join(format!("{}.snap", file_name(step)))
    }

    /// Compares a record with its snapshot. What differs is handed back, unless it was proposed.
    pub fn compare(&self, record: &Record) -> io::Result<Option<String>> {
        let path = self.path(&record.scenario, &record.case, &record.step);
        let proposal = path.with_extension("snap.new");
        let accepted = if path.is_file() { Some(content(&fs_err::read_to_string(&path)?)) } else { None };
        if accepted.as_deref() == Some(record.text.trim_end()) {
            // A proposal of an earlier run is out of date.
            match fs_err::remove_file(&proposal) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => return Ok(None),
            }
        }
        if self.on_difference == OnDifference::Propose {
            fs_err::create_dir_all(path.parent().unwrap_or(&self.directory))?;
            fs_err::write(&proposal, file(record))?;
            return Ok(None);
        }
        Ok(Some(match accepted {
            Some(accepted) => diff(&accepted, record.text.trim_end()),
            None => format!("there is no snapshot {}", path.display()),
        }))
    }
}

/// A snapshot that waits for somebody to accept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The file of the snapshot.
    pub path: PathBuf,
    /// What would change.
    pub diff: String,
}

impl Pending {
    fn proposal(&self) -> PathBuf {
        self.path.with_extension("snap.new")
    }

    /// The proposal takes the snapshot's place.
    pub fn accept(&self) -> io::Result<()> {
        fs_err::rename(self.proposal(), &self.path)
    }

    /// The proposal goes, the snapshot stays.
    pub fn reject(&self) -> io::Result<()> {
        fs_err::remove_file(self.proposal())
    }
}

/// Snapshots below `directory` that wait, by name.
pub fn pending(directory: &Path) -> io::Result<Vec<Pending>> {
    let mut found = Vec::new();
    if !directory.is_dir() {
        return Ok(found);
    }
    for entry in walkdir::WalkDir::new(directory).sort_by_file_name() {
        let entry = entry.map_err(io::Error::from)?;
        let Some(path) = entry.path().to_str().and_then(|path| path.strip_suffix(".new")) else { continue };
        let path = PathBuf::from(path);
        let accepted = if path.is_file() { content(&fs_err::read_to_string(&path)?) } else { String::new() };
        let proposed = content(&fs_err::read_to_string(entry.path())?);
        found.push(Pending { diff: diff(&accepted, &proposed), path });
    }
    Ok(found)
}

fn diff(before: &str, after: &str) -> String {
    // Nothing is no line, and not an empty one.
    let lines = |text: &str| if text.is_empty() { String::new() } else { format!("{text}\n") };
    let (before, after) = (lines(before), lines(after));
    Comparer::default().unified(&before, &after, 2, None).trim_end().to_owned()
}

fn file(record: &Record) -> String {
    let source = format!("scenarios/{}.toml", record.scenario);
    format!(
        "---\nsource: {}\ndescription: {}\n---\n{}\n",
        scalar(&source),
        scalar(&record.step),
        record.text.trim_end()
    )
}

/// A text as YAML, in quotes where insta has them: else accepting a snapshot by `cargo insta` would change its head.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 8] = ["yes", "no", "true", "false", "on", "off", "null", "~"];
    let is_plain = |c: char| !c.is_control() && !":{}[],#`\"'\\".contains(c);
    let begins_plainly = |c: char| !" &*?|-<>=!%@.".contains(c);
    let is_word =
        WORDS.contains(&text.to_lowercase().as_str()) || text.starts_with("0x") || text.parse::<f64>().is_ok();
    if text.starts_with(begins_plainly) && !text.ends_with(' ') && text.chars().all(is_plain) && !is_word {
        return text.to_owned();
    }
    // JSON's texts are YAML's, too.
    serde_json::Value::from(text).to_string()
}

/// What stands behind the head.
fn content(file: &str) -> String {
    let behind =
        file.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")).map_or(file, |(_, content)| content);
    behind.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Record {
        Record {
            scenario: "pam-loss".into(),
            case: "fault".into(),
            step: "alice's login: \"refused\"".into(),
            text: text.into(),
        }
    }

    #[test]
    fn a_proposal_is_accepted_and_then_nothing_differs() {
        let directory = tempfile::tempdir().unwrap();
        let tell = Snapshots::new(directory.path(), OnDifference::Tell);
        let propose = Snapshots::new(directory.path(), OnDifference::Propose);
        assert!(tell.compare(&record("a\nb")).unwrap().unwrap().starts_with("there is no snapshot"));
        assert_eq!(propose.compare(&record("a\nb")).unwrap(), None);
        assert_eq!(pending(directory.path()).unwrap()[0].diff, "@@ -0,0 +1,2 @@\n+a\n+b");
        pending(directory.path()).unwrap()[0].accept().unwrap();
        assert_eq!(tell.compare(&record("a\nb\n")).unwrap(), None);
        let diff = tell.compare(&record("a\nc")).unwrap().unwrap();
        assert!(diff.contains("-b\n+c"), "{diff}");
        propose.compare(&record("a\nc")).unwrap();
        assert_eq!(pending(directory.path()).unwrap()[0].diff, diff);
        // What was proposed and is not so any more goes.
        tell.compare(&record("a\nb")).unwrap();
        assert!(pending(directory.path()).unwrap().is_empty());
    }

    #[rstest::rstest]
    #[case::plain("scenarios/pam-loss.toml", "scenarios/pam-loss.toml")]
    #[case::sentence("alice logs in by IMAP", "alice logs in by IMAP")]
    #[case::comma("mail, and more", "\"mail, and more\"")]
    #[case::apostrophe("alice's login", "\"alice's login\"")]
    #[case::key("key: value", "\"key: value\"")]
    #[case::number("1e3", "\"1e3\"")]
    #[case::word("No", "\"No\"")]
    #[case::nothing("", "\"\"")]
    #[case::dash("- x", "\"- x\"")]
    fn a_head_has_quotes_where_insta_has_them(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(scalar(text), expected);
    }

    #[test]
    fn insta_reads_the_files() {
        let directory = tempfile::tempdir().unwrap();
        let propose = Snapshots::new(directory.path(), OnDifference::Propose);
        let text = "---\nIMAP alice → refused\n\nS: * OK ready";
        propose.compare(&record(text)).unwrap();
        let [one] = pending(directory.path()).unwrap().try_into().unwrap();
        one.accept().unwrap();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(one.path.parent().unwrap());
        settings.set_prepend_module_to_snapshot(false);
        let name = one.path.file_stem().unwrap().to_str().unwrap().to_owned();
        settings.bind(|| insta::assert_snapshot!(name, text));
    }

    #[test]
    fn a_proposal_that_is_rejected_is_gone_and_the_snapshot_stays() {
        let directory = tempfile::tempdir().unwrap();
        let propose = Snapshots::new(directory.path(), OnDifference::Propose);
        propose.compare(&record("a")).unwrap();
        pending(directory.path()).unwrap()[0].accept().unwrap();
        propose.compare(&record("b")).unwrap();
        pending(directory.path()).unwrap()[0].reject().unwrap();
        assert_eq!(pending(directory.path()).unwrap(), []);
        assert_eq!(propose.compare(&record("a")).unwrap(), None);
    }

    #[test]
    fn a_proposal_that_is_out_of_date_and_cannot_go_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let propose = Snapshots::new(directory.path(), OnDifference::Propose);
        propose.compare(&record("a")).unwrap();
        let accepted = pending(directory.path()).unwrap().remove(0);
        accepted.accept().unwrap();
        std::fs::create_dir(accepted.proposal()).unwrap();
        propose.compare(&record("a")).unwrap_err();
    }
}
