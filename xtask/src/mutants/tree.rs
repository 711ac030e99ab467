//! A copy of the project in which mutants are built, and the lines that have changed since a commit.

use crate::exit::Invalid;
use anyhow::{Context as _, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many commits back the changes of one day may reach.
const MOST_COMMITS: usize = 50;

/// What cargo-mutants is told.
const CONFIGURATION: &str = ".cargo/mutants.toml";

/// A copy of the project: the files that git tracks or would track, as they are now.
pub(super) struct Tree {
    project: PathBuf,
    /// An index of its own, so that what a person has staged stays as it is.
    index: PathBuf,
    /// Where the copy lies. It is the same place each time, so cargo keeps one build of it.
    pub(super) path: PathBuf,
}

impl Tree {
    /// Copies the project to `tree` below `place`, in place of an older copy.
    pub(super) fn copy(project: &Path, place: &Path) -> anyhow::Result<Self> {
        let project = fs_err::canonicalize(project)?;
        let tree = Self { project, index: place.join("index"), path: place.join("tree") };
        fs_err::create_dir_all(place)?;
        for old in [&tree.path, &tree.index] {
            if old.is_dir() {
                fs_err::remove_dir_all(old)?;
            } else if old.exists() {
                fs_err::remove_file(old)?;
            }
        }
        tree.git(&["add", "--all"])?;
        tree.git(&["checkout-index", "--all", &format!("--prefix={}/", tree.path.display())])?;
        Ok(tree)
    }

    /// Lets cargo-mutants look at these files only; at all that decide, if none is given. On its command line files are only added
    /// to those of its configuration, so the copy of that is changed.
    pub(super) fn examine_only(&self, files: &[String]) -> anyhow::Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        if let Some(none) = files.iter().find(|file| !self.path.join(file).is_file()) {
            return Err(Invalid(format!("{none} is no file of this project")).into());
        }
        let path = self.path.join(CONFIGURATION);
        let read = fs_err::read_to_string(&path)?.parse::<toml::Table>();
        let mut configuration = read.map_err(|error| Invalid(format!("{CONFIGURATION}: {error}")))?;
        configuration.insert("examine_globs".to_owned(), files.to_vec().into());
        Ok(fs_err::write(path, configuration.to_string())?)
    }

    /// The changes since a commit, as a unified diff.
    pub(super) fn changes_since(&self, base: &str) -> anyhow::Result<String> {
        self.git(&["rev-parse", "--verify", "--quiet", &format!("{base}^{{commit}}")])
            .map_err(|_| Invalid(format!("`{base}` is no commit here; a shallow clone has few: fetch more of them")))?;
        let format = ["--no-ext-diff", "--no-color", "--src-prefix=a/", "--dst-prefix=b/"];
        self.git(&[&["diff", "--cached"], &format[..], &[base, "--"]].concat())
    }

    /// The commit that changes are counted from: where this branch left `origin/main`, else what stood before the last day of commits.
    pub(super) fn usual_base(&self) -> anyhow::Result<String> {
        let head = self.git(&["rev-parse", "HEAD"])?;
        if let Ok(base) = self.git(&["merge-base", "HEAD", "origin/main"])
            && base != head
        {
            return Ok(base.trim().to_owned());
        }
        let log =
            self.git(&["log", "--first-parent", "--format=%H %ct", &format!("--max-count={}", MOST_COMMITS + 1)])?;
        base_in(&log).context("git shows no commits")
    }

    fn git(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("git")
            .args(words)
            .current_dir(&self.project)
            .env("GIT_INDEX_FILE", &self.index)
            .output()
            .context("failed to run git")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`git {}` ended with {}: {}", words.join(" "), output.status, errors.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The newest commit of a log (newest first, each with its time) that is a day older than the first; else the oldest.
fn base_in(log: &str) -> Option<String> {
    const DAY: i64 = 24 * 60 * 60;
    let commits: Vec<(&str, i64)> = log
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(id, at)| Some((id, at.parse().ok()?)))
        .collect();
    let newest = commits.first()?.1;
    let older = commits.iter().skip(1).find(|(_, at)| *at <= newest - DAY);
    older.or(commits.last()).map(|(id, _)| (*id).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::a_day_before("c 200000\nb 150000\na 100000", Some("a"))]
    #[case::the_newest_of_those("d 200000\nc 113600\nb 100000\na 90000", Some("c"))]
    #[case::all_of_one_day("c 200000\nb 190000\na 180000", Some("a"))]
    #[case::only_one("a 200000", Some("a"))]
    #[case::none("", None)]
    fn changes_of_one_day_are_counted_from_the_commit_before_it(#[case] log: &str, #[case] base: Option<&str>) {
        assert_eq!(base_in(log).as_deref(), base);
    }

    fn run(place: &Path, words: &[&str]) {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        let output = Command::new("git").args(identity).args(words).current_dir(place).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn only_the_files_that_are_named_are_examined() {
        let place = tempfile::tempdir().unwrap();
        let tree = Tree { project: place.path().into(), index: place.path().into(), path: place.path().into() };
        let configuration = place.path().join(CONFIGURATION);
        fs_err::create_dir(place.path().join(".cargo")).unwrap();
        fs_err::write(&configuration, "examine_globs = ['a.rs', 'b.rs']\nexclude_re = ['x']\n").unwrap();
        fs_err::write(place.path().join("b.rs"), "").unwrap();
        let read = || fs_err::read_to_string(&configuration).unwrap().parse::<toml::Table>().unwrap();

        tree.examine_only(&[]).unwrap();
        assert_eq!(read()["examine_globs"].as_array().unwrap().len(), 2);
        let error = tree.examine_only(&["b.rs".into(), "c.rs".into()]).unwrap_err();
        assert!(error.is::<Invalid>() && error.to_string().contains("c.rs"), "{error:?}");
        tree.examine_only(&["b.rs".into()]).unwrap();
        assert_eq!(read(), "examine_globs = ['b.rs']\nexclude_re = ['x']".parse().unwrap());
    }

    #[test]
    fn the_copy_has_what_is_not_committed_and_the_diff_shows_it() {
        let (project, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        run(project.path(), &["init", "--quiet"]);
        fs_err::write(project.path().join("old.rs"), "fn a() {}\n").unwrap();
        fs_err::write(project.path().join(".gitignore"), "ignored\n").unwrap();
        run(project.path(), &["add", "--all"]);
        run(project.path(), &["commit", "--quiet", "--message", "one"]);
        fs_err::write(project.path().join("old.rs"), "fn b() {}\n").unwrap();
        fs_err::write(project.path().join("new.rs"), "fn c() {}\n").unwrap();
        fs_err::write(project.path().join("ignored"), "").unwrap();

        let tree = Tree::copy(project.path(), place.path()).unwrap();
        assert_eq!(fs_err::read_to_string(tree.path.join("old.rs")).unwrap(), "fn b() {}\n");
        assert!(!tree.path.join("ignored").exists());
        let diff = tree.changes_since("HEAD").unwrap();
        assert!(diff.contains("+++ b/old.rs\n@@ -1 +1 @@\n-fn a() {}\n+fn b() {}\n"), "{diff}");
        assert!(diff.contains("+++ b/new.rs\n"), "{diff}");
        let error = tree.changes_since("no-such-commit").unwrap_err();
        assert!(error.is::<Invalid>(), "{error:?}");

        // A second copy has nothing of the first.
        fs_err::remove_file(project.path().join("new.rs")).unwrap();
        let tree = Tree::copy(project.path(), place.path()).unwrap();
        assert!(!tree.path.join("new.rs").exists());
        let staged = Command::new("git").args(["diff", "--cached", "--name-only"]).current_dir(project.path()).output();
        assert!(staged.unwrap().stdout.is_empty(), "the index of the project has changed");
    }
}
