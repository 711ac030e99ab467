//! A frozen lab: files that belong together, and a manifest that tells whether they still do.
//!
//! RAM, device state and disk of all machines are of one moment. A disk of another moment under the same RAM would be a
//! damaged file system in every copy, so the manifest has a digest of each file, and a template is used only after all
//! were read again and found the same.

use super::setup::{LabError, Setup};
use super::topology::Topology;
use crate::host::workspace::Workspace;
use crate::machine::{Boot, Frozen, MachineName};
use crate::plain_path::PlainPath;
use crate::qcow2::{Header, Qcow2Error};
use crate::seed::{CacheSecret, Identity, LabNonce};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Changes when templates are made or used in another way.
pub(super) const FORMAT: u32 = 5;

/// The manifest's name.
const MANIFEST: &str = "manifest.json";

/// Why a template is not used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file is missing or cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The manifest makes no sense.
    #[error("{} is damaged: {reason}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file was changed.
    #[error("{} is not what it was when it was made", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A disk asks for what no disk of ours does.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The disk.
        path: PathBuf,
        /// What is wrong with it.
        source: Qcow2Error,
    },
    /// It was made for something else.
    #[error("it was made {0}")]
    Foreign(String),
    /// Its passwords cannot be known.
    #[error("its keys cannot be derived: {0}")]
    Identity(String),
}

/// A frozen lab, checked.
#[derive(Debug)]
pub struct Template {
    directory: PathBuf,
    manifest: Manifest,
    identity: Identity,
    /// What must stay while this is used.
    holds: Holds,
}

/// What a template stands on, or lives in.
#[derive(Debug)]
pub(super) enum Holds {
    /// An entry of the cache, which nobody may remove meanwhile.
    Cached(#[expect(dead_code, reason = "held for its lock")] crate::cache::InUse),
    /// A directory of this run, and the template that the frozen lab itself came from.
    Checkpoint {
        #[expect(dead_code, reason = "held for its directory")]
        directory: Workspace,
        below: Arc<Template>,
    },
}

/// What a template consists of, as its file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// The lab.
    pub(super) lab: String,
    /// When it was frozen.
    pub(super) frozen: jiff::Timestamp,
    /// What its passwords are derived from, with the secret of the cache.
    pub(super) nonce: LabNonce,
    /// The certificate that its machines trust.
    pub(super) authority: String,
    /// The disk that each machine's disk stands on.
    pub(super) below: BTreeMap<MachineName, PathBuf>,
    /// The digest of each file.
    pub(super) files: BTreeMap<PlainPath, Digest>,
}

/// A BLAKE3 digest of what a file holds, in hexadecimal digits. Holes and zeroes are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Digest(String);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The names of one machine's files in a template.
pub(super) fn files_of(directory: &Path, machine: &MachineName) -> (Frozen, PathBuf) {
    let file = |kind: &str| directory.join(format!("{machine}.{kind}"));
    (Frozen { memory: file("memory"), devices: file("devices") }, file("qcow2"))
}

/// The names of the kernel and the RAM disk of a machine in a template: they are there if it was started from its own disk,
/// after its image's kernel had been replaced there.
pub(super) fn kernel_of(directory: &Path, machine: &MachineName) -> (PathBuf, PathBuf) {
    (directory.join(format!("{machine}.vmlinuz")), directory.join(format!("{machine}.initrd")))
}

impl Manifest {
    /// Describes the files that a lab was frozen to.
    pub(super) fn of(
        directory: &Path,
        topology: &Topology,
        setup: &Setup,
        nonce: LabNonce,
        authority: &str,
    ) -> Result<Self, LabError> {
        let mut manifest = Self::unverified(topology, setup, nonce, authority.to_owned())?;
        for (_, machine) in topology.present() {
            let (frozen, disk) = files_of(directory, machine.name.get_ref());
            let (kernel, initrd) = kernel_of(directory, machine.name.get_ref());
            let of_its_own = [kernel, initrd].into_iter().filter(|path| path.exists());
            for path in [frozen.memory, frozen.devices, disk].into_iter().chain(of_its_own) {
                let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                manifest.add(directory, &file)?;
            }
        }
        Ok(manifest)
    }

