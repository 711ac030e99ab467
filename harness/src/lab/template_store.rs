//! The templates that are ready: each is made once, by whoever needs it first, and kept in the cache.

use super::budget::Budget;
use super::key::entry;
use super::running::Lab;
use super::setup::{LabError, Progress, Setup};
use super::template::{Holds, Manifest, Template};
use super::topology::Topology;
use crate::cache::{Cache, Claim, EntryName, Kind, declare_foundations};
use crate::host::workspace::Workspace;
use crate::seed::{CacheSecret, LabNonce};
use crate::size::Size;
use crate::time::Deadline;
use futures_util::future::LocalBoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long others may use a template that is to be thrown away.
const IN_USE: Duration = Duration::from_mins(1);

/// The directory of a template that is being made, in its workspace.
pub(super) const NEW: &str = "new";

/// Knows when a booted lab is ready: whoever asks for a template does.
pub trait Readiness {
    /// Brings the lab to ready, or says what it does not do.
    fn bring<'l>(&'l self, lab: &'l Lab) -> LocalBoxFuture<'l, Result<(), String>>;

    /// What it asks for, as an ingredient of the template's key.
    fn cache_key(&self) -> Result<String, LabError>;
}

/// All templates that this process uses, each checked once.
#[derive(Debug)]
pub struct TemplateStore {
    pub(super) cache: Cache,
    pub(super) secret: CacheSecret,
    known: Mutex<BTreeMap<EntryName, Arc<Slot>>>,
    /// Checkpoints that this process has made and kept.
    pub(super) fresh: Mutex<BTreeSet<EntryName>>,
}

/// One template that this process wants.
#[derive(Debug, Default)]
struct Slot {
    template: OnceCell<Arc<Template>>,
    in_work: AtomicBool,
}

/// What somebody wants a template of.
pub struct TemplateRequest<'a> {
    /// The lab.
    pub topology: &'a Topology,
    /// What it is made with.
    pub setup: &'a Setup,
    /// What this host has for labs that boot.
    pub budget: &'a Budget,
    /// When the booted lab is ready.
    pub readiness: &'a dyn Readiness,
    /// Where logs of the boot go.
    pub logs: &'a Path,
    /// Takes what happens.
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl std::fmt::Debug for TemplateRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemplateRequest").field("lab", &self.topology.name).finish_non_exhaustive()
    }
}

impl TemplateStore {
    /// The stock in `cache`.
    pub fn open(cache: Cache) -> std::io::Result<Self> {
        let secret = CacheSecret::open(&cache.secret())?;
        Ok(Self { cache, secret, known: Mutex::default(), fresh: Mutex::default() })
    }

    /// Hands back the template of a lab; makes it first, if there is none that can be trusted.
    pub async fn template(&self, order: &TemplateRequest<'_>) -> Result<Arc<Template>, LabError> {
        let entry = entry(order.topology, order.setup, &order.readiness.cache_key()?)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(entry.clone()).or_default().clone();
        if known.in_work.swap(true, Ordering::Relaxed) && !known.template.initialized() {
            (order.progress)(Progress::Waiting);
        }
        known.template.get_or_try_init(|| self.find_or_make(order, &entry)).await.cloned()
    }

    async fn find_or_make(&self, order: &TemplateRequest<'_>, entry: &EntryName) -> Result<Arc<Template>, LabError> {
        let claim = self.claim(entry, order.progress).await?;
        if claim.exists() {
            match self.checked(order.topology, order.setup, claim).await? {
                Ok(template) => return Ok(Arc::new(template)),
                Err((claim, why)) => {
                    (order.progress)(Progress::Distrusted(why));
                    claim.discard().map_err(LabError::file(claim.place()))?;
                    return self.make(order, claim).await.map(Arc::new);
                }
            }
        }
        self.make(order, claim).await.map(Arc::new)
    }

    /// Removes a template that QEMU does not load, so that whoever asks next makes it again. Waits a while for others who
    /// have tried the same.
    pub async fn throw_away(&self, template: Arc<Template>) -> Result<(), LabError> {
        let (place, frozen) = (template.directory().to_owned(), template.frozen());
        let name = place.file_name().and_then(|name| EntryName::parse(&name.to_string_lossy()));
        let Some(name) = name else { return Ok(()) };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        drop(template);
        let claim = self.claim(&name, &|_| ()).await?;
        // Somebody else may have made it again meanwhile.
        if !Manifest::read(&place).is_ok_and(|manifest| manifest.frozen == frozen) {
            return Ok(());
        }
        let attempt = || async {
            match claim.discard() {
                Err(busy) if busy.kind() == std::io::ErrorKind::ResourceBusy => Err(busy.to_string()),
                done => Ok(done),
            }
        };
        let discarded = Deadline::after(IN_USE).poll("nobody to use it", attempt).await;
        discarded.map_err(std::io::Error::other).flatten().map_err(LabError::file(&place))
    }

