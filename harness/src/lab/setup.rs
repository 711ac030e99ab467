//! What labs are made with, and what can go wrong.

use super::budget::{BudgetError, Wait};
use super::template::TemplateError;
use super::topology::{Definition, Topology};
use crate::cache::{Cache, EntryName};
use crate::host::accelerator::{Accelerator, Selection};
use crate::host::counter::{self, Frequency};
use crate::host::tools;
use crate::host::workspace::Workspace;
use crate::image::Image;
use crate::machine::ssh::SshError;
use crate::machine::{Boot, Guest, MachineError, MachineFailure, MachineName, Origin, Spec, VerbError};
use crate::network::NetworkError;
use crate::seed::{IdentityError, SeedError, Templates};
use crate::size::Size;
use crate::time::{Expired, LiveTimeoutScale};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What a machine of the lab boots from; the lab writes to overlays only.
#[derive(Debug, Clone)]
pub struct Media {
    /// The entry of the cache that it is: equal names, equal content.
    pub entry: EntryName,
    /// A qcow2 file.
    pub disk: PathBuf,
    /// How it starts.
    pub boot: Boot,
}

/// What labs are made with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Media by image name.
    pub media: BTreeMap<String, Media>,
    /// Disks with the packages of releases, by the release's name.
    pub packages: BTreeMap<String, PathBuf>,
    /// The roles: templates of seeds.
    pub roles: Templates,
    /// The QEMU program.
    pub qemu: PathBuf,
    /// What the QEMU program says about its version.
    pub qemu_version: String,
    /// How guests run.
    pub accelerator: Accelerator,
    /// How fast the time-stamp counter of guests runs; none where their kernel knows.
    pub counter: Option<Frequency>,
    /// How slow this host is.
    pub tempo: LiveTimeoutScale,
    /// Where working directories of labs are made.
    pub workspaces: PathBuf,
}

impl From<&Image> for Media {
    fn from(image: &Image) -> Self {
        let entry = EntryName::new(&image.name, &image.key);
        Self { entry, disk: image.disk.clone(), boot: image.boot.clone() }
    }
}

impl Setup {
    /// What this host makes labs with; media are still to be added.
    #[must_use]
    pub fn of_this_host(selection: &Selection, roles: &Path, cache: &Cache) -> Self {
        let qemu = tools::qemu_in_place();
        Self {
            media: BTreeMap::new(),
            packages: BTreeMap::new(),
            roles: Templates::at(roles),
            qemu_version: tools::version_line(&qemu),
            qemu,
            accelerator: selection.accelerator,
            // With KVM a guest is told by the hypervisor (the kernel's Documentation/virt/kvm/x86/cpuid.rst, kvm-clock).
            counter: (selection.accelerator == Accelerator::Tcg).then(counter::frequency).flatten(),
            tempo: selection.pace.into(),
            workspaces: cache.labs(),
        }
    }

    /// A working directory for one lab.
    pub(super) fn workspace(&self) -> Result<Workspace, LabError> {
        Workspace::create(&self.workspaces, "lab").map_err(LabError::file(&self.workspaces.join("lab")))
    }

    pub(super) fn media_of(&self, machine: &Definition) -> Result<&Media, LabError> {
        self.media
            .get(&machine.image)
            .ok_or_else(|| LabError::NoImage { machine: machine.name.get_ref().clone(), image: machine.image.clone() })
    }

    fn packages_of(&self, release: &str, machine: &MachineName) -> Result<PathBuf, LabError> {
        let disk = self.packages.get(release).cloned();
        disk.ok_or_else(|| LabError::NoRelease { machine: machine.clone(), release: release.to_owned() })
    }

    /// The images that a lab stands on.
    pub(super) fn media_below<'a>(&'a self, topology: &'a Topology) -> impl Iterator<Item = &'a EntryName> {
        let images = topology.images().into_iter().filter_map(|image| self.media.get(image));
        images.map(|media| &media.entry)
    }

    /// How a medium boots here.
    fn boot(&self, boot: &Boot) -> Boot {
        let mut boot = boot.clone();
        if let (Boot::Direct { parameters, .. }, Some(counter)) = (&mut boot, self.counter) {
            *parameters = format!("{parameters} tsc_early_khz={}", counter.khz());
        }
        boot
    }

