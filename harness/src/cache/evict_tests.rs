use super::*;
use crate::cache::{ContentKey, InUse, declare_foundations};
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

const ENTRY_BYTES: u64 = 1 << 20;

struct Room {
    cache: Cache,
    _directory: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { cache: Cache::at(directory.path().join("cache")).unwrap(), _directory: directory }
    }

    /// An entry that was used last `hours` ago; a template says what it stands on, if that is given.
    fn add(&self, kind: Kind, name: &str, hours: u64, foundations: Option<&[&EntryName]>) -> EntryName {
        let entry = EntryName::new(name, &ContentKey::of([name.as_bytes()]));
        let claim = self.cache.claim(kind, &entry, || {}).unwrap();
        let new = self.cache.building().join("new");
        fs::create_dir(&new).unwrap();
        fs::write(new.join("disk"), vec![1; usize::try_from(ENTRY_BYTES).unwrap()]).unwrap();
        if let Some(foundations) = foundations {
            declare_foundations(&new, foundations.iter().copied()).unwrap();
        }
        claim.publish(&new).unwrap();
        let used = SystemTime::now() - Duration::from_hours(hours);
        File::open(claim.place()).unwrap().set_modified(used).unwrap();
        entry
    }

    fn open(&self, kind: Kind, entry: &EntryName) -> InUse {
        self.cache.open(kind, entry).unwrap().unwrap()
    }

    /// Shrinks to nothing, and says what went, in order.
    fn shrink_to(&self, limit: Size) -> Vec<String> {
        let shrunk = self.cache.shrink(limit).unwrap();
        shrunk.removed.iter().map(|gone| gone.name.name().to_owned()).collect()
    }
}

#[test]
fn the_least_recently_used_goes_first_and_no_more_than_must() {
    let room = Room::new();
    for (name, hours) in [("young", 1), ("old", 9), ("middle", 5)] {
        room.add(Kind::Image, name, hours, None);
    }
    assert!(room.shrink_to(Size::gibibytes(1)).is_empty());
    assert_eq!(room.shrink_to(Size::bytes(2 * ENTRY_BYTES + ENTRY_BYTES / 2)), ["old"]);
    assert_eq!(room.shrink_to(Size::bytes(0)), ["middle", "young"]);
    assert!(room.cache.list(Kind::Image).unwrap().is_empty());
}

#[test]
fn what_is_in_use_or_claimed_stays() {
    let room = Room::new();
    let used = room.add(Kind::Image, "used", 9, None);
    let claimed = room.add(Kind::Image, "claimed", 8, None);
    room.add(Kind::Image, "free", 7, None);
    let in_use = room.open(Kind::Image, &used);
    let claim = room.cache.claim(Kind::Image, &claimed, || {}).unwrap();
    assert_eq!(room.shrink_to(Size::bytes(0)), ["free"]);
    assert_eq!(room.cache.remove(Kind::Image, &used).unwrap(), Removal::InUse);
    assert_eq!(room.cache.remove(Kind::Image, &claimed).unwrap(), Removal::InUse);
    let place = in_use.place().to_owned();
    drop((in_use, claim));
    crate::cache::lock::wait_until_free(&place);
    // To use it was to use it now.
    assert_eq!(room.shrink_to(Size::bytes(0)), ["claimed", "used"]);
    assert_eq!(room.cache.remove(Kind::Image, &used).unwrap(), Removal::Missing);
}

#[test]
fn a_template_goes_before_the_images_that_it_stands_on() {
    let room = Room::new();
    let mail = room.add(Kind::Image, "mail", 9, None);
    room.add(Kind::Image, "unrelated", 8, None);
    room.add(Kind::Template, "lan", 1, Some(&[&mail]));
    assert_eq!(room.shrink_to(Size::bytes(0)), ["unrelated", "lan", "mail"]);
}

#[test]
fn a_template_in_use_keeps_its_images() {
    let room = Room::new();
    let mail = room.add(Kind::Image, "mail", 9, None);
    let lan = room.add(Kind::Template, "lan", 8, Some(&[&mail]));
    let in_use = room.open(Kind::Template, &lan);
    assert!(room.shrink_to(Size::bytes(0)).is_empty());
    let place = in_use.place().to_owned();
    drop(in_use);
    crate::cache::lock::wait_until_free(&place);
    assert_eq!(room.shrink_to(Size::bytes(0)), ["lan", "mail"]);
}

#[test]
fn a_template_that_does_not_say_what_it_stands_on_stands_on_all() {
    let room = Room::new();
    room.add(Kind::Image, "mail", 9, None);
    room.add(Kind::Template, "lan", 1, None);
    assert_eq!(room.shrink_to(Size::bytes(0)), ["lan", "mail"]);
}

#[rstest::rstest]
#[case::not_set(None, Some(DEFAULT_LIMIT))]
#[case::empty(Some(""), Some(DEFAULT_LIMIT))]
#[case::another(Some("5GiB"), Some(Size::gibibytes(5)))]
#[case::no_size(Some("much"), None)]
fn a_person_can_set_the_limit(#[case] variable: Option<&str>, #[case] expected: Option<Size>) {
    assert_eq!(limit_by(variable.map(OsString::from)).ok(), expected);
}

#[test]
fn a_cache_that_is_just_as_large_as_it_may_be_keeps_all() {
    let room = Room::new();
    room.add(Kind::Image, "one", 1, None);
    let size = room.cache.list(Kind::Image).unwrap()[0].size;
    assert!(room.shrink_to(size).is_empty());
    assert_eq!(room.shrink_to(size.less(Size::bytes(1))), ["one"]);
}

#[test]
fn an_entry_that_cannot_be_removed_is_an_error_and_not_in_use() {
    let room = Room::new();
    let entry = room.add(Kind::Image, "one", 1, None);
    fs::remove_dir_all(room.cache.building()).unwrap();
    room.cache.remove(Kind::Image, &entry).unwrap_err();
}

#[test]
fn the_limit_is_that_of_the_environment_or_the_usual_one() {
    assert_eq!(limit().ok(), limit_by(std::env::var_os(LIMIT_VARIABLE)).ok());
}
