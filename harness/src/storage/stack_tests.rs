use super::super::layer::{Disks, Ext4, Group, Raid10};
use super::super::plan::{Word, plan};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A stack as scenarios write it.
fn stack(layers: &str) -> Result<Stack, StackFlaw> {
    Stack::new(serde_json::from_str(layers).unwrap())
}

#[rstest::rstest]
#[case::nothing("[]", "layer 1 (none) cannot be built: there is no layer")]
#[case::luks_on_nothing(
    r#"[{"luks": {}}]"#,
    "layer 1 (encrypted volume cr_imap_encr) cannot be built: there is nothing below it"
)]
#[case::three_disks(
    r#"[{"disks": {"sizes_mib": [512, 512, 512]}}, {"raid10": {}}]"#,
    "layer 2 (RAID 10 md0) cannot be built: it mirrors pairs of disks, four or more, and there are 3"
)]
#[case::different_disks(
    r#"[{"disks": {"sizes_mib": [512, 600, 700]}}, {"raid10": {}}]"#,
    "layer 2 (RAID 10 md0) cannot be built: its disks have different sizes: 512 MiB, 600 MiB, 700 MiB"
)]
#[case::group_on_disks(
    r#"[{"disks": {"sizes_mib": [512, 512, 512, 512]}}, {"group": {}}]"#,
    "layer 2 (volume group volgrp4) cannot be built: it needs one device, and there are several disks below it"
)]
#[case::file_on_a_device(
    r#"[{"disks": {"sizes_mib": [512]}}, {"qcow2": {"name": "a.qcow2", "size_mib": 100}}]"#,
    "layer 2 (guest's disk a.qcow2) cannot be built: a guest's disk that is a file stands in a file system"
)]
#[case::too_much(
    r#"[{"disks": {"sizes_mib": [1024]}}, {"group": {}}, {"volume": {"size_mib": 600}}, {"volume": {"name": "b", "size_mib": 600}}]"#,
    "layer 4 (volume b) cannot be built: it needs 600 MiB, and the group has 420 MiB left"
)]
#[case::argon_in_luks1(
    r#"[{"disks": {"sizes_mib": [512]}}, {"luks": {"pbkdf": "argon2id"}}]"#,
    "layer 2 (encrypted volume cr_imap_encr) cannot be built: LUKS1 derives keys by pbkdf2 only; Argon2 needs version luks2"
)]
#[case::no_such_disk(
    r#"[{"disks": {"sizes_mib": [512, 17592186044416]}}]"#,
    "layer 1 (2 disks in /srv/disks) cannot be built: 17592186044416 MiB are more than 1 PiB"
)]
#[case::twice_the_same(
    r#"[{"disks": {"sizes_mib": [1024]}}, {"group": {}}, {"volume": {"size_mib": 4}}, {"volume": {"size_mib": 4}}]"#,
    "layer 4 (volume lvimap_hd0) cannot be built: a layer below it has this name"
)]
#[case::an_option(
    r#"[{"disks": {"sizes_mib": [512]}}, {"luks": {"name": "--help"}}]"#,
    "layer 2 (encrypted volume --help) cannot be built: `--help` looks like an option"
)]
#[case::no_name(
    r#"[{"disks": {"sizes_mib": [512]}}, {"group": {"name": ""}}]"#,
    "layer 2 (volume group ) cannot be built: `` is no name"
)]
#[case::this_directory(
    r#"[{"disks": {"sizes_mib": [512]}}, {"group": {"name": "."}}]"#,
    "layer 2 (volume group .) cannot be built: `.` is no name"
)]
#[case::the_directory_above(
    r#"[{"disks": {"sizes_mib": [512]}}, {"ext4": {"mount": "/srv/a"}}, {"qcow2": {"name": "..", "size_mib": 100}}]"#,
    "layer 3 (guest's disk ..) cannot be built: `..` is no name"
)]
#[case::a_path(
    r#"[{"disks": {"sizes_mib": [512]}}, {"luks": {"name": "../sda"}}]"#,
    "layer 2 (encrypted volume ../sda) cannot be built: `../sda` has characters that no volume's name can have"
)]
#[case::no_such_volume(
    r#"[{"disks": {"sizes_mib": [512]}}, {"group": {}}, {"volume": {"size_mib": 1073741825}}]"#,
    "layer 3 (volume lvimap_hd0) cannot be built: 1073741825 MiB are more than 1 PiB"
)]
#[case::no_such_file(
    r#"[{"disks": {"sizes_mib": [64]}}, {"ext4": {"mount": "/a"}}, {"qcow2": {"name": "b", "size_mib": 1073741825}}]"#,
    "layer 3 (guest's disk b) cannot be built: 1073741825 MiB are more than 1 PiB"
)]
#[case::a_volume_of_no_size(
    r#"[{"disks": {"sizes_mib": [512]}}, {"group": {}}, {"volume": {"size_mib": 0}}]"#,
    "layer 3 (volume lvimap_hd0) cannot be built: a volume of no size"
)]
#[case::two_disks(
    r#"[{"disks": {"sizes_mib": [512, 512]}}, {"raid10": {}}]"#,
    "layer 2 (RAID 10 md0) cannot be built: it mirrors pairs of disks, four or more, and there are 2"
)]
#[case::five_disks(
    r#"[{"disks": {"sizes_mib": [512, 512, 512, 512, 512]}}, {"raid10": {}}]"#,
    "layer 2 (RAID 10 md0) cannot be built: it mirrors pairs of disks, four or more, and there are 5"
)]
#[case::disks_without_room(
    r#"[{"disks": {"sizes_mib": [8, 8, 8, 8]}}, {"raid10": {}}]"#,
    "layer 2 (RAID 10 md0) cannot be built: disks of 8 MiB have no room for it"
)]
#[case::more_than_half_of_the_disks(
    r#"[{"disks": {"sizes_mib": [64, 64, 64, 64]}}, {"raid10": {}}, {"group": {}}, {"volume": {"size_mib": 112}}]"#,
    "layer 4 (volume lvimap_hd0) cannot be built: it needs 112 MiB, and the group has 108 MiB left"
)]
fn what_cannot_be_built_is_refused(#[case] layers: &str, #[case] words: &str) {
    assert_eq!(stack(layers).unwrap_err().to_string(), words);
}

