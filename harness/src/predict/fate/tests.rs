//! Every row of the table of fates, and what must hold for all of them.

use super::*;
use crate::predict::entry::{Algorithm, Digest};
use proptest::prelude::*;
use rstest::rstest;

/// The digest of a made-up content: what matters is only which are equal.
fn digest(algorithm: Algorithm, content: &str) -> Digest {
    Digest { algorithm, hex: format!("{algorithm}:{content}") }
}

fn entry(care: Care, content: Content) -> FileEntry {
    FileEntry { content, care, ghost: false, missing_ok: false, present: true }
}

/// A file of a package from after the change to SHA-256.
fn file(care: Care, content: &str) -> FileEntry {
    entry(care, Content::Regular(Some(digest(Algorithm::Sha256, content))))
}

/// A file of a package from before it.
fn md5_file(care: Care, content: &str) -> FileEntry {
    entry(care, Content::Regular(Some(digest(Algorithm::Md5, content))))
}

fn link(care: Care, target: &str) -> FileEntry {
    entry(care, Content::Link(target.to_owned()))
}

fn ghost(care: Care) -> FileEntry {
    FileEntry { ghost: true, ..entry(care, Content::Regular(None)) }
}

fn disk(content: &str) -> OnDisk {
    OnDisk::Regular(vec![digest(Algorithm::Md5, content), digest(Algorithm::Sha256, content)])
}

const NONE: Care = Care::None;
const CONFIG: Care = Care::Config;
const NOREPLACE: Care = Care::NoReplace;

#[rstest]
#[case::plain(NONE, Fate::DeletedWithoutBackup, Fate::Removed)]
#[case::config(CONFIG, Fate::RemovedWithRpmsave, Fate::Removed)]
#[case::noreplace(NOREPLACE, Fate::RemovedWithRpmsave, Fate::Removed)]
fn a_dropped_file(#[case] care: Care, #[case] edited: Fate, #[case] untouched: Fate) {
    for old in [file(care, "old"), md5_file(care, "old")] {
        assert_eq!(erase(&old, &disk("admin")), edited);
        assert_eq!(erase(&old, &disk("old")), untouched);
        assert_eq!(erase(&old, &OnDisk::Link("admin".into())), edited);
        assert_eq!(erase(&old, &OnDisk::Missing), Fate::Absent);
    }
}

#[test]
fn a_dropped_ghost_goes_unless_it_is_config() {
    assert_eq!(erase(&ghost(NONE), &disk("admin")), Fate::DeletedWithoutBackup);
    assert_eq!(erase(&ghost(CONFIG), &disk("admin")), Fate::Kept);
    assert_eq!(erase(&ghost(NOREPLACE), &disk("admin")), Fate::Kept);
}

#[test]
fn what_another_package_has_taken_over_is_not_erased() {
    let old = FileEntry { present: false, ..file(NONE, "old") };
    assert_eq!(erase(&old, &disk("admin")), Fate::Kept);
}

