//! The header of an rpm file: what the package is, needs, brings and runs, without its payload.
//!
//! The format (docs/manual/format.md of rpm): a lead of 96 bytes, a signature header padded to 8 bytes, the header, the
//! payload. A header is a magic number, the number of index entries and the size of the store, then the entries (tag, type,
//! offset, count; four bytes each, most significant first), then the store. We read a few tags of very many packages, from
//! directories that mirrors and people fill: every index is checked, and strings that nobody asks for are not looked at.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use crate::bounded;
use std::io::{self, BufReader, Read, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use thiserror::Error;

const LEAD: usize = 96;
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
const HEADER_MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 0x01];
const INTRO: usize = 16;
const ENTRY: usize = 16;
/// rpm refuses larger stores (`HEADER_DATA_MAX` in lib/header.c) and more entries (`HEADER_TAGS_MAX`).
const STORE_LIMIT: usize = 256 << 20;
const ENTRIES_LIMIT: usize = 0xffff;
/// The same of signature headers (`hdrblobRead` in lib/header.c).
const SIGNATURE_STORE_LIMIT: usize = 64 << 20;
const SIGNATURE_ENTRIES_LIMIT: usize = 32;

/// A header up to this size may be all holes: filling it costs nothing to speak of.
const SPARSE_LIMIT: u64 = 1 << 20;
/// How many times larger than its real bytes a larger header may be: file systems that compress need some of it.
const SPARSE_FACTOR: u64 = 8;

/// The bytes that an item of a list takes at least, over all lists that have it: a file has a name, a directory, a mode and flags,
/// a relation has a name, a version and flags. The items of tiny packages are not counted.
const ITEM: usize = 8;
const FEW_ITEMS: usize = 64;

/// In the signature header: the size of header and payload, in bytes (32 and 64 bits).
const SIGNED_SIZE: u32 = 1000;
const SIGNED_LONG_SIZE: u32 = 270;

/// The tags that we read, with their numbers (rpmtag.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Tag {
    Name = 1000,
    Version = 1001,
    Release = 1002,
    Epoch = 1003,
    Arch = 1022,
    PreIn = 1023,
    PostIn = 1024,
    OldFileNames = 1027,
    FileModes = 1030,
    FileDigests = 1035,
    FileLinks = 1036,
    FileFlags = 1037,
    SourceRpm = 1044,
    ProvideName = 1047,
    RequireName = 1049,
    ConflictFlags = 1053,
    ConflictName = 1054,
    ConflictVersion = 1055,
    TriggerScripts = 1065,
    PreInProgram = 1085,
    PostInProgram = 1086,
    ObsoleteName = 1090,
    TriggerProgram = 1092,
    ObsoleteFlags = 1114,
    ObsoleteVersion = 1115,
    DirIndexes = 1116,
    BaseNames = 1117,
    DirNames = 1118,
    PreTrans = 1151,
    PostTrans = 1152,
    PreTransProgram = 1153,
    PostTransProgram = 1154,
    FileDigestAlgorithm = 5011,
}

/// Why a file is no package that we can read.
#[derive(Debug, Error)]
pub enum HeaderError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[source] io::Error),
    /// It does not begin as packages do.
    #[error("it is not an rpm package, whatever its name says")]
    NoPackage,
    /// It ends too early.
    #[error("it is cut short: {expected} bytes are promised, {found} are here")]
    Truncated {
        /// Its size by its own account, in bytes.
        expected: u64,
        /// Its size on disk, in bytes.
        found: u64,
    },
    /// Its contents contradict each other.
    #[error("its header is damaged: {0}")]
    Damaged(&'static str),
}

/// An index entry.
#[derive(Debug, Clone, Copy)]
struct Place {
    tag: u32,
    kind: u32,
    offset: usize,
    count: usize,
}

/// How large a file says that it is, and how much of it is really there.
#[derive(Debug, Clone, Copy)]
struct Extent {
    size: u64,
    allocated: u64,
}

/// How much a header may hold.
#[derive(Debug, Clone, Copy)]
struct Limits {
    entries: usize,
    store: usize,
}

const SIGNATURE_LIMITS: Limits = Limits { entries: SIGNATURE_ENTRIES_LIMIT, store: SIGNATURE_STORE_LIMIT };
const HEADER_LIMITS: Limits = Limits { entries: ENTRIES_LIMIT, store: STORE_LIMIT };

/// A header that was read whole.
#[derive(Debug)]
pub(super) struct Header {
    index: Vec<Place>,
    store: Vec<u8>,
}