#[rstest::rstest]
#[case::the_largest_disk(r#"[{"disks": {"sizes_mib": [1073741824]}}]"#)]
#[case::six_disks(r#"[{"disks": {"sizes_mib": [512, 512, 512, 512, 512, 512]}}, {"raid10": {}}]"#)]
#[case::the_smallest_disks(r#"[{"disks": {"sizes_mib": [9, 9, 9, 9]}}, {"raid10": {}}]"#)]
#[case::half_of_the_disks(
    r#"[{"disks": {"sizes_mib": [64, 64, 64, 64]}}, {"raid10": {}}, {"group": {}}, {"volume": {"size_mib": 108}}]"#
)]
fn what_can_be_built_is_accepted(#[case] layers: &str) {
    assert_eq!(stack(layers).err(), None);
}

#[rstest::rstest]
#[case::none(0, Some("layer 1 (0 disks in /srv/disks) cannot be built: there is no disk"))]
#[case::as_many_as_there_may_be(256, None)]
#[case::one_more(257, Some("layer 1 (257 disks in /srv/disks) cannot be built: more than 256 disks"))]
fn disks_are_counted(#[case] count: usize, #[case] words: Option<&str>) {
    let disks = Layer::Disks(Disks { directory: "/srv/disks".into(), sizes_mib: vec![1; count] });
    let error = Stack::new(vec![disks]).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), words);
}