    /// What the machine with this number is made of. Its disk, which stands on that of its image, and its seed are to be in `directory`.
    pub(super) fn spec(
        &self,
        topology: &Topology,
        index: usize,
        directory: &Path,
        origin: Origin,
    ) -> Result<Spec, LabError> {
        let machine = &topology.machines[index];
        let name = machine.name.get_ref().clone();
        Ok(Spec {
            qemu: self.qemu.clone(),
            accelerator: self.accelerator,
            memory_mib: machine.memory_mib,
            origin,
            processors: machine.processors,
            boot: self.boot(&self.media_of(machine)?.boot),
            disk: directory.join(format!("{name}.qcow2")),
            below: vec![self.media_of(machine)?.disk.clone()],
            seed: Some(directory.join(format!("{name}.seed"))),
            packages: machine
                .packages
                .as_ref()
                .map(|release| self.packages_of(release.get_ref(), &name))
                .transpose()?,
            guests: topology
                .inside(&name)
                .map(|(_, guest)| {
                    let (disk, name) = (self.media_of(guest)?.disk.clone(), guest.name.get_ref().clone());
                    Ok(Guest { disk, seed: directory.join(format!("{name}.seed")), name })
                })
                .collect::<Result<_, LabError>>()?,
            cards: topology.cards(index),
            name,
        })
    }
}

/// Why there is no lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A machine without a network card was to be captured.
    #[error("machine {0} has no network card: no packets of it can be captured")]
    NoCard(MachineName),
    /// What the network carries does not appear in a capture.
    #[error(
        "the capture of machine {machine} has ended, or does not hear its network: {source}; is the disk of the results full?"
    )]
    Deaf {
        /// The machine.
        machine: MachineName,
        /// What was waited for.
        source: Expired,
    },
    /// No medium was given for an image.
    #[error("machine {machine} wants image `{image}`, which was not built")]
    NoImage {
        /// The machine.
        machine: MachineName,
        /// The image.
        image: String,
    },
    /// What a cache key is made of cannot be written down.
    #[error("failed to write down what the key of a lab is made of: {0}")]
    Key(#[source] serde_json::Error),
    /// The packages of a release were not given.
    #[error("machine {machine} wants the packages of release `{release}`, which were not made")]
    NoRelease {
        /// The machine.
        machine: MachineName,
        /// The release.
        release: String,
    },
    /// Keys or passwords could not be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A seed could not be made.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The network could not be made.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A file of the lab could not be made.
    #[error("failed to make {} for the lab", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An overlay could not be made.
    #[error("qemu-img failed to make an overlay on {}: {reason}", disk.display())]
    Overlay {
        /// The backing file.
        disk: PathBuf,
        /// Its words.
        reason: String,
    },
    /// A machine did not start.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// A machine did not answer.
    #[error(transparent)]
    Verb(#[from] VerbError),
    /// The lab has no such machine.
    #[error("there is no machine `{0}` in the lab, or it does not run")]
    NoMachine(String),
    /// It was to be switched on, and is.
    #[error("machine {0} runs already: only one that was switched off can be switched on")]
    Running(MachineName),
    /// There is nothing to boot.
    #[error("machine {machine} has no kernel with its RAM disk in /boot: it would not come up again")]
    NoKernel {
        /// The machine.
        machine: MachineName,
    },
    /// A machine was started, and does not come up.
    #[error(
        "machine {machine} does not come up{}: {source}; its console, which is in {}, ends:\n{last_words}\nStart it with an older \
         kernel, repair its disk from outside, or go back to a copy of it",
        kernel.as_deref().and_then(Path::file_name).map_or_else(String::new, |kernel| format!(" with {}", kernel.display())),
        console.display()
    )]
    StaysAway {
        /// The machine.
        machine: MachineName,
        /// The kernel that it was started with.
        kernel: Option<PathBuf>,
        /// Its console's log.
        console: PathBuf,
        /// The end of it.
        last_words: String,
        /// What was seen.
        source: Box<LabError>,
    },
    /// A file of a machine could not be copied.
    #[error("failed to copy {} from machine {machine}: {source}", path.display())]
    Fetch {
        /// The machine.
        machine: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: SshError,
    },
    /// cloud-init reported errors.
    #[error("machine {machine}: cloud-init failed: {errors}\n{log}")]
    CloudInit {
        /// The machine.
        machine: MachineName,
        /// Its own summary.
        errors: String,
        /// The end of its output.
        log: String,
    },
    /// The lab does not do what it is for.
    #[error("the lab is up, but not ready: {0}")]
    NotReady(String),
    /// A machine does not come to rest.
    #[error("machine {machine}: {source}")]
    Restless {
        /// The machine.
        machine: MachineName,
        /// What was waited for.
        source: Expired,
    },
    /// A fresh template is wrong, so freezing itself is.
    #[error("the template that was just made is of no use: {0}")]
    Template(#[from] TemplateError),
    /// This host is too small.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The room was used up while the template was made.
    #[error("the file system of {} is full: {reason}; `cargo xtask clean` makes room", place.display())]
    Full {
        /// Where.
        place: PathBuf,
        /// What could not be written.
        reason: String,
    },
    /// There is no room for the template.
    #[error(
        "a template of this lab needs up to {needed} in {}, and {free} are free: `cargo xtask clean` makes room",
        place.display()
    )]
    NoRoom {
        /// Where.
        place: PathBuf,
        /// What it can need.
        needed: Size,
        /// What there is.
        free: Size,
    },
}

