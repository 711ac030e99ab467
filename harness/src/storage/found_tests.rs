use super::*;
use crate::storage::Stack;
use crate::storage::plan::plan;

/// As util-linux, LVM and mdadm of Debian 12 print them.
const LOOPS: &str = r#"{"loopdevices": [{"name": "/dev/loop0", "back-file": "/srv/disks/disk0.img"}]}"#;

fn readings(header: Option<Header>, size: u64, mapped: bool) -> Readings {
    let mut readings = Readings::default();
    readings.read_loops(LOOPS).unwrap();
    let mapping = r#","children": [{"path": "/dev/mapper/cr_imap_encr", "type": "crypt", "fstype": "LVM2_member", "mountpoints": [null]}]"#;
    let mapping = if mapped { mapping } else { "" };
    let devices = format!(
        r#"{{"blockdevices": [{{"path": "/dev/loop0", "type": "loop", "fstype": "LVM2_member", "mountpoints": [null], "children": [
            {{"path": "/dev/mapper/volgrp4-lvimap_hd0", "type": "lvm", "fstype": "crypto_LUKS", "mountpoints": [null]{mapping}}}]}}]}}"#
    );
    readings.read_devices(&devices).unwrap();
    readings.read_groups(r#"{"report": [{"pv": [{"pv_name": "/dev/loop0", "vg_name": "volgrp4"}]}]}"#).unwrap();
    let volumes = format!(
        r#"{{"report": [{{"lv": [{{"vg_name": "volgrp4", "lv_name": "lvimap_hd0", "lv_size": "{size}"}}]}}]}}"#
    );
    readings.read_volumes(&volumes).unwrap();
    readings.files.insert("/srv/disks/disk0.img".into(), 1024 << 20);
    readings.headers.extend(header.map(|header| ("/dev/volgrp4/lvimap_hd0".into(), header)));
    if mapped {
        readings.opened.insert("/dev/mapper/cr_imap_encr".into(), Discards::read(STATUS));
    }
    readings
}

const DUMP: &str = "LUKS header information for /dev/volgrp4/lvimap_hd0\n\nVersion:       \t1\nCipher name:   \taes\nCipher mode:   \t\
                    xts-plain64\nHash spec:     \tsha512\nPayload offset:\t4096\nMK bits:       \t512\nMK digest:     \t8a 5e\n\nKey Slot 0: ENABLED\n";

/// `cryptsetup status`, of Debian 12.
const STATUS: &str = "/dev/mapper/cr_imap_encr is active and is in use.\n  type:    LUKS1\n  cipher:  aes-xts-plain64\n  keysize: 512 bits\n  \
                      device:  /dev/mapper/volgrp4-lvimap_hd0\n  mode:    read/write\n";

fn header() -> Header {
    Header::version_1(DUMP).unwrap()
}

#[test]
fn a_header_says_what_it_takes() {
    assert_eq!(header().offset, 2 << 20);
}

#[rstest::rstest]
#[case::all_is_there(readings(Some(header()), 904 << 20, true), "as planned, as planned, as planned, as planned")]
#[case::closed(readings(Some(header()), 904 << 20, false), "as planned, as planned, as planned, there, and not in use")]
#[case::not_formatted(readings(None, 904 << 20, false), "as planned, as planned, as planned, missing")]
#[case::another_size(readings(Some(header()), 900 << 20, true), "as planned, as planned, it has 943718400 bytes, and not 947912704, as planned")]
#[case::another_cipher(
    readings(Some(Header { cipher: "aes-cbc-essiv:sha256".into(), key_bits: 256, ..header() }), 904 << 20, true),
    "as planned, as planned, as planned, its cipher is aes-cbc-essiv:sha256, and not aes-xts-plain64; its key is 256 bits, and not 512 bits"
)]
#[case::nothing(Readings::default(), "missing, missing, missing, missing")]
fn what_is_there_is_told(#[case] readings: Readings, #[case] words: &str) {
    let layers = r#"[{"disks": {"sizes_mib": [1024]}}, {"group": {}}, {"volume": {"size_mib": 904}}, {"luks": {}}]"#;
    let stack = Stack::new(serde_json::from_str(layers).unwrap()).unwrap();
    let mut below = String::new();
    let mut found = Vec::new();
    for work in plan(&stack) {
        found.push(readings.of(&work, &below).to_string());
        below = if matches!(work.layer, Layer::Disks(_)) { "/dev/loop0".into() } else { work.place };
    }
    assert_eq!(found.join(", "), words);
}

