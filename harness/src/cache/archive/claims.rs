//! The claims of all entries of an archive, taken so that nobody waits for us while we wait for them.

use super::super::claim::Claim;
use super::super::name::EntryName;
use super::super::place::{Cache, Kind};
use std::collections::BTreeMap;
use std::io;

/// Claims by entry.
pub(super) type Claims = BTreeMap<(Kind, EntryName), Claim>;

/// Claims all of these entries. Calls `waiting` for one that somebody else has, and waits for it with no claim in hand: a builder
/// holds the claim of an image while it waits for that of a tree, and another import may name its entries in another order.
pub(super) fn claim_all(
    cache: &Cache,
    entries: &[(Kind, EntryName)],
    waiting: &mut dyn FnMut(&EntryName),
) -> io::Result<Claims> {
    loop {
        let mut claims = Claims::new();
        let mut busy = None;
        for (kind, name) in entries {
            let Some(claim) = cache.try_claim(*kind, name)? else {
                busy = Some((*kind, name));
                break;
            };
            claims.insert((*kind, name.clone()), claim);
        }
        let Some((kind, name)) = busy else { return Ok(claims) };
        drop(claims);
        waiting(name);
        drop(cache.claim(kind, name, || ())?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::ContentKey;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    /// A builder holds one entry and then wants another, as the disk of an image and the tree below it.
    #[test]
    fn a_builder_gets_what_it_needs_while_all_is_claimed() {
        const PATIENCE: Duration = Duration::from_secs(20);
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache")).unwrap();
        let entry = |name: &str| (Kind::Image, EntryName::new(name, &ContentKey::of([name.as_bytes()])));
        let (tree, image) = (entry("base"), entry("mail"));
        let building = cache.claim(image.0, &image.1, || ()).unwrap();
        let ((waits, waiting), (done, end)) = (channel(), channel());
        let importer = {
            let (cache, entries) = (cache.clone(), [tree.clone(), image.clone()]);
            std::thread::spawn(move || {
                let claims = claim_all(&cache, &entries, &mut |name| waits.send(name.clone()).unwrap()).unwrap();
                done.send(claims.len()).unwrap();
            })
        };
        assert_eq!(waiting.recv_timeout(PATIENCE).unwrap(), image.1);
        let (got, granted) = channel();
        let builder = {
            let cache = cache.clone();
            std::thread::spawn(move || got.send(cache.claim(tree.0, &tree.1, || ()).map(drop)).unwrap())
        };
        granted.recv_timeout(PATIENCE).expect("the builder waits for the import").unwrap();
        builder.join().unwrap();
        drop(building);
        assert_eq!(end.recv_timeout(PATIENCE).unwrap(), 2);
        importer.join().unwrap();
    }
}
