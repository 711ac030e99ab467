use super::super::{ContentKey, declare_foundations};
use super::*;
use crate::cache::Cache;
use crate::qcow2::tests::disk;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

struct Room {
    directory: tempfile::TempDir,
    ours: Cache,
    theirs: Cache,
}

const DISK: usize = 600_000;

impl Room {
    /// A cache with an image, which has a hole, and a template on it; and an empty cache.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cache = |name: &str| Cache::at(directory.path().join(name)).unwrap();
        let (ours, theirs) = (cache("ours"), cache("theirs"));
        let mut disk = vec![0; DISK];
        disk[DISK - 1] = 7;
        add(&ours, Kind::Image, "mail", &[], &disk);
        add(&ours, Kind::Template, "mail-lan", &[&name("mail")], b"frozen");
        fs::write(ours.building().join("plan-0123456789abcdef.image.json"), "{}").unwrap();
        fs::write(ours.secret(), [3; 32]).unwrap();
        Self { directory, ours, theirs }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("export.rehearsal")
    }

    fn export(&self, kind: Kind) -> Exported {
        export(&self.ours, &self.ours.list(kind).unwrap(), &self.file(), &mut |_, _| ()).unwrap()
    }

    fn import(&self) -> Result<Imported, ArchiveError> {
        self.import_trusting(Trust::Author)
    }

    fn import_trusting(&self, trust: Trust) -> Result<Imported, ArchiveError> {
        import(&self.theirs, &self.file(), trust, &mut |_| ())
    }

    /// It is refused with these words, whoever made it, and nothing is left of it.
    fn refused(&self, words: &str) {
        self.refused_trusting(Trust::Author, words);
    }

    fn refused_trusting(&self, trust: Trust, words: &str) {
        let error = self.import_trusting(trust).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        self.nothing_is_there();
    }

    fn nothing_is_there(&self) {
        for room in [self.theirs.building(), self.theirs.entries(Kind::Image), self.theirs.entries(Kind::Template)] {
            let left: Vec<_> = fs::read_dir(&room).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(left.is_empty(), "{left:?}");
        }
        assert!(!self.theirs.secret().exists());
    }

    /// Packs a manifest, changed as one likes, and files as one likes.
    fn forge(&self, change: impl FnOnce(&mut serde_json::Value), files: &[&[u8]]) {
        self.forge_with(change, files, 0);
    }

    /// The same, with so many zeroes behind its end. The first file is of the entry.
    fn forge_with(&self, change: impl FnOnce(&mut serde_json::Value), files: &[&[u8]], zeroes: usize) {
        let content = |content: &[u8]| serde_json::json!({ "bytes": content.len(), "mode": 0o644, "blake3": blake3::hash(content).to_hex().to_string() });
        let files_json = files.iter().enumerate().map(|(number, file)| {
            let mut noted = content(file);
            noted["path"] = format!("file{number}").into();
            noted
        });
        let mut manifest = serde_json::json!({
            "format": FORMAT, "made": "2026-01-01T00:00:00Z", "loose": [],
            "entries": [{ "kind": "image", "name": name("mail").to_string(), "files": files_json.collect::<Vec<_>>() }],
        });
        change(&mut manifest);
        if manifest["entries"][0]["kind"] == "template" {
            // The last file is the secret.
            manifest["entries"][0]["files"].as_array_mut().unwrap().truncate(1);
        }
        let mut archive = tar::Builder::new(zstd::Encoder::new(fs::File::create(self.file()).unwrap(), 1).unwrap());
        let mut append = |name: &str, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_entry_type(tar::EntryType::Regular);
            archive.append_data(&mut header, name, content).unwrap();
        };
        append(MANIFEST, &serde_json::to_vec(&manifest).unwrap());
        for (number, file) in files.iter().enumerate() {
            append(&export::member(number), file);
        }
        let mut encoder = archive.into_inner().unwrap();
        encoder.write_all(&vec![0; zeroes]).unwrap();
        encoder.finish().unwrap();
    }
}

fn name(name: &str) -> EntryName {
    EntryName::new(name, &ContentKey::of([name.as_bytes()]))
}