#[rstest::rstest]
#[case::kept(STATUS, "{}", None)]
#[case::passed_on("  mode:    read/write\n  flags:   discards same_cpu_crypt \n", r#"{"discards": true}"#, None)]
#[case::kept_and_planned_otherwise(STATUS, r#"{"discards": true}"#, Some("its discards are kept, and not passed on"))]
#[case::other_flags(
    "  flags:   same_cpu_crypt\n",
    r#"{"discards": true}"#,
    Some("its discards are kept, and not passed on")
)]
#[case::passed_on_without_leave("  flags:   discards \n", "{}", Some("its discards are passed on, and not kept"))]
fn what_becomes_of_discards_is_told(#[case] status: &str, #[case] luks: &str, #[case] words: Option<&str>) {
    let mut readings = readings(Some(header()), 904 << 20, true);
    readings.opened.insert("/dev/mapper/cr_imap_encr".into(), Discards::read(status));
    let layers = format!(
        r#"[{{"disks": {{"sizes_mib": [1024]}}}}, {{"group": {{}}}}, {{"volume": {{"size_mib": 904}}}}, {{"luks": {luks}}}]"#
    );
    let stack = Stack::new(serde_json::from_str(&layers).unwrap()).unwrap();
    let found = readings.of(&plan(&stack)[3], "/dev/volgrp4/lvimap_hd0");
    assert_eq!(found.to_string(), words.unwrap_or("as planned"));
}

#[test]
fn a_group_on_something_else_is_in_the_way() {
    let mut readings = readings(None, 904 << 20, false);
    readings.groups.insert("volgrp4".into(), vec!["/dev/vdz".into()]);
    let stack =
        Stack::new(serde_json::from_str(r#"[{"disks": {"sizes_mib": [1024]}}, {"group": {}}]"#).unwrap()).unwrap();
    let found = readings.of(&plan(&stack)[1], "/dev/loop0");
    assert_eq!(found.to_string(), "a group of this name is on /dev/vdz already");
}

#[test]
fn a_header_of_version_2_is_json() {
    let dump = r#"{"keyslots":{"0":{"type":"luks2","key_size":64,"kdf":{"type":"argon2id","time":4}}},
        "segments":{"0":{"type":"crypt","offset":"16777216","encryption":"aes-xts-plain64"}},"digests":{"0":{"type":"pbkdf2","hash":"sha512"}}}"#;
    let header = Header::version_2(dump).unwrap();
    let luks: Luks = serde_json::from_str(r#"{"version": "luks2", "pbkdf": "argon2id"}"#).unwrap();
    assert_eq!(differences(&header, &luks), Vec::<String>::new());
    assert_eq!(header.offset, 16 << 20);
    let other: Luks = serde_json::from_str(r#"{"version": "luks2", "pbkdf": "argon2i"}"#).unwrap();
    assert_eq!(differences(&header, &other), ["its derivation is argon2id, and not argon2i"]);
}

#[rstest::rstest]
#[case::lvm("LVM2_member", r#"[{"disks": {"sizes_mib": [1024]}}, {"group": {}}]"#, "LVM does not look at it")]
#[case::array(
    "linux_raid_member",
    r#"[{"disks": {"sizes_mib": [64, 64, 64, 64]}}, {"raid10": {}}]"#,
    "an array that is not running here"
)]
fn what_is_not_seen_is_not_missing(#[case] kind: &str, #[case] layers: &str, #[case] words: &str) {
    let mut readings = Readings::default();
    readings.read_groups(r#"{"report": [{"pv": []}]}"#).unwrap();
    let stack = Stack::new(serde_json::from_str(layers).unwrap()).unwrap();
    let work = &plan(&stack)[1];
    let devices = |holds: &str| {
        format!(
            r#"{{"blockdevices": [{{"path": "/dev/loop0", "type": "loop", "fstype": {holds}, "mountpoints": [null]}}]}}"#
        )
    };
    readings.read_devices(&devices("null")).unwrap();
    assert_eq!(readings.of(work, "/dev/loop0"), Found::Missing);
    readings.read_devices(&devices(&format!("\"{kind}\""))).unwrap();
    let found = readings.of(work, "/dev/loop0");
    assert!(matches!(found, Found::Unseen(_)) && found.to_string().contains(words), "{found}");
}

#[test]
fn a_device_that_lvm_looks_at_and_that_is_in_no_group_may_be_taken() {
    let mut readings = readings(None, 904 << 20, false);
    readings.groups.clear();
    let stack =
        Stack::new(serde_json::from_str(r#"[{"disks": {"sizes_mib": [1024]}}, {"group": {}}]"#).unwrap()).unwrap();
    assert_eq!(readings.of(&plan(&stack)[1], "/dev/loop0"), Found::Missing);
}

#[rstest::rstest]
#[case::half("Version: 1\n", "the output of cryptsetup luksDump makes no sense: there is no `MK bits`")]
#[case::garbage(
    "Version: 1\nCipher name: aes\nCipher mode: xts-plain64\nPayload offset: 4096\nMK bits: many\n",
    "the output of cryptsetup luksDump makes no sense: `many` is no number of bits"
)]
fn a_header_that_makes_no_sense_is_said(#[case] dump: &str, #[case] words: &str) {
    assert_eq!(Header::version_1(dump).unwrap_err().to_string(), words);
}
