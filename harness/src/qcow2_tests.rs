use super::*;
use proptest::prelude::*;

/// The first cluster of an empty disk as `qemu-img create` makes it, and tables behind it.
pub(crate) fn disk(backing: Option<&str>) -> Vec<u8> {
    const CLUSTER: u64 = 1 << 16;
    let mut bytes = Vec::new();
    bytes.extend(MAGIC);
    bytes.extend(3_u32.to_be_bytes());
    bytes.extend(backing.map_or(0, |_| 512_u64).to_be_bytes());
    bytes.extend(backing.map_or(0, |name| u32::try_from(name.len()).unwrap()).to_be_bytes());
    bytes.extend(16_u32.to_be_bytes());
    bytes.extend((8_u64 << 20).to_be_bytes());
    // No encryption; one cluster of the table of clusters; one of references.
    bytes.extend([0_u32, 1].map(u32::to_be_bytes).concat());
    bytes.extend([3 * CLUSTER, CLUSTER].map(u64::to_be_bytes).concat());
    // No snapshots, no features.
    bytes.extend([1_u32, 0].map(u32::to_be_bytes).concat());
    bytes.extend([0_u64; 4].map(u64::to_be_bytes).concat());
    bytes.extend([4_u32, 104].map(u32::to_be_bytes).concat());
    if backing.is_some() {
        bytes.extend([0xE279_2ACA_u32, 5].map(u32::to_be_bytes).concat());
        bytes.extend(b"qcow2\0\0\0");
    }
    bytes.extend([0_u32; 2].map(u32::to_be_bytes).concat());
    bytes.resize(512, 0);
    bytes.extend(backing.unwrap_or_default().as_bytes());
    bytes.resize(4 * usize::try_from(CLUSTER).unwrap(), 0);
    bytes
}

fn parse(bytes: &[u8]) -> Result<Header, Qcow2Error> {
    Header::parse(bytes, bytes.len() as u64)
}

#[test]
fn a_plain_disk_is_read() {
    assert_eq!(parse(&disk(None)).unwrap(), Header { size: Size::mebibytes(8), backing: None });
    let overlay = parse(&disk(Some("/cache/images/mail/disk.qcow2"))).unwrap();
    assert_eq!(overlay.backing, Some("/cache/images/mail/disk.qcow2".into()));
}

fn set(bytes: &mut [u8], place: usize, value: &[u8]) {
    bytes[place..place + value.len()].copy_from_slice(value);
}

type Change = fn(&mut Vec<u8>);