impl Header {
    /// Reads the header of a package file, and compares the file's size with what its signature header says.
    pub(super) fn open(path: &Path) -> Result<Self, HeaderError> {
        let file = bounded::open(path).map_err(HeaderError::Read)?;
        let metadata = file.metadata().map_err(HeaderError::Read)?;
        // `st_blocks` counts blocks of 512 bytes, whatever the file system's are.
        let extent = Extent { size: metadata.len(), allocated: metadata.blocks().saturating_mul(512) };
        Self::read(BufReader::with_capacity(128 << 10, file), extent)
    }

    fn read(mut input: impl Read + io::Seek, extent: Extent) -> Result<Self, HeaderError> {
        let size = extent.size;
        let mut lead = [0; LEAD];
        let cut = |expected: u64| move |error: io::Error| early_end(error, expected, size);
        input.read_exact(&mut lead[..4]).map_err(|_| HeaderError::NoPackage)?;
        if lead[..4] != LEAD_MAGIC {
            return Err(HeaderError::NoPackage);
        }
        input.read_exact(&mut lead[4..]).map_err(cut(LEAD as u64))?;
        let signature = Self::parse(&mut input, extent, SIGNATURE_LIMITS)?;
        let at = input.stream_position().map_err(HeaderError::Read)?;
        let begin = at.next_multiple_of(8);
        input.seek(SeekFrom::Start(begin)).map_err(HeaderError::Read)?;
        if let Some(signed) = signature.signed_size()
            && begin.saturating_add(signed) > size
        {
            return Err(HeaderError::Truncated { expected: begin.saturating_add(signed), found: size });
        }
        drop(signature);
        Self::parse(&mut input, extent, HEADER_LIMITS)
    }

    fn parse(input: &mut (impl Read + io::Seek), extent: Extent, limits: Limits) -> Result<Self, HeaderError> {
        let Extent { size, allocated } = extent;
        let at = input.stream_position().map_err(HeaderError::Read)?;
        let mut intro = [0; INTRO];
        input.read_exact(&mut intro).map_err(|error| early_end(error, at.saturating_add(INTRO as u64), size))?;
        if intro[..4] != HEADER_MAGIC {
            return Err(HeaderError::Damaged("the magic number is missing"));
        }
        let (entries, store) = (number(&intro[8..12]) as usize, number(&intro[12..16]) as usize);
        if entries > limits.entries || store > limits.store {
            return Err(HeaderError::Damaged("it claims to be larger than rpm allows"));
        }
        let index = entries.saturating_mul(ENTRY);
        let length = index.saturating_add(store);
        let expected = at.saturating_add(INTRO as u64).saturating_add(length as u64);
        // Asked before memory is: a damaged length need not cost any.
        if expected > size {
            return Err(HeaderError::Truncated { expected, found: size });
        }
        if length as u64 > SPARSE_LIMIT.max(allocated.saturating_mul(SPARSE_FACTOR)) {
            return Err(HeaderError::Damaged("nearly all of it is a hole of a sparse file"));
        }
        let mut bytes = vec![0; length];
        input.read_exact(&mut bytes).map_err(|error| early_end(error, expected, size))?;
        let store = bytes.split_off(index);
        let index = bytes
            .chunks_exact(ENTRY)
            .map(|entry| Place {
                tag: number(&entry[..4]),
                kind: number(&entry[4..8]),
                offset: number(&entry[8..12]) as usize,
                count: number(&entry[12..]) as usize,
            })
            .collect();
        Ok(Self { index, store })
    }

    fn signed_size(&self) -> Option<u64> {
        let number =
            |tag| self.find(tag).and_then(|place| self.numbers_at(place).ok()).and_then(|all| all.first().copied());
        number(SIGNED_LONG_SIZE).or_else(|| number(SIGNED_SIZE))
    }

    fn find(&self, tag: u32) -> Option<Place> {
        self.index.iter().find(|place| place.tag == tag).copied()
    }

    /// Whether the header has a tag.
    pub(super) fn has(&self, tag: Tag) -> bool {
        self.find(tag as u32).is_some()
    }

    /// The numbers of a tag, whatever their width; none if the header does not have it.
    pub(super) fn numbers(&self, tag: Tag) -> Result<Vec<u64>, HeaderError> {
        self.find(tag as u32).map_or_else(|| Ok(Vec::new()), |place| self.numbers_at(place))
    }

    /// The first number of a tag.
    pub(super) fn number(&self, tag: Tag) -> Result<Option<u32>, HeaderError> {
        Ok(self.numbers(tag)?.first().and_then(|number| u32::try_from(*number).ok()))
    }