    /// Describes a frozen lab whose files nobody but this run can reach.
    pub(super) fn unverified(
        topology: &Topology,
        setup: &Setup,
        nonce: LabNonce,
        authority: String,
    ) -> Result<Self, LabError> {
        let below = topology.present().map(|(_, machine)| {
            let disk = setup.media_of(machine)?.disk.clone();
            Ok((machine.name.get_ref().clone(), disk))
        });
        Ok(Self {
            format: FORMAT,
            lab: topology.name.clone(),
            frozen: jiff::Timestamp::now(),
            nonce,
            authority,
            below: below.collect::<Result<_, LabError>>()?,
            files: BTreeMap::new(),
        })
    }

    /// Adds other files of the directory, which belong to the frozen lab.
    pub(super) fn add(&mut self, directory: &Path, file: &str) -> Result<(), LabError> {
        let path = directory.join(file);
        let name = PlainPath::try_from(file.to_owned()).map_err(io::Error::other).map_err(LabError::file(&path))?;
        self.files.insert(name, digest(&path).map_err(LabError::file(&path))?);
        Ok(())
    }

    /// Writes it beside the files.
    pub(super) fn write(&self, directory: &Path) -> Result<(), LabError> {
        let path = directory.join(MANIFEST);
        let text = serde_json::to_vec_pretty(self).map_err(|error| LabError::file(&path)(error.into()))?;
        std::fs::write(&path, text).map_err(LabError::file(&path))
    }

    pub(super) fn read(directory: &Path) -> Result<Self, TemplateError> {
        let path = directory.join(MANIFEST);
        let text = std::fs::read(&path).map_err(|source| TemplateError::Unreadable { path: path.clone(), source })?;
        // Of a manifest of another format only the format is read.
        let unreadable =
            |error: serde_json::Error| TemplateError::Manifest { path: path.clone(), reason: error.to_string() };
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(unreadable)?;
        if value["format"] != FORMAT {
            return Err(TemplateError::Foreign(format!(
                "by another version of Rehearsal (format {})",
                value["format"]
            )));
        }
        serde_json::from_value(value).map_err(unreadable)
    }
}

impl Template {
    /// Reads the template in `directory`, all of it: whether nothing was changed since it was made, and it stands on the
    /// disks that are there now.
    pub(super) fn verified(directory: &Path, topology: &Topology, setup: &Setup) -> Result<Manifest, TemplateError> {
        let manifest = Manifest::read(directory)?;
        for (_, machine) in topology.present() {
            let now = setup.media.get(&machine.image).map(|media| &media.disk);
            let then = manifest.below.get(machine.name.get_ref());
            if now != then {
                let place = then.map_or("nothing".into(), |path| path.display().to_string());
                return Err(TemplateError::Foreign(format!("for a machine {} on {place}", machine.name.get_ref())));
            }
        }
        check_disks(directory, &manifest.below)?;
        verify(directory, &manifest.files)?;
        Ok(manifest)
    }

