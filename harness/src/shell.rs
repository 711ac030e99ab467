//! Words of sh(1).

use std::io;
use std::path::Path;

/// A text as one word, whatever stands in it.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A path as one word. A path that is not UTF-8 is no part of a script.
pub fn quoted_path(path: &Path) -> io::Result<String> {
    let no_text = || io::Error::new(io::ErrorKind::InvalidFilename, format!("{} is not UTF-8", path.display()));
    path.to_str().map(quoted).ok_or_else(no_text)
}

/// Texts as words.
pub fn quoted_all<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    texts.into_iter().map(|text| quoted(text)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn a_quotation_mark_does_not_end_a_word() {
        assert_eq!(quoted("it's; reboot"), r"'it'\''s; reboot'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Held against the shell of this host.
        #[test]
        fn a_shell_reads_what_was_written(texts in prop::collection::vec("[^\0]{0,12}", 1..4)) {
            let output = Command::new("sh").args(["-c", &format!("printf '%s\\0' {}", quoted_all(&texts))]).output().unwrap();
            let read: Vec<_> = output.stdout.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            prop_assert_eq!(&read[..texts.len()], &texts[..]);
        }
    }
}
