//! The list that a repository keeps of its packages: `repodata/repomd.xml`, and the primary metadata that it names.
//!
//! It is read for one thing: whether the directory has all that the repository promises.

use crate::bounded;
use flate2::read::MultiGzDecoder;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a repository's list cannot be relied on.
#[derive(Debug, Error)]
pub enum RepodataError {
    /// A file of it cannot be read.
    #[error("failed to read {}: {source}; mirror the repository again, or remove repodata/ to use just the packages that are here", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of it is not the XML that it should be.
    #[error("{} is damaged: {reason}; mirror the repository again, or remove repodata/ to use just the packages that are here", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Packages are missing.
    #[error(
        "the repository in {} lists {missing} packages that are not there, such as {example}; mirror it whole, or remove \
         repodata/ if what is there is all that the upgrade will install", path.display()
    )]
    Incomplete {
        /// The directory.
        path: PathBuf,
        /// How many.
        missing: usize,
        /// One of them.
        example: String,
    },
}

/// Fails if the directory has repository metadata, and not all packages that this lists.
pub(super) fn check_complete(directory: &Path) -> Result<(), RepodataError> {
    let repomd = directory.join("repodata/repomd.xml");
    if !repomd.exists() {
        return Ok(());
    }
    let primary = directory.join(primary_location(&repomd)?);
    let listed = package_locations(&primary)?;
    let missing: Vec<&String> = listed.iter().filter(|location| !directory.join(location).exists()).collect();
    match missing.first() {
        None => Ok(()),
        Some(example) => Err(RepodataError::Incomplete {
            path: directory.to_owned(),
            missing: missing.len(),
            example: (*example).clone(),
        }),
    }
}

/// Where repomd.xml says that the primary metadata are: `<data type="primary"><location href="…"/></data>`.
fn primary_location(repomd: &Path) -> Result<String, RepodataError> {
    let mut found = None;
    let mut within = false;
    for_each_element(repomd, "repomd", |element| match element.local_name().as_ref() {
        "data" => within = attribute(element, "type").is_some_and(|kind| kind == "primary"),
        "location" if within && found.is_none() => found = attribute(element, "href"),
        _ => {}
    })?;
    found.ok_or_else(|| damaged(repomd, "it names no primary metadata"))
}

/// Where the primary metadata say that packages are: `<package><location href="…"/></package>`.
fn package_locations(primary: &Path) -> Result<Vec<String>, RepodataError> {
    let mut locations = Vec::new();
    for_each_element(primary, "metadata", |element| {
        if element.local_name().as_ref() == "location" {
            locations.extend(attribute(element, "href"));
        }
    })?;
    Ok(locations)
}

/// Calls `visit` with every element of an XML document whose root is `root`, and fails if the document has no end.
fn for_each_element(path: &Path, root: &str, visit: impl FnMut(&BytesStart)) -> Result<(), RepodataError> {
    for_each_element_in(path, open(path)?, root, visit)
}

fn for_each_element_in(
    path: &Path,
    document: impl BufRead,
    root: &str,
    mut visit: impl FnMut(&BytesStart),
) -> Result<(), RepodataError> {
    let mut reader = Reader::from_reader(document);
    let (mut buffer, mut depth, mut is_first) = (Vec::new(), 0_usize, true);
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(|error| damaged(path, &error.to_string()))? {
            Event::Start(element) => {
                if is_first && element.local_name().as_ref() != root {
                    return Err(damaged(path, "it is something else than its name says"));
                }
                is_first = false;
                depth += 1;
                visit(&element);
            }
            Event::Empty(element) => visit(&element),
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Eof if depth > 0 || is_first => return Err(damaged(path, "it has no end")),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// Opens a file that may be compressed, as its name says.
fn open(path: &Path) -> Result<Box<dyn BufRead>, RepodataError> {
    let unreadable = |source| RepodataError::Unreadable { path: path.to_owned(), source };
    let file = BufReader::new(bounded::open(path).map_err(unreadable)?);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Ok(Box::new(BufReader::new(MultiGzDecoder::new(file)))),
        Some("zst") => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(file);
            Ok(Box::new(BufReader::new(decoder.map_err(|error| damaged(path, &error.to_string()))?)))
        }
        Some("xml") => Ok(Box::new(file)),
        _ => Err(damaged(path, "it is compressed in a way that is not read here")),
    }
}

fn attribute(element: &BytesStart, name: &str) -> Option<String> {
    let attribute = element.try_get_attribute(name).ok()??;
    quick_xml::escape::unescape(&attribute.value).ok().map(std::borrow::Cow::into_owned)
}

fn damaged(path: &Path, reason: &str) -> RepodataError {
    RepodataError::Damaged { path: path.to_owned(), reason: reason.to_owned() }
}

/// Reads anything as metadata.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let visit = |element: &BytesStart| drop(attribute(element, "href"));
    let _ = for_each_element_in(Path::new("fuzzed.xml"), bytes, "metadata", visit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::io::Write as _;

    const REPOMD: &str = r#"<?xml version="1.0"?><repomd><data type="other"><location href="repodata/other.xml.gz"/></data>
<data type="primary"><location href="repodata/primary.xml.gz"/></data></repomd>"#;
    const PRIMARY: &str = r#"<metadata packages="2"><package type="rpm"><location href="noarch/a.rpm"/></package>
<package type="rpm"><location href="noarch/b&amp;c.rpm"/></package></metadata>"#;

    fn repository(repomd: &str, primary: &str) -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(place.path().join("repodata")).unwrap();
        fs_err::create_dir_all(place.path().join("noarch")).unwrap();
        fs_err::write(place.path().join("repodata/repomd.xml"), repomd).unwrap();
        fs_err::write(place.path().join("noarch/a.rpm"), "").unwrap();
        let file = fs_err::File::create(place.path().join("repodata/primary.xml.gz")).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(primary.as_bytes()).unwrap();
        gzip.finish().unwrap();
        place
    }

    #[test]
    fn what_is_listed_must_be_there() {
        let place = repository(REPOMD, PRIMARY);
        let error = check_complete(place.path()).unwrap_err().to_string();
        assert!(error.contains("lists 1 packages that are not there, such as noarch/b&c.rpm"), "{error}");
        fs_err::write(place.path().join("noarch/b&c.rpm"), "").unwrap();
        check_complete(place.path()).unwrap();
    }

    #[test]
    fn a_directory_without_metadata_is_taken_as_it_is() {
        check_complete(tempfile::tempdir().unwrap().path()).unwrap();
    }

    #[rstest]
    #[case::no_primary("<repomd></repomd>", PRIMARY, "repomd.xml is damaged: it names no primary")]
    #[case::cut_short(&REPOMD[..100], PRIMARY, "repomd.xml is damaged")]
    #[case::a_web_page("<html></html>", PRIMARY, "it is something else")]
    #[case::primary_cut_short(REPOMD, &PRIMARY[..120], "primary.xml.gz is damaged")]
    #[case::primary_elsewhere(&REPOMD.replace("primary.xml", "lost.xml"), PRIMARY, "failed to read")]
    fn broken_metadata_are_named(#[case] repomd: &str, #[case] primary: &str, #[case] expected: &str) {
        let place = repository(repomd, primary);
        let error = check_complete(place.path()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("repodata/"), "{error}");
    }
}
