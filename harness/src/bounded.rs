//! Work with an upper bound, for what comes from outside: files that end, and comparisons that end.

use similar::{Algorithm, DiffTag, TextDiff, capture_diff_slices_deadline};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Reads a regular file of at most `limit` bytes. A pipe or a device, which may never end, is an error at once.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let wrong = |kind, why: &str| io::Error::new(kind, format!("{}: {why}", path.display()));
    let file = open(path).map_err(|error| wrong(error.kind(), &error.to_string()))?;
    take(file, limit).map_err(|error| wrong(error.kind(), &error.to_string()))
}

/// Opens a regular file, and nothing that may never end.
pub fn open(path: &Path) -> io::Result<File> {
    // Without the flag, to open a pipe waits for its writer.
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        let words = "it is no regular file; a copy of what it holds can be read";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
    }
    Ok(file)
}

/// Reads such a file as a text.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let text = String::from_utf8(read(path, limit)?);
    text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{}: it is no text in UTF-8", path.display())))
}

/// Reads to the end, which must come within `limit` bytes.
pub fn take(from: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let words = format!("it is larger than {}", crate::size::Size::bytes(limit));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
    }
    Ok(bytes)
}

/// How long all comparisons of one kind may take together: with texts made for it, one of 64 KiB takes half a minute.
const COMPARING: Duration = Duration::from_secs(5);

/// How long one may.
const COMPARING_ONE: Duration = Duration::from_secs(1);

/// Compares texts of others, in a time that has an end.
#[derive(Debug, Clone, Copy)]
pub struct Comparer {
    ends: Instant,
    longest: Duration,
}

impl Default for Comparer {
    fn default() -> Self {
        Self::within(COMPARING, COMPARING_ONE)
    }
}

impl Comparer {
    /// One with other limits: for all it compares, and for each.
    #[must_use]
    pub fn within(all: Duration, longest: Duration) -> Self {
        Self { ends: Instant::now() + all, longest }
    }

    /// The unified difference of two texts. Of what takes too long, the numbers of lines.
    #[must_use]
    pub fn unified(&self, before: &str, after: &str, radius: usize, header: Option<&str>) -> String {
        let ends = self.ends.min(Instant::now() + self.longest);
        let diff = TextDiff::configure().deadline(ends).diff_lines(before, after);
        let heading = || header.map_or_else(String::new, |path| format!("--- {path}\n+++ {path}\n"));
        if Instant::now() >= ends {
            let [before, after] = [before, after].map(|text| text.lines().count());
            return format!("{}(too different to be compared: {before} lines, and {after} lines now)\n", heading());
        }
        let mut diff = diff.unified_diff();
        diff.context_radius(radius);
        if let Some(path) = header {
            diff.header(path, path);
        }
        diff.to_string()
    }

    /// For each line of `ours`, whether `theirs` lacks it. When the time is over, a line that both have may count as lacking.
    #[must_use]
    pub fn lacking(&self, ours: &[String], theirs: &[String]) -> Vec<bool> {
        let ends = self.ends.min(Instant::now() + self.longest);
        let mut lacking = vec![true; ours.len()];
        for operation in capture_diff_slices_deadline(Algorithm::Myers, ours, theirs, Some(ends)) {
            if operation.tag() == DiffTag::Equal {
                lacking[operation.old_range()].fill(false);
            }
        }
        lacking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_file_up_to_its_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abcd").unwrap();
        assert_eq!(read_text(file.path(), 4).unwrap(), "abcd");
        let words = read(file.path(), 3).unwrap_err().to_string();
        assert!(words.contains(&file.path().display().to_string()) && words.contains("larger than"), "{words}");
    }

    #[rstest::rstest]
    #[case::a_pipe("pipe")]
    #[case::a_device("/dev/zero")]
    #[case::a_directory("/")]
    fn refuses_what_may_never_end(#[case] name: &str) {
        let directory = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&directory.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let words = read(&directory.path().join(name), 10).unwrap_err().to_string();
        assert!(words.contains("no regular file"), "{words}");
    }

    #[test]
    fn a_comparison_without_an_end_is_given_up() {
        // Lines that stand in both, in another order each: the most work for the least text.
        let [before, after] = [7_919, 104_729].map(|prime| {
            let lines = (0..16_000_u64).map(|line| format!("{}\n", line * prime % 15_991));
            lines.collect::<String>()
        });
        let comparer = Comparer::within(Duration::from_millis(50), Duration::from_secs(9));
        let begun = Instant::now();
        let words = comparer.unified(&before, &after, 1, Some("/etc/x"));
        assert_eq!(words, "--- /etc/x\n+++ /etc/x\n(too different to be compared: 16000 lines, and 16000 lines now)\n");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }

    #[test]
    fn lines_that_the_other_side_lacks_are_found_in_a_time_that_ends() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let comparer = Comparer::default();
        assert_eq!(comparer.lacking(&lines("a b c"), &lines("a x c")), [false, true, false]);
        assert_eq!(comparer.lacking(&lines("a"), &[]), [true]);

        let order = |prime: u64| (0..16_000).map(|line| (line * prime % 15_991).to_string()).collect::<Vec<_>>();
        let begun = Instant::now();
        let comparer = Comparer::within(Duration::from_millis(50), Duration::from_secs(9));
        assert_eq!(comparer.lacking(&order(7_919), &order(104_729)).len(), 16_000);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_short_one_is_told() {
        assert_eq!(Comparer::default().unified("a\nb\n", "a\nc\n", 0, None), "@@ -2 +2 @@\n-b\n+c\n");
    }
}
