//! `cargo xtask bench thaw`: what templates are worth.
#![expect(clippy::print_stdout, reason = "the command's result")]
#![expect(clippy::print_stderr, reason = "progress")]

use super::figures::{Clones, Seconds, memory_of};
use crate::setup;
use crate::workbench::{Workbench, lab_file};
use anyhow::{Context as _, anyhow};
use futures_util::future::try_join_all;
use harness::cache::Cache;
use harness::host::workspace::Workspace;
use harness::lab::{Lab, Progress, Purpose, Template, TemplateRequest, TemplateStore, Topology};
use harness::scenario::{Action, LabFile, ReadySteps, Step, holds};
use harness::seed::{Identity, LabSecret};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What to measure, and how often.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// How often each figure is measured; the median is told
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// How often labs are booted from nothing, which takes longest; 0 leaves out that, and the plain snapshots
    #[arg(long, default_value_t = 5)]
    cold: u16,
    /// Copies that run at once, for the figures of memory
    #[arg(long, value_delimiter = ',', default_value = "1,4,8")]
    clones: Vec<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The machine that is measured by itself.
const MACHINE: &str = "mail";

/// Measures, and prints.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    setup::ensure_tools(false)?;
    let file = lab_file("mail-lan")?;
    let cache = Cache::open_default().context("failed to open the cache")?;
    let workbench = Workbench::open(cache, &file.topology)?;
    let bench = Bench { file: &file, args, workbench: &workbench, stock: workbench.stock()? };
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(bench.measure())?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report.json(&workbench))?);
    } else {
        report.print(&workbench);
    }
    Ok(ExitCode::SUCCESS)
}

struct Bench<'a> {
    file: &'a LabFile,
    args: &'a Args,
    workbench: &'a Workbench,
    stock: TemplateStore,
}

/// Seconds from the decision to have a machine or a lab.
#[derive(Default)]
struct Ways {
    /// Until QEMU lets the guest run.
    running: Seconds,
    /// Until the guest agent has carried out a command; of a cold boot, until it answers at all.
    first_command: Seconds,
    /// Until it is what it is to be: cloud-init is done, or a copy knows the time.
    complete: Seconds,
    /// Until a login by IMAP was accepted.
    login: Seconds,
}

struct Report {
    machine_cold: Ways,
    machine_thawed: Ways,
    machine_loaded: Ways,
    lab_cold: Ways,
    lab_thawed: Ways,
    clones: Vec<Clones>,
    machines: usize,
}

/// What a copy is made for: each is measured in a copy of its own.
#[derive(Clone, Copy)]
enum Goal<'s> {
    Command,
    Login(&'s Step),
}

/// The moments of one start, as they come.
struct Watch {
    begun: Instant,
    running: Mutex<Option<Duration>>,
    answered: Mutex<Option<Duration>>,
}

impl Watch {
    fn start() -> Self {
        Self { begun: Instant::now(), running: Mutex::default(), answered: Mutex::default() }
    }

    /// The last machine counts.
    fn note(&self, progress: &Progress) {
        let moment = match progress {
            Progress::Started(_) | Progress::Running => &self.running,
            Progress::Answers(_) => &self.answered,
            _ => return,
        };
        *moment.lock().expect("nothing panics with it") = Some(self.begun.elapsed());
    }

    fn moment(moment: Mutex<Option<Duration>>) -> Duration {
        moment.into_inner().ok().flatten().unwrap_or_default()
    }

    fn into(self, ways: &mut Ways, login: Duration, complete: Duration) {
        ways.running.add(Self::moment(self.running));
        ways.first_command.add(Self::moment(self.answered));
        ways.complete.add(complete);
        ways.login.add(login);
    }
}

