//! Reader of `ar` archives as Debian's packages are (deb(5)): plain members with short names, one after the other. Tables of names and
//! symbols, which archives of object files have, mean nothing here, so whatever stands in the file, no number in it is an index or
//! an amount of memory.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::io::{self, Read};

/// What an archive begins with.
const MAGIC: &[u8; 8] = b"!<arch>\n";
/// A member's header: name (16), time (12), owner (6), group (6), mode (8), size (10), and two bytes that end it.
const HEADER: usize = 60;
const END: &[u8; 2] = b"`\n";

/// An archive that is read from its begin to its end.
pub(super) struct Archive<R> {
    from: R,
    has_begun: bool,
    /// Bytes of the current member that are not read yet.
    left: u64,
    /// Members begin at even places.
    padding: u64,
}

/// The current member.
pub(super) struct Member<'a, R> {
    pub(super) name: String,
    archive: &'a mut Archive<R>,
}

impl<R: Read> Archive<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, has_begun: false, left: 0, padding: 0 }
    }

    /// The next member; none at the end. What was not read of the last one is passed over.
    pub(super) fn next(&mut self) -> io::Result<Option<Member<'_, R>>> {
        if !self.has_begun {
            let mut magic = [0; MAGIC.len()];
            self.from.read_exact(&mut magic)?;
            if magic != *MAGIC {
                return Err(diagnostic("it is no ar archive"));
            }
            self.has_begun = true;
        }
        let rest = self.left.saturating_add(self.padding);
        if io::copy(&mut self.from.by_ref().take(rest), &mut io::sink())? < self.left {
            return Err(diagnostic("it ends in the middle of a member"));
        }
        let mut header = Vec::with_capacity(HEADER);
        self.from.by_ref().take(HEADER as u64).read_to_end(&mut header)?;
        let Ok(header) = <[u8; HEADER]>::try_from(header.as_slice()) else {
            return if header.is_empty() { Ok(None) } else { Err(diagnostic("it ends in the middle of a header")) };
        };
        let (name, size) = (text(&header[..16]), text(&header[48..58]));
        if header[58..] != *END {
            return Err(diagnostic("a header has no end"));
        }
        self.left = size.parse().map_err(|_| diagnostic("a member has no size"))?;
        self.padding = self.left % 2;
        Ok(Some(Member { name: name.strip_suffix('/').unwrap_or(&name).to_owned(), archive: self }))
    }
}

impl<R: Read> Read for Member<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.archive.from.by_ref().take(self.archive.left).read(buffer)?;
        self.archive.left = self.archive.left.saturating_sub(count as u64);
        Ok(count)
    }
}

/// A field of a header, without the blanks that fill it.
fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim_end_matches(' ').to_owned()
}

fn diagnostic(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, size: &str, content: &str) -> String {
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n{content}", 0, 0, 0, 100_644)
    }

    fn names(text: &str) -> io::Result<Vec<(String, String)>> {
        let mut archive = Archive::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(mut member) = archive.next()? {
            let mut content = String::new();
            // Of the first one a part, which must not matter.
            let most = if found.is_empty() { 2 } else { 100 };
            (&mut member).take(most).read_to_string(&mut content)?;
            found.push((member.name.clone(), content));
        }
        Ok(found)
    }

    #[test]
    fn members_come_one_after_the_other() {
        let text = format!(
            "!<arch>\n{}\n{}{}",
            member("odd", "3", "abc"),
            member("gnu/", "2", "de"),
            member("last", "1", "f")
        );
        let found = names(&text).unwrap();
        let expected = [("odd", "ab"), ("gnu", "de"), ("last", "f")].map(|(name, text)| (name.into(), text.into()));
        assert_eq!(found, expected);
    }

    #[rstest::rstest]
    #[case::nothing("", "fill whole buffer")]
    #[case::something_else("!<arsh>\n", "no ar archive")]
    #[case::half_a_header("!<arch>\nodd   ", "in the middle of a header")]
    #[case::no_end(&format!("!<arch>\n{}", member("x", "1", "y").replace('`', "'")), "no end")]
    #[case::no_size(&format!("!<arch>\n{}", member("x", "-1", "y")), "no size")]
    #[case::cut(&format!("!<arch>\n{}", member("x", "9999999999", "y")), "in the middle of a member")]
    #[case::an_index_without_a_table(&format!("!<arch>\n{}", member("/1", "5", "y")), "in the middle of a member")]
    fn what_is_damaged_is_told(#[case] text: &str, #[case] words: &str) {
        let error = names(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