#[rstest::rstest]
#[case::a_small_disk(
    r#"[{"disks": {"sizes_mib": [10]}}, {"luks": {"version": "luks2"}}]"#,
    Some(
        "encrypted volume cr_imap_encr: its luks2 header takes at least 16 MiB, and the device below has 10 MiB; nothing was done: make it larger, or take luks1"
    )
)]
#[case::nothing_is_left(
    r#"[{"disks": {"sizes_mib": [16]}}, {"luks": {"version": "luks2"}}]"#,
    Some(
        "encrypted volume cr_imap_encr: its luks2 header takes at least 16 MiB, and the device below has 16 MiB; nothing was done: make it larger, or take luks1"
    )
)]
#[case::luks1(r#"[{"disks": {"sizes_mib": [10]}}, {"luks": {}}]"#, None)]
#[case::a_small_volume(
    r#"[{"disks": {"sizes_mib": [512]}}, {"group": {}}, {"volume": {"size_mib": 12}}, {"luks": {"version": "luks2"}}]"#,
    Some(
        "encrypted volume cr_imap_encr: its luks2 header takes at least 16 MiB, and the device below has 12 MiB; nothing was done: make it larger, or take luks1"
    )
)]
#[case::a_tiny_volume(
    r#"[{"disks": {"sizes_mib": [1]}}, {"luks": {}}]"#,
    Some(
        "encrypted volume cr_imap_encr: its luks1 header takes at least 2 MiB, and the device below has 1 MiB; nothing was done: make it larger"
    )
)]
fn a_device_smaller_than_the_header_is_refused(#[case] layers: &str, #[case] words: Option<&str>) {
    let error = stack(layers).unwrap().check_headers().err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), words);
}

/// Some layer, of any size, with one of two names.
fn layer() -> impl Strategy<Value = Layer> {
    let size = || prop_oneof![0_u64..4096, Just(u64::MAX), any::<u64>()];
    let sizes = prop_oneof![prop::collection::vec(size(), 0..6), (0_u64..4096).prop_map(|size| vec![size; 4])];
    let name = || prop_oneof![Just("a".to_owned()), Just("b".to_owned())];
    prop_oneof![
        sizes.prop_map(|sizes_mib| Layer::Disks(Disks { directory: "/srv/disks".into(), sizes_mib })),
        name().prop_map(|name| Layer::Raid10(Raid10 { name })),
        name().prop_map(|name| Layer::Group(Group { name })),
        (name(), size()).prop_map(|(name, size_mib)| Layer::Volume(Volume { name, size_mib })),
        name().prop_map(|name| Layer::Luks(serde_json::from_str(&format!(r#"{{"name": "{name}"}}"#)).unwrap())),
        name().prop_map(|name| Layer::Ext4(Ext4 { mount: format!("/srv/{name}") })),
        (name(), size()).prop_map(|(name, size_mib)| Layer::Qcow2(Qcow2 { name, size_mib })),
    ]
}

proptest! {
    /// Layers in any order are refused with one of them named, or have a plan: each can be made, and what is taken up can be put down; no
    /// word of a command is empty, and no two layers have one place.
    #[test]
    fn any_layers_are_refused_or_planned(layers in prop::collection::vec(layer(), 0..7)) {
        let count = layers.len();
        match Stack::new(layers) {
            Err(diagnostic) => prop_assert!((1..=count.max(1)).contains(&diagnostic.number)),
            Ok(stack) => {
                let work = plan(&stack);
                prop_assert_eq!(work.len(), count);
                let places: BTreeSet<_> = work.iter().map(|work| &work.place).collect();
                prop_assert_eq!(places.len(), count);
                for work in work {
                    prop_assert!(!work.make.is_empty() && !work.place.is_empty());
                    prop_assert!(work.take_up.is_empty() || !work.put_down.is_empty());
                    let commands = [&work.make, &work.take_up, &work.put_down, &work.remove];
                    let words = commands.into_iter().flatten().flat_map(|command| &command.words);
                    for word in words {
                        prop_assert!(!matches!(word, Word::Text(text) if text.is_empty()));
                    }
                }
            }
        }
    }
}