impl Bench<'_> {
    async fn measure(&self) -> anyhow::Result<Report> {
        let lab = &self.file.topology;
        let alone = lab.only(MACHINE);
        // A machine by itself has no directory to ask: its administrator is a local user.
        let (local, user) = (self.login_of("cyrus")?, self.login_of("alice")?);
        let snapshots = Workspace::create(&self.workbench.cache.labs(), "snapshots")?;
        let (machine_cold, identity) = self.cold(&alone, local, Some(snapshots.path())).await?;
        let machine_loaded = match identity {
            Some(identity) => self.loaded(&alone, local, snapshots.path(), &identity).await?,
            None => Ways::default(),
        };
        drop(snapshots);
        let template = self.template(&alone, std::slice::from_ref(local)).await?;
        let machine_thawed = self.thawed(&template, &alone, local).await?;
        let mut clones = Vec::new();
        for count in &self.args.clones {
            clones.push(self.clones(&template, &alone, local, *count).await?);
        }
        let (lab_cold, _) = self.cold(lab, user, None).await?;
        let template = self.template(lab, &self.file.ready).await?;
        let lab_thawed = self.thawed(&template, lab, user).await?;
        let machines = lab.machines.len();
        Ok(Report { machine_cold, machine_thawed, machine_loaded, lab_cold, lab_thawed, clones, machines })
    }

    /// The step of the lab's file by which a user logs in by IMAP.
    fn login_of(&self, user: &str) -> anyhow::Result<&Step> {
        let is_it = |step: &&Step| matches!(&step.action, Action::Imap(login) if login.user.get_ref() == user);
        let found = self.file.ready.iter().find(is_it);
        found.with_context(|| format!("the lab's file has no step by which {user} logs in by IMAP"))
    }

    fn logs(&self) -> &Path {
        self.workbench.scratch.path()
    }

    /// Repeats the login until it is accepted.
    async fn logged_in(&self, lab: &Lab, step: &Step) -> anyhow::Result<()> {
        let deadline = lab.pace().deadline(Duration::from_secs(30));
        deadline.poll("a login", || holds(lab, &self.file.topology.domain, step)).await?;
        Ok(())
    }

    /// Boots a lab from nothing, again and again. The last one is kept as `snapshots`, if somebody wants them; its keys
    /// and passwords are handed back.
    async fn cold(
        &self,
        topology: &Topology,
        login: &Step,
        snapshots: Option<&Path>,
    ) -> anyhow::Result<(Ways, Option<Identity>)> {
        let mut ways = Ways::default();
        let secret = LabSecret::random();
        let mut identity = None;
        for number in 1..=self.args.cold {
            let watch = Watch::start();
            let note = |progress| watch.note(&progress);
            let lab = Lab::boot(topology, &self.workbench.setup, &secret, self.logs(), &note).await?;
            let complete = watch.begun.elapsed();
            self.logged_in(&lab, login).await?;
            let logged_in = watch.begun.elapsed();
            eprintln!(
                "{} from nothing, {number} of {}: login after {:.1} s",
                topology.name,
                self.args.cold,
                logged_in.as_secs_f64()
            );
            watch.into(&mut ways, logged_in, complete);
            identity = Some(lab.identity().clone());
            match snapshots {
                Some(directory) if number == self.args.cold => lab.snapshot_into(directory).await?,
                _ => lab.tear_down().await?,
            }
        }
        Ok((ways, identity))
    }

    async fn loaded(
        &self,
        topology: &Topology,
        login: &Step,
        snapshots: &Path,
        identity: &Identity,
    ) -> anyhow::Result<Ways> {
        let mut ways = Ways::default();
        for goal in self.goals(login) {
            // Each copy needs a disk of its own. The time for that is not counted.
            let copies = Workspace::create(&self.workbench.cache.labs(), "snapshots")?;
            for machine in topology.machines.iter().filter(|machine| !machine.absent && machine.inside.is_none()) {
                let disk = format!("{}.qcow2", machine.name.get_ref());
                fs_err::copy(snapshots.join(&disk), copies.path().join(&disk))?;
            }
            let watch = Watch::start();
            let note = |progress| watch.note(&progress);
            let (identity, logs) = (identity.clone(), self.logs());
            let setup = &self.workbench.setup;
            let lab = Lab::load_snapshots(copies.path(), topology, setup, identity, logs, &note).await?;
            self.proceed(watch, lab, goal, &mut ways).await?;
        }
        eprintln!("{} from snapshots: login after {}", topology.name, ways.login.text());
        Ok(ways)
    }

    async fn template(&self, topology: &Topology, ready: &[Step]) -> anyhow::Result<Arc<Template>> {
        let order = TemplateRequest {
            topology,
            setup: &self.workbench.setup,
            budget: &self.workbench.budget,
            readiness: &ReadySteps { domain: &topology.domain, steps: ready },
            logs: &self.logs().join("template"),
            progress: &|progress| eprintln!("{} {progress}", topology.name),
        };
        Ok(self.stock.template(&order).await?)
    }

    async fn thawed(&self, template: &Arc<Template>, topology: &Topology, login: &Step) -> anyhow::Result<Ways> {
        let mut ways = Ways::default();
        for goal in self.goals(login) {
            let watch = Watch::start();
            let note = |progress| watch.note(&progress);
            let lab = Lab::thaw(template, topology, &self.workbench.setup, Purpose::Use, self.logs(), &note).await?;
            self.proceed(watch, lab, goal, &mut ways).await?;
        }
        eprintln!("{} thawed: login after {}", topology.name, ways.login.text());
        Ok(ways)
    }

    /// Each goal as often as it is measured, in turn.
    fn goals<'s>(&self, login: &'s Step) -> impl Iterator<Item = Goal<'s>> + use<'s> {
        std::iter::repeat_n([Goal::Command, Goal::Login(login)], self.args.repeat.into()).flatten()
    }

    /// Goes on from a lab that was just made, to what is measured, and ends it.
    async fn proceed(&self, watch: Watch, lab: Lab, goal: Goal<'_>, ways: &mut Ways) -> anyhow::Result<()> {
        let complete = watch.begun.elapsed();
        match goal {
            Goal::Command => {
                let deadline = lab.pace().deadline(Duration::from_secs(30));
                try_join_all(lab.machines().map(|machine| machine.run("/bin/true", &[], b"", deadline))).await?;
                ways.first_command.add(watch.begun.elapsed());
            }
            Goal::Login(login) => {
                self.logged_in(&lab, login).await?;
                ways.login.add(watch.begun.elapsed());
            }
        }
        ways.complete.add(complete);
        ways.running.add(Watch::moment(watch.running));
        Ok(lab.tear_down().await?)
    }

    /// Memory of copies that run at once, right after a login to each.
    async fn clones(
        &self,
        template: &Arc<Template>,
        topology: &Topology,
        login: &Step,
        count: usize,
    ) -> anyhow::Result<Clones> {
        let copy = |_| async {
            let setup = &self.workbench.setup;
            let lab = Lab::thaw(template, topology, setup, Purpose::Use, self.logs(), &|_| ()).await?;
            self.logged_in(&lab, login).await?;
            anyhow::Ok(lab)
        };
        let labs = try_join_all((0..count).map(copy)).await?;
        let (mut pss, mut dirty) = (0.0, 0.0);
        for machine in labs.iter().flat_map(Lab::machines) {
            let pid = machine.pid().ok_or_else(|| anyhow!("machine {} has ended", machine.name()))?;
            let (own_pss, own_dirty) = memory_of(pid)?;
            pss += own_pss;
            dirty += own_dirty;
        }
        try_join_all(labs.into_iter().map(Lab::tear_down)).await?;
        #[expect(clippy::cast_precision_loss, reason = "a handful of copies")]
        let each = |sum: f64| sum / count as f64;
        eprintln!("{count} copies of {MACHINE} at once: {:.0} MiB private each", each(dirty));
        let guest_ram_mib = topology.memory_mib();
        Ok(Clones { count, pss_mib: each(pss), private_dirty_mib: each(dirty), guest_ram_mib })
    }
}

