use super::*;
use crate::qcow2::tests::disk;
use sha2::{Digest as _, Sha256};

fn foreign(directory: &Path, digest: &str) -> Catalogue {
    std::fs::create_dir_all(directory.join("recipes")).unwrap();
    foreign_of(directory, digest, &disk(None))
}

fn foreign_of(directory: &Path, digest: &str, content: &[u8]) -> Catalogue {
    std::fs::create_dir_all(directory.join("recipes")).unwrap();
    std::fs::write(directory.join("cloud.qcow2"), content).unwrap();
    let text = format!("summary = \"x\"\n[from.disk]\npath = \"../cloud.qcow2\"\nsha256 = \"{digest}\"\n");
    std::fs::write(directory.join("recipes/cloud.toml"), text).unwrap();
    Catalogue::load(&directory.join("recipes")).unwrap()
}

fn digest_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_foreign_disk_is_taken_once_and_boots_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path().join("cache")).unwrap();
    let catalogue = foreign(directory.path(), &digest_of(&disk(None)));
    let mut events = Vec::new();
    let image = ensure(&catalogue, "cloud", &cache, false, &mut |event| events.push(event)).unwrap();
    assert!(std::fs::read(&image.disk).unwrap() == disk(None), "another disk");
    assert_eq!(image.boot, Boot::Disk);
    assert_eq!(events.len(), 1);
    ensure(&catalogue, "cloud", &cache, false, &mut |event| panic!("{event:?} for an image that is there")).unwrap();
}

/// It is looked at when it comes, and whenever it is used.
#[test]
fn a_disk_that_names_another_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path().join("cache")).unwrap();
    let bad = disk(Some("/etc/shadow"));
    let catalogue = foreign_of(directory.path(), &digest_of(&bad), &bad);
    let taken = |catalogue: &Catalogue| ensure(catalogue, "cloud", &cache, false, &mut |_| {});
    let error = taken(&catalogue).unwrap_err().to_string();
    assert!(error.contains("cloud.qcow2 is not used: it stands on another file, `/etc/shadow`"), "{error}");
    assert!(cache.list(Kind::Image).unwrap().is_empty());
    let catalogue = foreign(directory.path(), &digest_of(&disk(None)));
    let good = taken(&catalogue).unwrap();
    std::fs::write(&good.disk, &bad).unwrap();
    let error = taken(&catalogue).unwrap_err().to_string();
    assert!(error.contains("disk.qcow2 is not used: it stands on another file, `/etc/shadow`"), "{error}");
}

#[rstest::rstest]
#[case::a_device("/dev/zero")]
#[case::a_directory("/")]
fn what_is_no_file_is_refused(#[case] path: &str) {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path().join("cache")).unwrap();
    foreign(directory.path(), &digest_of(b""));
    let recipe = directory.path().join("recipes/cloud.toml");
    let text = std::fs::read_to_string(&recipe).unwrap().replace("../cloud.qcow2", path);
    std::fs::write(&recipe, text).unwrap();
    let catalogue = Catalogue::load(&directory.path().join("recipes")).unwrap();
    let error = ensure(&catalogue, "cloud", &cache, false, &mut |_| {}).unwrap_err();
    let words = format!("{error:?}");
    assert!(words.contains("is no regular file"), "{words}");
}

#[test]
fn a_wrong_digest_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path().join("cache")).unwrap();
    let catalogue = foreign(directory.path(), &digest_of(b"another disk"));
    let error = ensure(&catalogue, "cloud", &cache, false, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ImageError::Digest { .. }), "{error}");
    assert!(cache.list(Kind::Image).unwrap().is_empty());
    let left: Vec<_> =
        std::fs::read_dir(cache.building()).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[rstest::rstest]
#[case::only_built_upon("bottom", "only built upon")]
#[case::its_own_base("loop", "stands on no release")]
#[case::foreign_base("upon", "stands on no release")]
#[case::unknown("other", "there is no image recipe `other`")]
fn what_cannot_be_built_is_refused_at_once(#[case] name: &str, #[case] words: &str) {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path().join("cache")).unwrap();
    foreign(directory.path(), &digest_of(&disk(None)));
    for (name, source) in
        [("bottom", "suite = \"bookworm\""), ("loop", "base = \"loop\""), ("upon", "base = \"cloud\"")]
    {
        let recipe = format!("summary = \"x\"\n{source}\n");
        std::fs::write(directory.path().join(format!("recipes/{name}.toml")), recipe).unwrap();
    }
    let catalogue = Catalogue::load(&directory.path().join("recipes")).unwrap();
    let nothing_happens = &mut |event| panic!("{event:?}");
    let error = ensure(&catalogue, name, &cache, false, nothing_happens).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
}