#[rstest]
// What the packages say, before and after; what becomes of an edited file if the package's changes, and if it does not.
#[case::plain(NONE, NONE, Fate::OverwrittenWithoutBackup, Fate::OverwrittenWithoutBackup)]
#[case::config(CONFIG, CONFIG, Fate::ReplacedWithRpmsave, Fate::Kept)]
#[case::noreplace(NOREPLACE, NOREPLACE, Fate::KeptWithRpmnew, Fate::Kept)]
#[case::plain_to_config(NONE, CONFIG, Fate::ReplacedWithRpmsave, Fate::Kept)]
#[case::plain_to_noreplace(NONE, NOREPLACE, Fate::KeptWithRpmnew, Fate::Kept)]
#[case::config_to_plain(CONFIG, NONE, Fate::ReplacedWithRpmsave, Fate::ReplacedWithRpmsave)]
#[case::config_to_noreplace(CONFIG, NOREPLACE, Fate::KeptWithRpmnew, Fate::Kept)]
#[case::noreplace_to_plain(NOREPLACE, NONE, Fate::ReplacedWithRpmsave, Fate::ReplacedWithRpmsave)]
#[case::noreplace_to_config(NOREPLACE, CONFIG, Fate::ReplacedWithRpmsave, Fate::Kept)]
fn a_file_in_both_packages(#[case] before: Care, #[case] after: Care, #[case] changed: Fate, #[case] same: Fate) {
    let old = file(before, "old");
    for admin in [disk("admin"), OnDisk::Link("admin".into())] {
        assert_eq!(upgrade(&old, &file(after, "new"), &admin), changed);
        assert_eq!(upgrade(&old, &file(after, "old"), &admin), same);
        // The change of the algorithm makes an unchanged file a changed one.
        assert_eq!(upgrade(&md5_file(before, "old"), &file(after, "old"), &admin), changed);
    }
    for (old, new) in [(old, file(after, "new")), (md5_file(before, "old"), file(after, "new"))] {
        assert_eq!(upgrade(&old, &new, &disk("old")), Fate::Updated);
        assert_eq!(upgrade(&old, &new, &disk("new")), Fate::Updated);
        assert_eq!(upgrade(&old, &new, &OnDisk::Missing), Fate::Created);
    }
}

#[rstest]
#[case::plain(NONE, Fate::OverwrittenWithoutBackup)]
#[case::config(CONFIG, Fate::ReplacedWithRpmorig)]
#[case::noreplace(NOREPLACE, Fate::KeptWithRpmnew)]
fn a_file_that_no_package_had(#[case] care: Care, #[case] fate: Fate) {
    assert_eq!(install(&file(care, "new"), &disk("admin")), fate);
    assert_eq!(install(&file(care, "new"), &OnDisk::Link("admin".into())), fate);
    assert_eq!(install(&file(care, "new"), &disk("new")), Fate::Updated);
    assert_eq!(install(&file(care, "new"), &OnDisk::Missing), Fate::Created);
    assert_eq!(install(&ghost(care), &disk("admin")), Fate::Kept);
    assert_eq!(install(&ghost(care), &OnDisk::Missing), Fate::Absent);
}

#[test]
fn missingok_leaves_a_deleted_file_deleted() {
    let new = FileEntry { missing_ok: true, ..file(CONFIG, "new") };
    assert_eq!(upgrade(&file(CONFIG, "old"), &new, &OnDisk::Missing), Fate::Absent);
    assert_eq!(upgrade(&file(CONFIG, "old"), &new, &disk("admin")), Fate::ReplacedWithRpmsave);
}

#[rstest]
#[case::changed_target(link(CONFIG, "a"), link(CONFIG, "b"), OnDisk::Link("admin".into()), Fate::ReplacedWithRpmsave)]
#[case::same_target(link(CONFIG, "a"), link(CONFIG, "a"), OnDisk::Link("admin".into()), Fate::Kept)]
#[case::untouched(link(CONFIG, "a"), link(CONFIG, "b"), OnDisk::Link("a".into()), Fate::Updated)]
#[case::already_new(link(CONFIG, "a"), link(CONFIG, "b"), OnDisk::Link("b".into()), Fate::Updated)]
#[case::a_file_instead(link(CONFIG, "a"), link(NOREPLACE, "b"), disk("admin"), Fate::KeptWithRpmnew)]
#[case::plain(link(NONE, "a"), link(NONE, "b"), OnDisk::Link("admin".into()), Fate::OverwrittenWithoutBackup)]
#[case::already_a_link(file(CONFIG, "old"), link(CONFIG, "b"), OnDisk::Link("b".into()), Fate::ReplacedWithRpmsave)]
#[case::file_to_link(file(NOREPLACE, "old"), link(NONE, "b"), disk("admin"), Fate::ReplacedWithRpmsave)]
fn links(#[case] old: FileEntry, #[case] new: FileEntry, #[case] disk: OnDisk, #[case] fate: Fate) {
    assert_eq!(upgrade(&old, &new, &disk), fate);
}