#[rstest::rstest]
#[case::another_format(|disk: &mut Vec<u8>| set(disk, 0, b"KDMV"), "no qcow2 disk")]
#[case::nothing(|disk: &mut Vec<u8>| disk.clear(), "no qcow2 disk")]
#[case::half_a_header(|disk: &mut Vec<u8>| disk.truncate(90), "ends within its header")]
#[case::version(|disk: &mut Vec<u8>| set(disk, 4, &[0, 0, 0, 4]), "the version in its header is 4")]
#[case::clusters(|disk: &mut Vec<u8>| set(disk, 20, &[0, 0, 0, 60]), "the size of clusters in its header is 60")]
#[case::size(|disk: &mut Vec<u8>| set(disk, 24, &[0x7f; 8]), "the size of the disk in its header")]
#[case::encrypted(|disk: &mut Vec<u8>| set(disk, 32, &[0, 0, 0, 2]), "it is encrypted")]
#[case::table(|disk: &mut Vec<u8>| set(disk, 40, &[0x7f; 8]), "the table of clusters in its header")]
#[case::large_table(|disk: &mut Vec<u8>| set(disk, 36, &[0xff; 4]), "the table of clusters in its header")]
#[case::references(|disk: &mut Vec<u8>| set(disk, 56, &[0xff; 4]), "the table of references in its header")]
#[case::snapshots(|disk: &mut Vec<u8>| set(disk, 60, &[0, 0, 0, 1]), "it holds snapshots")]
#[case::data_file(|disk: &mut Vec<u8>| set(disk, 72, &4_u64.to_be_bytes()), "its data is in another file")]
#[case::dirty(|disk: &mut Vec<u8>| set(disk, 72, &1_u64.to_be_bytes()), "it was not closed")]
#[case::unknown_feature(|disk: &mut Vec<u8>| set(disk, 72, &(1_u64 << 40).to_be_bytes()), "a feature that is not known")]
#[case::raw_data_file(|disk: &mut Vec<u8>| set(disk, 88, &2_u64.to_be_bytes()), "a feature that is not known")]
#[case::data_file_name(|disk: &mut Vec<u8>| set(disk, 104, b"DATA\0\0\0\x08/etc/pas"), "its data is in another file")]
#[case::luks(|disk: &mut Vec<u8>| set(disk, 104, &[5, 0x37, 0xbe, 0x77, 0, 0, 0, 16]), "it is encrypted")]
#[case::extension(|disk: &mut Vec<u8>| set(disk, 104, &[1, 2, 3, 4, 0, 0, 0, 0]), "an extension that is not known")]
#[case::long_extension(|disk: &mut Vec<u8>| set(disk, 104, &[0x68, 3, 0xf8, 0x57, 0xff, 0xff, 0xff, 0xff]), "ends within its header")]
#[case::long_header(|disk: &mut Vec<u8>| set(disk, 100, &[0xff; 4]), "the length of the header")]
fn what_no_disk_needs_is_refused(#[case] change: Change, #[case] words: &str) {
    let mut bytes = disk(None);
    change(&mut bytes);
    let error = parse(&bytes).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
}

#[rstest::rstest]
#[case::no_format(|disk: &mut Vec<u8>| set(disk, 104, &[0; 8]), "whose format it does not say")]
#[case::raw(|disk: &mut Vec<u8>| set(disk, 112, b"raw\0\0"), "whose format it does not say")]
#[case::far_away(|disk: &mut Vec<u8>| set(disk, 8, &[0x7f; 8]), "the place of the file below")]
#[case::long_name(|disk: &mut Vec<u8>| set(disk, 16, &[0, 0, 0xff, 0xff]), "the place of the file below")]
fn a_strange_file_below_is_refused(#[case] change: Change, #[case] words: &str) {
    let mut bytes = disk(Some("/below"));
    change(&mut bytes);
    let error = parse(&bytes).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
}

#[test]
fn a_disk_stands_on_what_it_should_and_on_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let (whole, overlay) = (write("whole", &disk(None)), write("overlay", &disk(Some("/etc/passwd"))));
    let words = |result: Result<Header, Qcow2Error>| result.map_or_else(|error| error.to_string(), |_| String::new());
    assert_eq!(words(Header::of_whole(&whole)), "");
    assert!(words(Header::of_whole(&overlay)).contains("another file, `/etc/passwd`"));
    assert_eq!(words(Header::of_overlay(&overlay, Path::new("/etc/passwd"))), "");
    let elsewhere = words(Header::of_overlay(&overlay, Path::new("/cache/disk")));
    assert_eq!(elsewhere, "it should stand on /cache/disk, and stands on /etc/passwd");
    assert!(words(Header::of_overlay(&whole, Path::new("/cache/disk"))).ends_with("and stands on nothing"));
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&whole, &link).unwrap();
    assert!(words(Header::of_whole(&link)).contains("cannot be read"));
    nix::unistd::mkfifo(&directory.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(words(Header::of_whole(&directory.path().join("fifo"))).contains("no regular file"));
}

proptest! {
    #[test]
    fn anything_is_read_without_a_panic(changes in prop::collection::vec((0..700_usize, any::<u8>()), 0..12)) {
        let mut bytes = disk(Some("/below"));
        for (place, value) in changes {
            bytes[place] = value;
        }
        let _ = parse(&bytes);
        let _ = Header::parse(&bytes[..300], 300);
    }
}
