//! What goes when a person asks for it.

use super::evict::Removal;
use super::list::CacheEntry;
use super::name::EntryName;
use super::place::{Cache, Kind};
use super::sweep::REMOVED;
use crate::host::workspace::Workspace;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

/// Why something stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Somebody uses or builds it.
    InUse,
    /// This template, which stays, stands on it.
    Carries(EntryName),
}

/// What [`Cache::clean`] did.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// What it removed.
    pub removed: Vec<CacheEntry>,
    /// What was asked for and stays, and why.
    pub stayed: Vec<(CacheEntry, Reason)>,
}

impl Cache {
    /// Removes the entries of these kinds that nobody began to use after `before`. What is in use stays, and so does an
    /// image that a template stands on which stays.
    pub fn clean(&self, kinds: &[Kind], before: SystemTime) -> io::Result<Cleaned> {
        let mut cleaned = Cleaned::default();
        // Templates first: what they stand on can go when they are gone.
        for kind in Kind::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
            for entry in self.list(kind)?.into_iter().filter(|entry| entry.used <= before) {
                let carried = self.list(Kind::Template)?.into_iter().find(|template| template.stands_on(&entry));
                if let Some(template) = carried {
                    cleaned.stayed.push((entry, Reason::Carries(template.name)));
                    continue;
                }
                match self.remove(kind, &entry.name)? {
                    Removal::Removed => cleaned.removed.push(entry),
                    Removal::InUse => cleaned.stayed.push((entry, Reason::InUse)),
                    Removal::Missing => {}
                }
            }
        }
        Ok(cleaned)
    }

    /// What lies in the cache and is none of its things: nothing here ever removes it.
    pub fn strangers(&self) -> io::Result<Vec<PathBuf>> {
        let rooms: Vec<_> =
            Kind::ALL.map(|kind| self.entries(kind)).into_iter().chain([self.building(), self.labs()]).collect();
        let mut strangers = Vec::new();
        for directory in [self.root().to_owned()].iter().chain(&rooms) {
            for entry in fs_err::read_dir(directory)? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let is_ours = rooms.contains(&path)
                    || path == self.secret()
                    || path == self.times()
                    || path == self.shares()
                    || EntryName::parse(name.trim_end_matches(".lock")).is_some()
                    || name.starts_with(REMOVED)
                    || name.starts_with("plan-")
                    || Workspace::is_one(&path);
                if !is_ours {
                    strangers.push(path.clone());
                }
            }
        }
        strangers.sort();
        Ok(strangers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{ContentKey, declare_foundations};
    use std::fs;
    use std::time::Duration;

    fn add(cache: &Cache, kind: Kind, name: &str, foundations: &[&EntryName]) -> EntryName {
        let entry = EntryName::new(name, &ContentKey::of([name.as_bytes()]));
        let claim = cache.claim(kind, &entry, || {}).unwrap();
        let new = cache.building().join("new");
        fs::create_dir(&new).unwrap();
        declare_foundations(&new, foundations.iter().copied()).unwrap();
        claim.publish(&new).unwrap();
        entry
    }

    fn names(entries: &[CacheEntry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.name.name()).collect()
    }

    #[test]
    fn what_was_asked_for_goes_unless_it_is_needed() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache")).unwrap();
        let [mail, used, _free] = ["mail", "used", "free"].map(|name| add(&cache, Kind::Image, name, &[]));
        let lan = add(&cache, Kind::Template, "lan", &[&mail]);
        let in_use = cache.open(Kind::Image, &used).unwrap();
        let now = SystemTime::now() + Duration::from_secs(1);
        let cleaned = cache.clean(&[Kind::Image], now).unwrap();
        assert_eq!(names(&cleaned.removed), ["free"]);
        let stayed: Vec<_> = cleaned.stayed.iter().map(|(kept, reason)| (&kept.name, reason.clone())).collect();
        assert_eq!(stayed, [(&mail, Reason::Carries(lan.clone())), (&used, Reason::InUse)]);
        let place = in_use.as_ref().map(|used| used.place().to_owned());
        drop(in_use);
        if let Some(place) = place {
            crate::cache::lock::wait_until_free(&place);
        }
        assert!(cache.clean(&Kind::ALL, now - Duration::from_hours(1)).unwrap().removed.is_empty());
        assert_eq!(names(&cache.clean(&Kind::ALL, now).unwrap().removed), ["lan", "mail", "used"]);
    }

    #[test]
    fn other_things_are_named_and_stay() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache")).unwrap();
        add(&cache, Kind::Image, "mail", &[]);
        let running = Workspace::create(&cache.labs(), "lab").unwrap();
        let others = [cache.root().join("diary"), cache.entries(Kind::Image).join("pictures"), cache.labs().join("x")];
        for other in &others {
            fs::create_dir(other).unwrap();
        }
        fs::write(cache.secret(), "x").unwrap();
        fs::create_dir(cache.shares()).unwrap();
        cache.clean(&Kind::ALL, SystemTime::now() + Duration::from_secs(1)).unwrap();
        cache.sweep().unwrap();
        assert_eq!(cache.strangers().unwrap(), others);
        assert!(running.path().exists() && cache.secret().exists() && cache.shares().exists());
    }
}