    fn numbers_at(&self, place: Place) -> Result<Vec<u64>, HeaderError> {
        let width = match place.kind {
            1 | 2 => 1,
            3 => 2,
            4 => 4,
            5 => 8,
            _ => return Err(HeaderError::Damaged("text where numbers belong")),
        };
        self.check_count(place.count)?;
        let bytes = place
            .count
            .checked_mul(width)
            .and_then(|length| self.store.get(place.offset..)?.get(..length))
            .ok_or(HeaderError::Damaged("numbers lie outside of it"))?;
        Ok(bytes
            .chunks_exact(width)
            .map(|number| number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
            .collect())
    }

    /// Refuses lists that are longer than lists of any use can be in a header of this size: an item costs us more memory
    /// than an empty text costs the header.
    fn check_count(&self, count: usize) -> Result<(), HeaderError> {
        if count > (self.store.len() / ITEM).saturating_add(FEW_ITEMS) {
            return Err(HeaderError::Damaged("a list has more items than it has room for"));
        }
        Ok(())
    }

    /// The strings of a tag, with bytes that are not UTF-8 replaced; none if the header does not have it.
    pub(super) fn strings(&self, tag: Tag) -> Result<Vec<String>, HeaderError> {
        let Some(place) = self.find(tag as u32) else { return Ok(Vec::new()) };
        // A single string, an array, or a string in several languages, of which the first is the one without a language.
        let count = match place.kind {
            6 => 1,
            8 | 9 => place.count,
            _ => return Err(HeaderError::Damaged("numbers where text belongs")),
        };
        self.check_count(count)?;
        let mut rest = self.store.get(place.offset..).ok_or(HeaderError::Damaged("text lies outside of it"))?;
        let mut strings = Vec::with_capacity(count.min(ENTRIES_LIMIT));
        for _ in 0..count {
            let mut parts = rest.splitn(2, |byte| *byte == 0);
            let (Some(text), Some(behind)) = (parts.next(), parts.next()) else {
                return Err(HeaderError::Damaged("a text has no end"));
            };
            strings.push(String::from_utf8_lossy(text).into_owned());
            rest = behind;
        }
        Ok(strings)
    }

    /// The first string of a tag, empty if the header does not have it.
    pub(super) fn string(&self, tag: Tag) -> Result<String, HeaderError> {
        Ok(self.strings(tag)?.into_iter().next().unwrap_or_default())
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn early_end(error: io::Error, expected: u64, found: u64) -> HeaderError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => HeaderError::Truncated { expected, found },
        _ => HeaderError::Read(error),
    }
}

/// Reads anything as a package, and asks for all that is ever asked for.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let extent = Extent { size: bytes.len() as u64, allocated: bytes.len() as u64 };
    let Ok(header) = Header::read(io::Cursor::new(bytes), extent) else { return };
    for tag in [Tag::Name, Tag::PostIn, Tag::OldFileNames, Tag::BaseNames, Tag::FileFlags, Tag::DirIndexes] {
        let _ = (header.strings(tag), header.numbers(tag), header.string(tag), header.number(tag));
    }
    super::repository::fuzz(&header);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    /// Writes headers, so that tests need no rpmbuild.
    #[derive(Default)]
    pub(in super::super) struct Writer {
        index: Vec<u8>,
        store: Vec<u8>,
        entries: u32,
    }

    impl Writer {
        fn entry(&mut self, tag: u32, kind: u32, align: usize, count: usize, bytes: &[u8]) {
            self.store.resize(self.store.len().next_multiple_of(align), 0);
            for number in [tag, kind, u32::try_from(self.store.len()).unwrap(), u32::try_from(count).unwrap()] {
                self.index.extend(number.to_be_bytes());
            }
            self.store.extend(bytes);
            self.entries += 1;
        }

        pub(in super::super) fn strings(&mut self, tag: Tag, strings: &[&str]) {
            let bytes: Vec<u8> = strings.iter().flat_map(|text| text.bytes().chain([0])).collect();
            self.entry(tag as u32, 8, 1, strings.len(), &bytes);
        }

        pub(in super::super) fn numbers(&mut self, tag: Tag, numbers: &[u32]) {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
            self.entry(tag as u32, 4, 4, numbers.len(), &bytes);
        }

        fn bytes(&self) -> Vec<u8> {
            let mut bytes = HEADER_MAGIC.to_vec();
            bytes.extend([0; 4]);
            bytes.extend(self.entries.to_be_bytes());
            bytes.extend(u32::try_from(self.store.len()).unwrap().to_be_bytes());
            bytes.extend(&self.index);
            bytes.extend(&self.store);
            bytes
        }