impl LabError {
    /// What befell a machine, if that is what the error says.
    pub(crate) fn trouble(&self) -> Option<(&MachineName, &MachineFailure)> {
        match self {
            Self::Machine(MachineError::MachineFailure { machine, trouble })
            | Self::Verb(VerbError::MachineFailure { machine, trouble }) => Some((machine, trouble)),
            Self::StaysAway { source, .. } => source.trouble(),
            _ => None,
        }
    }

    /// Whether QEMU gave itself up: an assertion in it failed.
    pub(super) fn is_abort_of_qemu(&self) -> bool {
        matches!(self.trouble(), Some((_, MachineFailure::Exited { how })) if how.contains("SIGABRT"))
    }

    /// Whether QEMU did not take the state of a frozen machine: its template is of no use here.
    pub(crate) fn is_refused_state(&self) -> bool {
        matches!(self, Self::Machine(error) if error.is_refused_state())
    }

    /// The same error; or, if it came of a full file system, one that says so.
    pub(super) fn or_full(self, place: &Path) -> Self {
        let causes = std::iter::successors(Some(&self as &dyn std::error::Error), |error| error.source());
        let reason = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        // As strerror(3) has it: errors of QEMU come as text, too.
        let is_full = ["No space left on device", "Disk quota exceeded"].iter().any(|words| reason.contains(words));
        if is_full { Self::Full { place: place.to_owned(), reason } } else { self }
    }

    pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// What happens while a lab comes to be.
#[derive(Debug, Clone)]
pub enum Progress {
    /// Somebody else checks or makes the template.
    Waiting,
    /// Other labs boot.
    Waits(Wait),
    /// There is a template, and it cannot be used: it is made again.
    Distrusted(String),
    /// There is no template yet: the lab is booted from nothing.
    Booting,
    /// QEMU failed; the lab is booted once more.
    Again(String),
    /// QEMU runs.
    Started(MachineName),
    /// The guest's user space answers.
    Answers(MachineName),
    /// cloud-init has made the machine what it is.
    Configured(MachineName),
    /// All machines do what they are for, and are at rest.
    Settled,
    /// The template is in the cache.
    Frozen,
    /// The machines of a copy run.
    Running,
    /// They have carried out a command each, and know the time.
    Awake,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waits for its template, which somebody else checks or makes"),
            Self::Waits(wait) => wait.fmt(f),
            Self::Distrusted(why) => write!(f, "its template is not used and made again: {why}"),
            Self::Booting => f.write_str("boots from nothing, to be frozen as a template"),
            Self::Again(why) => write!(f, "boots once more: {why}"),
            Self::Started(machine) => write!(f, "{machine}: QEMU runs"),
            Self::Answers(machine) => write!(f, "{machine}: user space answers"),
            Self::Configured(machine) => write!(f, "{machine}: cloud-init is done"),
            Self::Settled => f.write_str("is ready and at rest"),
            Self::Frozen => f.write_str("is frozen as a template"),
            Self::Running => f.write_str("runs"),
            Self::Awake => f.write_str("answers, and knows the time"),
        }
    }
}