    /// Waits, without holding up anything else, while another run makes the same.
    pub(super) async fn claim(
        &self,
        entry: &EntryName,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Claim, LabError> {
        let (cache, entry) = (self.cache.clone(), entry.clone());
        let (waits, waiting) = tokio::sync::oneshot::channel::<()>();
        let place = cache.place(Kind::Template, &entry);
        let claiming = tokio::task::spawn_blocking(move || {
            // Nobody listens any more when the wish has gone.
            cache.claim(Kind::Template, &entry, || waits.send(()).unwrap_or_default())
        });
        let told = async {
            if waiting.await.is_ok() {
                progress(Progress::Waiting);
            }
        };
        let (claim, ()) = futures_util::future::join(claiming, told).await;
        claim.map_err(std::io::Error::other).flatten().map_err(LabError::file(&place))
    }

    /// The template that is there, or why it is of no use.
    pub(super) async fn checked(
        &self,
        topology: &Topology,
        setup: &Setup,
        claim: Claim,
    ) -> Result<Result<Template, (Claim, String)>, LabError> {
        // Reading all of it takes a moment, and must not hold up other labs.
        let place = claim.place().to_owned();
        let checking = {
            let (place, topology, setup) = (place.clone(), topology.clone(), setup.clone());
            tokio::task::spawn_blocking(move || Template::verified(&place, &topology, &setup))
        };
        let verified = checking.await.map_err(std::io::Error::other).map_err(LabError::file(&place))?;
        match verified {
            Err(diagnostic) => Ok(Err((claim, diagnostic.to_string()))),
            Ok(manifest) => {
                let used = claim.into_use().map_err(LabError::file(&place))?;
                let template = Template::trusted(&place, manifest, topology, &self.secret, Holds::Cached(used))?;
                Ok(Ok(template))
            }
        }
    }

    async fn make(&self, order: &TemplateRequest<'_>, claim: Claim) -> Result<Template, LabError> {
        self.check_room(order.topology)?;
        let made = match self.boot_and_freeze(order).await {
            // QEMU's emulation by several threads has been seen to fail an assertion of its own in early boot, rarely.
            Err(error) if error.is_abort_of_qemu() => {
                (order.progress)(Progress::Again(error.to_string()));
                self.boot_and_freeze(order).await
            }
            made => made,
        };
        let (new, manifest) = made.map_err(|error| error.or_full(&self.cache.building()))?;
        let place = claim.place().to_owned();
        claim.publish(&new.path().join(NEW)).map_err(LabError::file(&place))?;
        (order.progress)(Progress::Frozen);
        let used = claim.into_use().map_err(LabError::file(&place))?;
        Ok(Template::trusted(&place, manifest, order.topology, &self.secret, Holds::Cached(used))?)
    }

    /// A template in a directory of its own, complete.
    async fn boot_and_freeze(&self, order: &TemplateRequest<'_>) -> Result<(Workspace, Manifest), LabError> {
        let waiting = |wait: &_| (order.progress)(Progress::Waits(Clone::clone(wait)));
        let cores = order.budget.boot(order.topology.processors(), &waiting).await?;
        std::fs::create_dir_all(order.logs).map_err(LabError::file(order.logs))?;
        (order.progress)(Progress::Booting);
        let nonce = LabNonce::random();
        let lab = Lab::boot(order.topology, order.setup, &self.secret.lab(&nonce), order.logs, order.progress).await?;
        order.readiness.bring(&lab).await.map_err(LabError::NotReady)?;
        lab.settle().await?;
        drop(cores);
        (order.progress)(Progress::Settled);
        let building = self.cache.building();
        let workspace = Workspace::create(&building, &order.topology.name).map_err(LabError::file(&building))?;
        let new = workspace.path().join(NEW);
        std::fs::create_dir(&new).map_err(LabError::file(&new))?;
        let authority = lab.identity().authority().to_owned();
        lab.freeze_into(&new).await?;
        let manifest =
            tokio::task::block_in_place(|| Manifest::of(&new, order.topology, order.setup, nonce, &authority))?;
        manifest.write(&new)?;
        declare_foundations(&new, order.setup.media_below(order.topology)).map_err(LabError::file(&new))?;
        Ok((workspace, manifest))
    }

    /// A running lab, frozen into a template that only this run knows. The lab must have been thawed for that.
    pub async fn checkpoint(&self, lab: Lab, topology: &Topology, setup: &Setup) -> Result<Arc<Template>, LabError> {
        lab.settle().await?;
        let labs = self.cache.labs();
        let directory = Workspace::create(&labs, "checkpoint").map_err(LabError::file(&labs))?;
        let Some(below) = lab.template.clone() else {
            return Err(LabError::NotReady("only a lab that was thawed can be frozen on the way".into()));
        };
        let (nonce, authority) = (below.manifest().nonce.clone(), below.manifest().authority.clone());
        lab.freeze_into(directory.path()).await?;
        let manifest = Manifest::unverified(topology, setup, nonce, authority)?;
        let place = directory.path().to_owned();
        let holds = Holds::Checkpoint { directory, below };
        Ok(Arc::new(Template::trusted(&place, manifest, topology, &self.secret, holds)?))
    }

    /// RAM may be all in use, and disks grow: better refused than stopped half-way.
    pub(super) fn check_room(&self, topology: &Topology) -> Result<(), LabError> {
        const DISKS: u64 = 512 << 20;
        let place = self.cache.building();
        let free = Size::free_at(&place).map_err(LabError::file(&place))?;
        let needed = Size::bytes((u64::from(topology.memory_mib()) << 20) + DISKS);
        if free >= needed { Ok(()) } else { Err(LabError::NoRoom { place, needed, free }) }
    }
}