        /// The whole file, with a payload of a few bytes.
        pub(in super::super) fn package(&self) -> Vec<u8> {
            let header = self.bytes();
            let payload = b"payload";
            let mut signature = Self::default();
            let size = u32::try_from(header.len() + payload.len()).unwrap();
            signature.entry(SIGNED_SIZE, 4, 4, 1, &size.to_be_bytes());
            let mut bytes = LEAD_MAGIC.to_vec();
            bytes.resize(LEAD, 0);
            bytes.extend(signature.bytes());
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            bytes.extend(header);
            bytes.extend(payload);
            bytes
        }
    }

    fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
        let extent = Extent { size: bytes.len() as u64, allocated: bytes.len() as u64 };
        Header::read(Cursor::new(bytes), extent)
    }

    fn sample() -> Vec<u8> {
        let mut writer = Writer::default();
        writer.strings(Tag::Name, &["cyrus-imapd"]);
        writer.strings(Tag::BaseNames, &["imap", "smtp"]);
        writer.numbers(Tag::FileFlags, &[1, 17]);
        writer.package()
    }

    #[test]
    fn what_was_written_is_read() {
        let header = read(&sample()).unwrap();
        assert_eq!(header.string(Tag::Name).unwrap(), "cyrus-imapd");
        assert_eq!(header.strings(Tag::BaseNames).unwrap(), ["imap", "smtp"]);
        assert_eq!(header.numbers(Tag::FileFlags).unwrap(), [1, 17]);
        assert_eq!(header.string(Tag::Release).unwrap(), "");
        assert!(header.strings(Tag::FileFlags).is_err());
    }

    #[test]
    fn a_missing_end_is_noticed_even_in_the_payload() {
        let whole = sample();
        for length in 4..whole.len() {
            let error = read(&whole[..length]).unwrap_err();
            assert!(
                matches!(error, HeaderError::Truncated { found, .. } if found == length as u64),
                "{length}: {error}"
            );
        }
        assert!(matches!(read(b"<html>404 Not Found</html>").unwrap_err(), HeaderError::NoPackage));
    }

    /// A package of a few real bytes, whose header claims `store` bytes and a list of as many items.
    fn hollow(store: u32, kind: u32) -> Vec<u8> {
        let mut bytes = LEAD_MAGIC.to_vec();
        bytes.resize(LEAD, 0);
        bytes.extend(Writer::default().bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(HEADER_MAGIC);
        bytes.extend([0; 4]);
        for number in [1, store, Tag::BaseNames as u32, kind, 0, store] {
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }

    #[test]
    fn refuses_a_header_that_is_a_hole_of_a_sparse_file() {
        let place = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(place.path(), hollow(u32::try_from(STORE_LIMIT).unwrap(), 8)).unwrap();
        place.as_file().set_len(STORE_LIMIT as u64 + 4096).unwrap();
        let error = Header::open(place.path()).unwrap_err().to_string();
        assert!(error.contains("sparse file"), "{error}");
    }

    #[rstest::rstest]
    #[case::texts(8)]
    #[case::numbers(1)]
    fn refuses_lists_that_would_take_many_times_the_memory_of_the_header(#[case] kind: u32) {
        let mut bytes = hollow(1 << 20, kind);
        bytes.resize(bytes.len() + (1 << 20), 0);
        let header = read(&bytes).unwrap();
        let error = if kind == 8 {
            header.strings(Tag::BaseNames).unwrap_err()
        } else {
            header.numbers(Tag::BaseNames).unwrap_err()
        };
        assert!(error.to_string().contains("more items"), "{error}");
    }

    #[test]
    fn refuses_a_signature_header_larger_than_rpm_allows() {
        let mut bytes = sample();
        bytes[LEAD + 8..LEAD + 12].copy_from_slice(&33u32.to_be_bytes());
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains("larger than rpm allows"), "{error}");
    }

    proptest! {
        /// Whatever one byte is changed to, we get an answer or an error, and neither a panic nor gigabytes.
        #[test]
        fn damage_is_no_panic(at in 4usize..300, value: u8) {
            let mut bytes = sample();
            let at = at % bytes.len();
            bytes[at] = value;
            if let Ok(header) = read(&bytes) {
                let _ = header.strings(Tag::Name);
                let _ = header.strings(Tag::BaseNames);
                let _ = header.numbers(Tag::FileFlags);
            }
        }
    }
}
