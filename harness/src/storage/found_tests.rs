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

fn planned(layers: &str) -> Vec<Work> {
    plan(&Stack::new(serde_json::from_str(layers).unwrap()).unwrap())
}

#[rstest::rstest]
#[case::no_files(0, 0, "missing")]
#[case::detached(2, 0, "there, and not in use")]
#[case::attached(2, 2, "as planned")]
#[case::one_is_detached(2, 1, "2 of 2 files are there, 1 attached")]
#[case::one_is_missing(1, 1, "1 of 2 files are there, 1 attached")]
fn all_disks_are_there_and_attached_or_none(#[case] there: usize, #[case] attached: usize, #[case] words: &str) {
    let file = |number: usize| format!("/srv/disks/disk{number}.img");
    let mut readings = Readings::default();
    readings.files.extend((0..there).map(|number| (file(number), 64_u64 << 20)));
    readings.loops.extend((0..attached).map(|number| (file(number), format!("/dev/loop{number}"))));
    let work = planned(r#"[{"disks": {"sizes_mib": [64, 64]}}]"#);
    assert_eq!(readings.of(&work[0], "").to_string(), words);
}

#[rstest::rstest]
#[case::as_planned(
    "MD_LEVEL=raid10\nMD_DEVICES=4\nMD_METADATA=1.2\nMD_DEVNAME=md0\nMD_NAME=any:md0\nMD_DEVICE_dev_loop0_ROLE=0\n",
    "as planned"
)]
#[case::another_level("MD_LEVEL=raid1\nMD_DEVICES=2\nMD_METADATA=1.2\n", "it is raid1, and not raid10")]
#[case::nothing_is_said("", "it is no array, and not raid10")]
fn an_array_is_judged_by_its_level(#[case] output: &str, #[case] words: &str) {
    let work = planned(r#"[{"disks": {"sizes_mib": [64, 64, 64, 64]}}, {"raid10": {}}]"#);
    let mut readings = Readings::default();
    readings.arrays.insert("/dev/md/md0".into(), exported(output));
    assert_eq!(readings.of(&work[1], "/dev/loop0").to_string(), words);
}

#[rstest::rstest]
#[case::mounted("\"ext4\"", "\"/srv/mail\"", "as planned")]
#[case::mounted_elsewhere("\"ext4\"", "\"/mnt\"", "there, and not in use")]
#[case::not_mounted("\"ext4\"", "null", "there, and not in use")]
#[case::nothing_on_the_device("null", "null", "missing")]
fn a_file_system_is_in_use_where_it_is_to_be_mounted(#[case] holds: &str, #[case] mount: &str, #[case] words: &str) {
    let layers = r#"[{"disks": {"sizes_mib": [1024]}}, {"group": {}}, {"volume": {"size_mib": 904}},
        {"ext4": {"mount": "/srv/mail"}}]"#;
    let devices = format!(
        r#"{{"blockdevices": [{{"path": "/dev/mapper/volgrp4-lvimap_hd0", "type": "lvm", "fstype": {holds},
            "mountpoints": [{mount}]}}]}}"#
    );
    let mut readings = Readings::default();
    readings.read_devices(&devices).unwrap();
    assert_eq!(readings.of(&planned(layers)[3], "/dev/volgrp4/lvimap_hd0").to_string(), words);
}

#[test]
fn a_guests_disk_is_there_when_its_file_is() {
    let layers = r#"[{"disks": {"sizes_mib": [1024]}}, {"ext4": {"mount": "/srv/guests"}},
        {"qcow2": {"name": "imap.qcow2", "size_mib": 100}}]"#;
    let work = planned(layers);
    let mut readings = Readings::default();
    assert_eq!(readings.of(&work[2], "/srv/guests"), Found::Missing);
    readings.files.insert("/srv/guests/imap.qcow2".into(), 196_616);
    assert_eq!(readings.of(&work[2], "/srv/guests"), Found::AsPlanned);
}

#[rstest::rstest]
#[case::open(true, "/dev/mapper/cr_imap_encr", true)]
#[case::closed(false, "/dev/mapper/cr_imap_encr", false)]
#[case::a_logical_volume(true, "/dev/mapper/volgrp4-lvimap_hd0", false)]
fn only_what_is_decrypted_is_open(#[case] mapped: bool, #[case] place: &str, #[case] expected: bool) {
    assert_eq!(readings(Some(header()), 904 << 20, mapped).is_open(place), expected);
}

#[rstest::rstest]
#[case::known("/dev/loop0", "/dev/loop0")]
#[case::unknown("/dev/vdz", "/dev/vdz")]
#[case::volume("/dev/volgrp4/lvimap_hd0", "/dev/mapper/volgrp4-lvimap_hd0")]
#[case::volume_with_dashes("/dev/vol-grp/lv-imap", "/dev/mapper/vol--grp-lv--imap")]
#[case::closed_volume("/dev/mapper/cr_imap_encr", "/dev/mapper/cr_imap_encr")]
#[case::array("/dev/md/md0", "/dev/md127")]
fn a_device_is_looked_up_by_the_name_that_lsblk_has(#[case] path: &str, #[case] expected: &str) {
    let mut readings = readings(None, 904 << 20, false);
    readings.arrays.insert("/dev/md/md0".into(), exported("MD_LEVEL=raid10\nDEVNAME=/dev/md127\n"));
    assert_eq!(readings.resolved(path), expected);
}