    /// The template in `directory`, which was verified or made a moment ago.
    pub(super) fn trusted(
        directory: &Path,
        manifest: Manifest,
        topology: &Topology,
        secret: &CacheSecret,
        holds: Holds,
    ) -> Result<Self, TemplateError> {
        let accounts = topology.accounts.iter().map(String::as_str);
        let identity = Identity::recall(&secret.lab(&manifest.nonce), manifest.authority.clone(), accounts)
            .map_err(|error| TemplateError::Identity(error.to_string()))?;
        Ok(Self { directory: directory.to_owned(), manifest, identity, holds })
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// When it was frozen.
    pub fn frozen(&self) -> jiff::Timestamp {
        self.manifest.frozen
    }

    /// How a machine starts when it is reset: from a kernel of its own, or as its image does.
    pub(super) fn boot(&self, machine: &MachineName, of_image: &Boot) -> Boot {
        let (kernel, initrd) = kernel_of(&self.directory, machine);
        match of_image {
            Boot::Direct { parameters, .. } if kernel.exists() => {
                Boot::Direct { kernel, initrd: Some(initrd), parameters: parameters.clone() }
            }
            _ => of_image.clone(),
        }
    }

    /// A machine's disk, and those that it stands on, down to its image's.
    pub(super) fn disks(&self, machine: &MachineName) -> Vec<PathBuf> {
        let (_, own) = files_of(&self.directory, machine);
        let below = match &self.holds {
            Holds::Checkpoint { below, .. } => below.disks(machine),
            Holds::Cached(_) => self.manifest.below.get(machine).cloned().into_iter().collect(),
        };
        [own].into_iter().chain(below).collect()
    }

    /// The keys and passwords of the lab.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

/// Every disk stands on the one that it was frozen on: the files of a template may have been imported, and its manifest with them.
fn check_disks(directory: &Path, below: &BTreeMap<MachineName, PathBuf>) -> Result<(), TemplateError> {
    below.iter().try_for_each(|(machine, image)| {
        let (_, disk) = files_of(directory, machine);
        Header::of_overlay(&disk, image).map(drop).map_err(|source| TemplateError::Disk { path: disk, source })
    })
}

/// Every file is what it was. The files are read in parallel.
fn verify(directory: &Path, files: &BTreeMap<PlainPath, Digest>) -> Result<(), TemplateError> {
    std::thread::scope(|scope| {
        let checks: Vec<_> = files
            .iter()
            .map(|(name, expected)| {
                scope.spawn(move || {
                    let path = name.below(directory);
                    match digest(&path) {
                        Ok(found) if found == *expected => Ok(()),
                        Ok(_) => Err(TemplateError::Changed { path }),
                        Err(source) => Err(TemplateError::Unreadable { path, source }),
                    }
                })
            })
            .collect();
        checks.into_iter().try_for_each(|check| {
            check.join().unwrap_or_else(|_| {
                let source = io::Error::other("the check panicked");
                Err(TemplateError::Unreadable { path: directory.to_owned(), source })
            })
        })
    })
}

/// Reads a file and hashes it: its length, and every block that is not all zeroes with its number.
fn digest(path: &Path) -> io::Result<Digest> {
    const BLOCK: usize = 1 << 20;
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&length.to_le_bytes());
    let mut block = vec![0; BLOCK];
    let zeroes = vec![0; BLOCK];
    for number in 0..length.div_ceil(BLOCK as u64) {
        let place = number * BLOCK as u64;
        let piece = &mut block[..BLOCK.min(usize::try_from(length - place).unwrap_or(BLOCK))];
        file.read_exact_at(piece, place)?;
        if *piece != zeroes[..piece.len()] {
            hasher.update(&number.to_le_bytes()).update(piece);
        }
    }
    Ok(Digest(hasher.finalize().to_hex().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Cache, ContentKey, EntryName, Kind};
    use crate::host::accelerator::Accelerator;
    use crate::lab::Media;
    use crate::seed::Templates;
    use crate::time::TimeoutScale;

    const IMAGE: &str = "/cache/images/mail/disk.qcow2";
    const FROZEN: &str = "2026-01-01T00:00:00Z";

    fn mail() -> MachineName {
        MachineName::try_from("mail".to_owned()).unwrap()
    }

    fn topology() -> Topology {
        let mail = "name = \"mail\"\nimage = \"mail\"\nrole = \"mail\"\nsegment = \"lan\"\n\
                    address = \"10.20.0.10\"\nmemory_mib = 1024\nprocessors = 2\n";
        Topology {
            name: "lan".into(),
            domain: "lan.test".into(),
            accounts: vec!["alice".into()],
            segments: Vec::new(),
            machines: vec![toml::from_str(mail).unwrap()],
        }
    }

    /// What labs are made with where the image of the machine has this disk.
    fn setup(disk: &str) -> Setup {
        let entry = EntryName::new("mail", &ContentKey::of([b"mail".as_slice()]));
        Setup {
            media: [("mail".to_owned(), Media { entry, disk: disk.into(), boot: Boot::Disk })].into(),
            packages: BTreeMap::new(),
            roles: Templates::at(Path::new("/cloud-init")),
            qemu: "qemu-system-x86_64".into(),
            qemu_version: "QEMU emulator version 10.0.2".into(),
            accelerator: Accelerator::Tcg,
            counter: None,
            tempo: TimeoutScale::REFERENCE.into(),
            workspaces: "/cache/labs".into(),
        }
    }

    /// A directory with the files that a machine is frozen to.
    fn frozen() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        files(directory.path());
        std::fs::write(directory.path().join("mail.qcow2"), crate::qcow2::tests::disk(Some(IMAGE))).unwrap();
        directory
    }

    fn manifest(directory: &Path) -> Manifest {
        Manifest::of(directory, &topology(), &setup(IMAGE), LabNonce::random(), "authority").unwrap()
    }

    /// A template in a cache.
    fn template(room: &Path) -> Template {
        let cache = Cache::at(room.join("cache")).unwrap();
        let name = EntryName::new("lan", &ContentKey::of([b"lan".as_slice()]));
        let claim = cache.claim(Kind::Template, &name, || ()).unwrap();
        let place = claim.place().to_owned();
        std::fs::create_dir(&place).unwrap();
        trusted(&place, Holds::Cached(claim.into_use().unwrap()))
    }

    fn trusted(place: &Path, holds: Holds) -> Template {
        let fresh = Manifest::unverified(&topology(), &setup(IMAGE), LabNonce::random(), "authority".into()).unwrap();
        let manifest = Manifest { frozen: FROZEN.parse().unwrap(), ..fresh };
        let secret = CacheSecret::open(&place.join("secret")).unwrap();
        Template::trusted(place, manifest, &topology(), &secret, holds).unwrap()
    }

    fn direct(directory: &Path, kernel: &str, initrd: &str) -> Boot {
        let parameters = "root=/dev/vda1".to_owned();
        Boot::Direct { kernel: directory.join(kernel), initrd: Some(directory.join(initrd)), parameters }
    }

    fn files(directory: &Path) -> BTreeMap<PlainPath, Digest> {
        let mut ram = vec![0; 5 << 20];
        ram[3 << 20] = 7;
        std::fs::write(directory.join("mail.memory"), ram).unwrap();
        std::fs::write(directory.join("mail.devices"), b"devices").unwrap();
        let digest = |name: &str| (name.to_owned().try_into().unwrap(), super::digest(&directory.join(name)).unwrap());
        [digest("mail.memory"), digest("mail.devices")].into()
    }

    fn flip(path: &Path, place: u64) {
        let file = File::options().write(true).read(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[byte[0] ^ 1], place).unwrap();
    }

    #[rstest::rstest]
    #[case::nothing(|_: &Path| (), "")]
    #[case::a_bit_of_ram(|at: &Path| flip(&at.join("mail.memory"), 3 << 20), "mail.memory is not what it was")]
    #[case::a_bit_in_a_hole(|at: &Path| flip(&at.join("mail.memory"), 1 << 20), "mail.memory is not what it was")]
    #[case::a_shorter_file(|at: &Path| File::options().write(true).open(at.join("mail.devices")).unwrap().set_len(3).unwrap(), "mail.devices is not what it was")]
    #[case::a_longer_file(|at: &Path| File::options().write(true).open(at.join("mail.memory")).unwrap().set_len(6 << 20).unwrap(), "mail.memory is not what it was")]
    #[case::a_missing_file(|at: &Path| std::fs::remove_file(at.join("mail.devices")).unwrap(), "mail.devices cannot be read")]
    fn what_was_changed_is_not_used(#[case] harm: fn(&Path), #[case] words: &str) {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        harm(directory.path());
        let outcome =
            verify(directory.path(), &files).map_or_else(|diagnostic| diagnostic.to_string(), |()| String::new());
        assert!(if words.is_empty() { outcome.is_empty() } else { outcome.contains(words) }, "{outcome}");
    }

    #[rstest::rstest]
    #[case::whole_blocks(2 << 20)]
    #[case::a_file_that_ends_within_a_block((2 << 20) + 3)]
    fn holes_and_zeroes_are_the_same(#[case] length: u64) {
        let directory = tempfile::tempdir().unwrap();
        let (written, hole) = (directory.path().join("written"), directory.path().join("hole"));
        std::fs::write(&written, vec![0; usize::try_from(length).unwrap()]).unwrap();
        File::create(&hole).unwrap().set_len(length).unwrap();
        assert_eq!(digest(&written).unwrap(), digest(&hole).unwrap());
    }

    #[test]
    fn a_digest_is_shown_in_hexadecimal_digits() {
        let directory = tempfile::tempdir().unwrap();
        let empty = directory.path().join("empty");
        File::create(&empty).unwrap();
        // Of an empty file only the length is hashed.
        assert_eq!(digest(&empty).unwrap().to_string(), blake3::hash(&[0; 8]).to_hex().to_string());
    }

    #[rstest::rstest]
    #[case::as_its_image_starts(&[], "mail.devices mail.memory mail.qcow2")]
    #[case::with_a_kernel_of_its_own(
        &["mail.vmlinuz", "mail.initrd"],
        "mail.devices mail.initrd mail.memory mail.qcow2 mail.vmlinuz"
    )]
    fn a_manifest_names_every_file_of_a_machine(#[case] further: &[&str], #[case] names: &str) {
        let directory = frozen();
        for name in further {
            std::fs::write(directory.path().join(name), b"further").unwrap();
        }
        let described = manifest(directory.path()).files;
        assert_eq!(described.keys().map(PlainPath::as_str).collect::<Vec<_>>().join(" "), names);
    }

    #[rstest::rstest]
    #[case::its_image(IMAGE, "")]
    #[case::another_image(
        "/cache/images/other/disk.qcow2",
        "it was made for a machine mail on /cache/images/mail/disk.qcow2"
    )]
    fn a_template_is_used_with_the_image_that_it_was_frozen_on(#[case] now: &str, #[case] words: &str) {
        let directory = frozen();
        let manifest = manifest(directory.path());
        manifest.write(directory.path()).unwrap();
        let said = match Template::verified(directory.path(), &topology(), &setup(now)) {
            Ok(read) => {
                assert_eq!(read, manifest);
                String::new()
            }
            Err(diagnostic) => diagnostic.to_string(),
        };
        assert_eq!(said, words);
    }

    #[test]
    fn a_template_tells_when_it_was_frozen() {
        let room = tempfile::tempdir().unwrap();
        assert_eq!(template(room.path()).frozen().to_string(), FROZEN);
    }

    #[rstest::rstest]
    #[case::of_its_own(true)]
    #[case::of_its_image(false)]
    fn a_machine_is_reset_to_a_kernel_of_its_own_if_it_has_one(#[case] own: bool) {
        let room = tempfile::tempdir().unwrap();
        let template = template(room.path());
        let of_its_own = direct(template.directory(), "mail.vmlinuz", "mail.initrd");
        let of_its_image = direct(Path::new("/cache/images/mail"), "vmlinuz", "initrd");
        if own {
            std::fs::write(template.directory().join("mail.vmlinuz"), b"kernel").unwrap();
        }
        let boot = template.boot(&mail(), &of_its_image);
        assert_eq!(boot, if own { of_its_own } else { of_its_image });
        assert_eq!(template.boot(&mail(), &Boot::Disk), Boot::Disk);
    }

    #[test]
    fn a_disk_stands_on_those_of_the_templates_below_and_on_its_image() {
        let room = tempfile::tempdir().unwrap();
        let below = Arc::new(template(room.path()));
        let disk_below = below.directory().join("mail.qcow2");
        assert_eq!(below.disks(&mail()), [disk_below.clone(), PathBuf::from(IMAGE)]);
        let directory = Workspace::create(room.path(), "lab").unwrap();
        let place = directory.path().to_owned();
        let checkpoint = trusted(&place, Holds::Checkpoint { directory, below });
        assert_eq!(checkpoint.disks(&mail()), [place.join("mail.qcow2"), disk_below, PathBuf::from(IMAGE)]);
    }

    #[rstest::rstest]
    #[case::its_image("/cache/images/mail/disk.qcow2", "")]
    #[case::a_file_of_this_host(
        "/etc/shadow",
        "should stand on /cache/images/mail/disk.qcow2, and stands on /etc/shadow"
    )]
    fn a_disk_stands_on_the_image_that_it_was_frozen_on(#[case] backing: &str, #[case] words: &str) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("mail.qcow2"), crate::qcow2::tests::disk(Some(backing))).unwrap();
        let below = (MachineName::try_from("mail".to_owned()).unwrap(), "/cache/images/mail/disk.qcow2".into());
        let checked = check_disks(directory.path(), &[below].into());
        let said = checked.map_or_else(|diagnostic| diagnostic.to_string(), |()| String::new());
        assert!(if words.is_empty() { said.is_empty() } else { said.contains(words) }, "{said}");
    }

    #[rstest::rstest]
    #[case::none("", "cannot be read")]
    #[case::half("{\"format\": 3, \"lab\"", "is damaged")]
    #[case::another_format("{\"format\": 99}", "by another version of Rehearsal (format 99)")]
    #[case::fields(&format!("{{\"format\": {FORMAT}}}"), "is damaged")]
    fn a_bad_manifest_is_named(#[case] text: &str, #[case] words: &str) {
        let directory = tempfile::tempdir().unwrap();
        if !text.is_empty() {
            std::fs::write(directory.path().join(MANIFEST), text).unwrap();
        }
        let diagnostic = Manifest::read(directory.path()).unwrap_err().to_string();
        assert!(diagnostic.contains(words), "{diagnostic}");
    }
}