impl Report {
    fn json(&self, workbench: &Workbench) -> serde_json::Value {
        json!({
            "accelerator": workbench.selection.accelerator,
            "pace": workbench.selection.pace.factor(),
            "machine": {
                "cold_boot_s": self.machine_cold.complete.median(),
                "cold_first_command_s": self.machine_cold.first_command.median(),
                "cold_boot_to_login_s": self.machine_cold.login.median(),
                "thaw_running_s": self.machine_thawed.running.median(),
                "thaw_first_command_s": self.machine_thawed.first_command.median(),
                "thaw_to_login_s": self.machine_thawed.login.median(),
            },
            "lab": {
                "machines": self.machines,
                "cold_boot_to_login_s": self.lab_cold.login.median(),
                "thaw_to_login_s": self.lab_thawed.login.median(),
            },
            "clones": self.clones,
            "alternatives": {
                "savevm_loadvm": {
                    "running_s": self.machine_loaded.running.median(),
                    "first_command_s": self.machine_loaded.first_command.median(),
                    "to_login_s": self.machine_loaded.login.median(),
                },
            },
        })
    }

    fn print(&self, workbench: &Workbench) {
        println!("accelerator {}, pace {}", workbench.selection.accelerator, workbench.selection.pace);
        for (what, ways) in [
            (format!("{MACHINE} from nothing"), &self.machine_cold),
            (format!("{MACHINE} by loadvm"), &self.machine_loaded),
            (format!("{MACHINE} thawed"), &self.machine_thawed),
            (format!("lab of {} from nothing", self.machines), &self.lab_cold),
            (format!("lab of {} thawed", self.machines), &self.lab_thawed),
        ] {
            println!("\n{what}");
            println!("  running        {}", ways.running.text());
            println!("  first command  {}", ways.first_command.text());
            println!("  complete       {}", ways.complete.text());
            println!("  IMAP login     {}", ways.login.text());
        }
        println!();
        for clones in &self.clones {
            let share = clones.private_dirty_mib / f64::from(clones.guest_ram_mib) * 100.0;
            println!(
                "{} copies at once: {:.0} MiB PSS, {:.0} MiB private dirty each, {share:.0} % of {} MiB",
                clones.count, clones.pss_mib, clones.private_dirty_mib, clones.guest_ram_mib
            );
        }
        let first = self.machine_thawed.first_command.median();
        println!("\nthawing a machine, to its first command, against");
        println!("  its boot, complete           1 : {:.0}", self.machine_cold.complete.median() / first);
        println!("  its boot, to a first command 1 : {:.0}", self.machine_cold.first_command.median() / first);
        println!("  loadvm                       1 : {:.1}", self.machine_loaded.first_command.median() / first);
        let login = self.lab_cold.login.median() / self.lab_thawed.login.median();
        println!("thawing the lab, to an IMAP login, against its boot  1 : {login:.0}");
    }
}