fn add(cache: &Cache, kind: Kind, of: &str, foundations: &[&EntryName], disk: &[u8]) {
    let claim = cache.claim(kind, &name(of), || {}).unwrap();
    let new = cache.building().join("new");
    fs::create_dir_all(new.join("below")).unwrap();
    fs::write(new.join("disk"), disk).unwrap();
    fs::write(new.join("below/script"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(new.join("below/script"), fs::Permissions::from_mode(0o755)).unwrap();
    if kind == Kind::Template {
        declare_foundations(&new, foundations.iter().copied()).unwrap();
    }
    claim.publish(&new).unwrap();
}

#[test]
fn what_was_exported_is_imported_with_modes_holes_and_plans() {
    let room = Room::new();
    let exported = room.export(Kind::Image);
    assert_eq!(room.file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(exported.entries, [(Kind::Image, name("mail"))]);
    assert_eq!(room.import().unwrap().came, [(Kind::Image, name("mail"))]);
    let place = room.theirs.place(Kind::Image, &name("mail"));
    let (here, there) = (room.ours.place(Kind::Image, &name("mail")).join("disk"), place.join("disk"));
    assert!(fs::read(&here).unwrap() == fs::read(&there).unwrap(), "the disks differ");
    assert!(there.metadata().unwrap().blocks() * 512 < DISK as u64 / 2, "zeroes are no holes");
    assert_eq!(place.join("below/script").metadata().unwrap().permissions().mode() & 0o777, 0o755);
    assert!(room.theirs.building().join("plan-0123456789abcdef.image.json").is_file());
    assert!(!room.theirs.secret().exists(), "images need no secret");
    // The second time all is here.
    let again = room.import().unwrap();
    assert_eq!((again.came.len(), again.here.len()), (0, 1));
}

#[test]
fn templates_bring_what_they_stand_on_and_their_secret() {
    let room = Room::new();
    let exported = room.export(Kind::Template);
    assert_eq!(exported.entries, [(Kind::Image, name("mail")), (Kind::Template, name("mail-lan"))]);
    assert_eq!(room.import().unwrap().came.len(), 2);
    assert_eq!(fs::read(room.theirs.secret()).unwrap(), [3; 32]);
    assert_eq!(room.theirs.secret().metadata().unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn templates_of_another_secret_are_refused() {
    let room = Room::new();
    room.export(Kind::Template);
    fs::write(room.theirs.secret(), [4; 32]).unwrap();
    let error = room.import().unwrap_err();
    assert!(matches!(error, ArchiveError::OtherSecret), "{error}");
    assert!(room.theirs.list(Kind::Image).unwrap().is_empty());
    assert_eq!(fs::read(room.theirs.secret()).unwrap(), [4; 32]);
}

#[test]
fn every_cut_is_found() {
    let room = Room::new();
    room.export(Kind::Image);
    let whole = fs::read(room.file()).unwrap();
    for length in [5, whole.len() / 3, whole.len() / 2, whole.len() - 5, whole.len() - 1] {
        fs::write(room.file(), &whole[..length]).unwrap();
        let error = room.import().unwrap_err();
        let named = matches!(error, ArchiveError::Truncated(_) | ArchiveError::Foreign(_));
        assert!(named, "cut to {length} of {}: {error}", whole.len());
        room.nothing_is_there();
    }
}

#[test]
fn every_changed_byte_is_found() {
    let room = Room::new();
    room.export(Kind::Image);
    let whole = fs::read(room.file()).unwrap();
    let step = (whole.len() / 40).max(1);
    for place in (0..whole.len()).step_by(step) {
        let mut changed = whole.clone();
        changed[place] ^= 0x10;
        fs::write(room.file(), &changed).unwrap();
        // A frame's header may say the same in two ways: what is taken must then be right.
        if room.import().is_err() {
            room.nothing_is_there();
            continue;
        }
        let disk = |cache: &Cache| fs::read(cache.place(Kind::Image, &name("mail")).join("disk")).unwrap();
        assert!(disk(&room.theirs) == disk(&room.ours), "byte {place} was changed, and the disk with it");
        fs::remove_dir_all(room.theirs.place(Kind::Image, &name("mail"))).unwrap();
        fs::remove_file(room.theirs.building().join("plan-0123456789abcdef.image.json")).unwrap();
    }
}

#[test]
fn what_follows_the_end_is_found() {
    let room = Room::new();
    room.export(Kind::Image);
    let mut file = fs::File::options().append(true).open(room.file()).unwrap();
    let mut frame = zstd::Encoder::new(Vec::new(), 1).unwrap();
    frame.write_all(b"more").unwrap();
    file.write_all(&frame.finish().unwrap()).unwrap();
    room.refused("something follows its end");
}

#[rstest::rstest]
#[case::empty(b"", "it is empty")]
#[case::text(b"#!/bin/sh\necho hello\n", "it is not compressed by zstd")]
fn other_files_are_named(#[case] content: &[u8], #[case] words: &str) {
    let room = Room::new();
    fs::write(room.file(), content).unwrap();
    room.refused(words);
}

#[test]
fn another_archive_is_named() {
    let room = Room::new();
    let mut archive = tar::Builder::new(zstd::Encoder::new(fs::File::create(room.file()).unwrap(), 1).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    archive.append_data(&mut header, "readme", b"hi".as_slice()).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
    room.refused("this is no export of Rehearsal: its first member is not");
}

type Json = serde_json::Value;

#[rstest::rstest]
#[case::nothing(|_: &mut Json| (), "")]
#[case::version(|m: &mut Json| m["format"] = 99.into(), "another version of Rehearsal made this export (format 99")]
#[case::up(|m: &mut Json| m["entries"][0]["files"][0]["path"] = "../escape".into(), "`../escape` is no path of plain names")]
#[case::up_later(|m: &mut Json| m["entries"][0]["files"][0]["path"] = "a/../../escape".into(), "is no path of plain names")]
#[case::absolute(|m: &mut Json| m["entries"][0]["files"][0]["path"] = "/etc/cron.d/x".into(), "is no path of plain names")]
#[case::no_name(|m: &mut Json| m["entries"][0]["files"][0]["path"] = "".into(), "is no path of plain names")]
#[case::itself(|m: &mut Json| m["entries"][0]["files"][0]["path"] = "./x".into(), "is no path of plain names")]
#[case::entry(|m: &mut Json| m["entries"][0]["name"] = "../images/mail-0123456789abcdef".into(), "is no name of an entry")]
#[case::no_entry(|m: &mut Json| m["entries"][0]["name"] = "pictures".into(), "is no name of an entry")]
#[case::plan(|m: &mut Json| m["loose"] = serde_json::json!([{ "role": "plan", "modified": "2026-01-01T00:00:00Z", "file": m["entries"][0]["files"][0] }]), "`file0` with 3 bytes is no list of package versions")]
#[case::secret_alone(|m: &mut Json| add_secret(m, 32), "the secret of a cache, and no frozen lab")]
#[case::short_secret(|m: &mut Json| add_secret(m, 5), "`secret` with 5 bytes is no secret")]
#[case::long_secret(|m: &mut Json| add_secret(m, 33), "`secret` with 33 bytes is no secret")]
#[case::unnamed_secret(|m: &mut Json| { add_secret(m, 32); m["secret"] = "00".into() }, "its secret is not the one")]
#[case::no_secret(|m: &mut Json| m["entries"][0]["kind"] = "template".into(), "not the secret of their cache")]
#[case::endless(|m: &mut Json| m["entries"][0]["files"][0]["bytes"] = (1_u64 << 50).into(), "and no cache does")]
#[case::twice(|m: &mut Json| { let one = m["entries"][0].clone(); m["entries"].as_array_mut().unwrap().push(one) }, "stands in it twice")]
#[case::digest(|m: &mut Json| m["entries"][0]["files"][1]["blake3"] = "00".into(), "`file1` is not what its manifest says")]
#[case::size(|m: &mut Json| m["entries"][0]["files"][0]["bytes"] = 4.into(), "there is something else")]
#[case::fewer(|m: &mut Json| drop(m["entries"][0]["files"].as_array_mut().unwrap().pop()), "more than its manifest says")]
#[case::missing(|m: &mut Json| { let one = serde_json::json!({ "path": "more", "bytes": 1, "mode": 420, "blake3": "" }); m["entries"][0]["files"].as_array_mut().unwrap().push(one) }, "`more` is missing")]
#[case::huge(|m: &mut Json| m["entries"][0]["files"][0]["bytes"] = (200_u64 << 30).into(), "no space left in")]
#[case::unknown_key(|m: &mut Json| m["more"] = 1.into(), "its manifest makes no sense")]
fn a_manifest_that_says_otherwise_is_refused(#[case] change: fn(&mut Json), #[case] words: &str) {
    let room = Room::new();
    room.forge(change, &[b"one", b"two"]);
    if words.is_empty() {
        assert_eq!(room.import().unwrap().came.len(), 1);
    } else {
        room.refused(words);
    }
}

/// Adds a secret of this length to a manifest; what it holds comes last, or nowhere.
fn add_secret(manifest: &mut Json, bytes: usize) {
    let digest = blake3::hash(&vec![7; bytes]).to_hex().to_string();
    manifest["secret"] = digest.clone().into();
    let file = serde_json::json!({ "path": "secret", "bytes": bytes, "mode": 0o600, "blake3": digest });
    manifest["loose"] = serde_json::json!([{ "role": "secret", "modified": "2026-01-01T00:00:00Z", "file": file }]);
}

/// An image of one disk that says what it likes in its header.
fn forge_disk(room: &Room, kind: &str, stands_on: &[EntryName], disk: &[u8]) {
    let change = |manifest: &mut Json| {
        manifest["entries"][0]["kind"] = kind.into();
        manifest["entries"][0]["files"][0]["path"] = "disk.qcow2".into();
        if kind == "template" {
            manifest["entries"][0]["name"] = name("mail-lan").to_string().into();
            manifest["entries"][0]["stands_on"] = serde_json::to_value(stands_on).unwrap();
            add_secret(manifest, 32);
        }
    };
    let files: &[&[u8]] = if kind == "template" { &[disk, &[7; 32]] } else { &[disk] };
    room.forge_with(change, files, 1);
}

#[rstest::rstest]
#[case::whole(disk(None), "")]
#[case::backing(disk(Some("/etc/shadow")), "it stands on another file, `/etc/shadow`")]
#[case::backing_beside(disk(Some("images/x/disk.qcow2")), "it stands on another file")]
#[case::raw(vec![0; 4096], "it is no qcow2 disk")]
fn a_disk_that_names_another_file_is_refused(#[case] disk: Vec<u8>, #[case] words: &str) {
    let room = Room::new();
    forge_disk(&room, "image", &[], &disk);
    if words.is_empty() {
        assert_eq!(room.import_trusting(Trust::Guests).unwrap().came.len(), 1);
    } else {
        room.refused_trusting(Trust::Guests, words);
        room.refused(words);
    }
}

#[rstest::rstest]
#[case::its_image("/old/place/images/IMAGE/disk.qcow2", "")]
#[case::another_file_of_it("/old/place/images/IMAGE/tree.tar", "it stands on another file")]
#[case::another_image("/old/place/images/mail-0123456789abcdef/disk.qcow2", "it stands on another file")]
#[case::a_file_of_this_host("/etc/shadow", "it stands on another file, `/etc/shadow`")]
fn a_disk_of_a_template_stands_on_its_image_only(#[case] backing: &str, #[case] words: &str) {
    let room = Room::new();
    add(&room.theirs, Kind::Image, "mail", &[], b"disk");
    let backing = backing.replace("IMAGE", &name("mail").to_string());
    forge_disk(&room, "template", &[name("mail")], &disk(Some(&backing)));
    let taken = room.import();
    let error = taken.map_or_else(|error| error.to_string(), |_| String::new());
    assert!(if words.is_empty() { error.is_empty() } else { error.contains(words) }, "{error}");
    assert_eq!(room.theirs.list(Kind::Template).unwrap().len(), usize::from(words.is_empty()));
}

#[rstest::rstest]
#[case::a_tree(|m: &mut Json| m["entries"][0]["files"][0]["path"] = "tree.tar".into())]
#[case::something_beside(|m: &mut Json| m["entries"][0]["files"][0]["path"] = "below/vmlinuz".into())]
#[case::a_release(|m: &mut Json| m["entries"][0]["kind"] = "release".into())]
fn what_this_host_would_run_is_taken_from_who_is_trusted(#[case] change: fn(&mut Json)) {
    let room = Room::new();
    room.forge(change, &[b"one"]);
    room.refused_trusting(Trust::Guests, "import it with --trust");
    assert_eq!(room.import_trusting(Trust::Author).unwrap().came.len(), 1);
}

#[test]
fn a_frozen_lab_and_its_secret_are_taken_from_who_is_trusted() {
    let room = Room::new();
    room.export(Kind::Template);
    room.refused_trusting(Trust::Guests, &format!("templates/{}", name("mail-lan")));
}

#[test]
fn zeroes_without_an_end_are_found() {
    let room = Room::new();
    room.forge_with(|_| (), &[b"one"], 64 << 20);
    room.refused("something follows its end");
}

#[test]
fn a_template_without_its_image_is_refused() {
    let room = Room::new();
    let change = |manifest: &mut serde_json::Value| {
        manifest["entries"][0]["kind"] = "template".into();
        manifest["entries"][0]["stands_on"] = serde_json::json!([name("disk").to_string()]);
        add_secret(manifest, 32);
    };
    room.forge(change, &[b"one"]);
    room.refused("and that is neither in it nor here");
}

#[test]
fn no_part_of_an_export_that_failed_is_left() {
    let room = Room::new();
    std::os::unix::fs::symlink("disk", room.ours.place(Kind::Image, &name("mail")).join("link")).unwrap();
    let entries = room.ours.list(Kind::Image).unwrap();
    let error = export(&room.ours, &entries, &room.file(), &mut |_, _| ()).unwrap_err();
    assert!(error.to_string().contains("neither a file nor a directory"), "{error}");
    let target = room.directory.path().join("nowhere/export");
    export(&room.ours, &room.ours.list(Kind::Release).unwrap(), &target, &mut |_, _| ()).unwrap_err();
    assert_eq!(fs::read_dir(room.directory.path()).unwrap().count(), 2, "more than two caches");
}