#[test]
fn a_directory_in_the_way() {
    assert_eq!(upgrade(&file(NONE, "old"), &file(NONE, "new"), &OnDisk::Directory), Fate::Blocked);
    assert_eq!(upgrade(&file(CONFIG, "old"), &file(CONFIG, "new"), &OnDisk::Directory), Fate::ReplacedWithRpmsave);
    assert_eq!(erase(&file(NONE, "old"), &OnDisk::Directory), Fate::Kept);
    assert_eq!(erase(&file(CONFIG, "old"), &OnDisk::Directory), Fate::RemovedWithRpmsave);
}

fn any_algorithm() -> impl Strategy<Value = Algorithm> {
    prop_oneof![Just(Algorithm::Md5), Just(Algorithm::Sha256), Just(Algorithm::Other(10))]
}

fn any_entry() -> impl Strategy<Value = FileEntry> {
    let care = prop_oneof![Just(NONE), Just(CONFIG), Just(NOREPLACE)];
    let content = prop_oneof![
        (any_algorithm(), "[abc]").prop_map(|(algorithm, content)| Content::Regular(Some(digest(algorithm, &content)))),
        "[abc]".prop_map(Content::Link),
    ];
    (care, content, any::<bool>(), any::<bool>()).prop_map(|(care, content, ghost, missing_ok)| FileEntry {
        ghost,
        missing_ok,
        ..entry(care, content)
    })
}

fn any_disk() -> impl Strategy<Value = OnDisk> {
    prop_oneof![
        Just(OnDisk::Missing),
        Just(OnDisk::Directory),
        "[abc]".prop_map(|content| disk(&content)),
        "[abc]".prop_map(OnDisk::Link),
    ]
}

proptest! {
    /// The word that rpm gives: what is %config in the package that comes, or in one that goes, is never lost.
    #[test]
    fn config_is_never_lost(old in any_entry(), new in any_entry(), disk in any_disk()) {
        if old.care.is_config() || new.care.is_config() {
            prop_assert!(!upgrade(&old, &new, &disk).is_loss());
        }
        if old.care.is_config() {
            prop_assert!(!erase(&old, &disk).is_loss());
        }
        if new.care.is_config() {
            prop_assert!(!install(&new, &disk).is_loss());
        }
    }

    /// What a package has can be had again, and what is not there cannot be lost.
    #[test]
    fn only_the_content_of_the_administrator_is_lost(old in any_entry(), new in any_entry(), disk in any_disk()) {
        if disk.equals(&old.content) || disk.equals(&new.content) || !disk.exists() {
            prop_assert!(!upgrade(&old, &new, &disk).is_loss());
        }
        if disk.equals(&old.content) || !disk.exists() {
            prop_assert!(!erase(&old, &disk).is_loss());
        }
    }

    /// A ghost brings nothing.
    #[test]
    fn a_coming_ghost_changes_nothing(old in any_entry(), new in any_entry(), disk in any_disk()) {
        let new = FileEntry { ghost: true, ..new };
        let expected = if disk.exists() { Fate::Kept } else { Fate::Absent };
        prop_assert_eq!(upgrade(&old, &new, &disk), expected);
        prop_assert_eq!(install(&new, &disk), expected);
    }

    /// A second file is left only where there was one, and a copy of the administrator's only by a name that says so.
    #[test]
    fn second_files_have_names(old in any_entry(), new in any_entry(), disk in any_disk()) {
        for fate in [upgrade(&old, &new, &disk), install(&new, &disk), erase(&old, &disk)] {
            prop_assert!(fate.suffix().is_none() || disk.exists());
            prop_assert!(!fate.keeps_copy() || fate.suffix().is_some_and(|suffix| suffix != ".rpmnew"));
            prop_assert!(!(fate.is_loss() && fate.suffix().is_some()));
        }
    }
}
