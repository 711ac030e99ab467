use super::*;
use crate::cache::{ContentKey, Size};
use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

struct Room {
    cache: Cache,
    name: EntryName,
    _directory: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache")).unwrap();
        let name = EntryName::new("mail", &ContentKey::of([b"x".as_slice()]));
        Self { cache, name, _directory: directory }
    }

    fn claim(&self) -> Claim {
        self.cache.claim(Kind::Image, &self.name, || panic!("somebody else has the claim")).unwrap()
    }

    fn open(&self) -> Option<InUse> {
        self.cache.open(Kind::Image, &self.name).unwrap()
    }

    /// Builds the entry as a builder does.
    fn publish(&self, claim: &Claim, content: &str) {
        let new = self.cache.building().join("new");
        fs::create_dir(&new).unwrap();
        fs::write(new.join("disk"), content).unwrap();
        claim.publish(&new).unwrap();
    }

    fn files(&self) -> Vec<String> {
        let directories = [self.cache.entries(Kind::Image), self.cache.building()];
        let entries = directories.iter().flat_map(|directory| fs::read_dir(directory).unwrap());
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[test]
fn an_entry_is_there_when_it_was_published_and_no_lock_file_stays() {
    let room = Room::new();
    assert!(room.open().is_none());
    let claim = room.claim();
    assert!(!claim.exists());
    room.publish(&claim, "one");
    let in_use = claim.into_use().unwrap();
    assert_eq!(fs::read_to_string(in_use.place().join("disk")).unwrap(), "one");
    assert_eq!(in_use.place().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(room.open().is_some());
    assert_eq!(room.files(), [room.name.to_string()]);
}

#[test]
fn a_claim_without_an_entry_cannot_be_used_and_leaves_nothing() {
    let room = Room::new();
    let error = room.claim().into_use().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(room.files().is_empty());
}

#[test]
fn what_is_published_is_not_published_again() {
    let room = Room::new();
    let claim = room.claim();
    room.publish(&claim, "one");
    let new = room.cache.building().join("new");
    fs::create_dir(&new).unwrap();
    claim.publish(&new).unwrap_err();
    assert_eq!(fs::read_to_string(claim.place().join("disk")).unwrap(), "one");
}

#[test]
fn what_is_in_use_is_not_discarded() {
    let room = Room::new();
    let claim = room.claim();
    room.publish(&claim, "one");
    let in_use = room.open().unwrap();
    assert_eq!(claim.discard().unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    assert!(in_use.place().join("disk").exists());
    let place = in_use.place().to_owned();
    drop(in_use);
    lock::wait_until_free(&place);
    claim.discard().unwrap();
    assert!(!claim.exists());
    room.publish(&claim, "two");
    assert_eq!(fs::read_to_string(claim.into_use().unwrap().place().join("disk")).unwrap(), "two");
}

#[test]
fn the_second_claim_waits_for_the_first_and_says_so() {
    let room = Room::new();
    let first = room.claim();
    let (said, heard) = mpsc::channel();
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            let claim = room.cache.claim(Kind::Image, &room.name, || said.send("waiting").unwrap()).unwrap();
            claim.exists()
        });
        assert_eq!(heard.recv_timeout(Duration::from_secs(20)).unwrap(), "waiting");
        assert!(room.cache.try_claim(Kind::Image, &room.name).unwrap().is_none());
        room.publish(&first, "one");
        drop(first);
        assert!(second.join().unwrap(), "the second had its claim before the first published");
    });
}

#[test]
fn many_threads_that_claim_use_and_discard_never_meet_a_half_entry() {
    let room = Room::new();
    thread::scope(|scope| {
        for thread in 0..4 {
            let room = &room;
            scope.spawn(move || {
                for round in 0..25 {
                    let claim = room.cache.claim(Kind::Image, &room.name, || {}).unwrap();
                    if claim.exists() && round % 3 == thread % 3 {
                        match claim.discard() {
                            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                            result => result.unwrap(),
                        }
                    }
                    if !claim.exists() {
                        room.publish(&claim, "whole");
                    }
                    let in_use = claim.into_use().unwrap();
                    assert_eq!(fs::read_to_string(in_use.place().join("disk")).unwrap(), "whole");
                }
            });
        }
    });
    assert_eq!(room.files(), [room.name.to_string()]);
}

#[test]
fn the_list_tells_age_use_and_what_is_in_use() {
    let room = Room::new();
    let claim = room.claim();
    room.publish(&claim, "one");
    drop(claim);
    fs::create_dir(room.cache.entries(Kind::Image).join("pictures")).unwrap();
    let long_ago = SystemTime::now() - Duration::from_hours(48);
    let place = room.cache.place(Kind::Image, &room.name);
    for path in [place.join("disk"), place] {
        File::open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let only = |cache: &Cache| {
        let [kept] = cache.list(Kind::Image).unwrap().try_into().unwrap();
        kept
    };
    let kept = only(&room.cache);
    assert_eq!((&kept.name, kept.in_use, kept.used, kept.built), (&room.name, false, long_ago, long_ago));
    assert!(kept.size > Size::bytes(0));
    let in_use = room.open().unwrap();
    let kept = only(&room.cache);
    assert!(kept.in_use && kept.used > long_ago && kept.built == long_ago, "{kept:?}");
    let place = in_use.place().to_owned();
    drop(in_use);
    lock::wait_until_free(&place);
    assert!(!only(&room.cache).in_use);
    assert!(room.cache.list(Kind::Template).unwrap().is_empty());
}

#[test]
fn an_entry_may_hold_a_link_to_nowhere() {
    let room = Room::new();
    let new = room.cache.building().join("new");
    fs::create_dir(&new).unwrap();
    std::os::unix::fs::symlink("nowhere", new.join("link")).unwrap();
    room.claim().publish(&new).unwrap();
    assert!(room.open().is_some());
}
