//! Machines of a running lab that are switched off and on again.

use super::running::Lab;
use super::setup::LabError;
use crate::machine::{Boot, Logs, Machine, MachineName, Origin, Spec, VerbError, ssh};
use crate::time::Deadline;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a guest may take to shut its services down: nominal. systemd gives each a minute and a half.
const SHUTDOWN: Duration = Duration::from_secs(30);
/// How long a boot may take until nothing is left to start: nominal.
const BOOT: Duration = Duration::from_secs(40);
/// How much longer it may take until systemd has given up on what does not start: 90 s for each attempt (systemd-system.conf(5),
/// `DefaultTimeoutStartSec`), on any host.
const GIVEN_UP: Duration = Duration::from_mins(5);

/// Prints the kernel that a boot loader would choose: the newest, and the RAM disk that belongs to it.
const NEWEST_KERNEL: &str = "kernel=$(ls /boot/vmlinuz-* | sort --version-sort | tail -n 1) && version=${kernel#/boot/vmlinuz-} && \
                             echo $version && sync && ls $kernel && ls /boot/initrd.img-$version";

/// What a machine started with, again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebooted {
    /// The version of its kernel; none where the firmware starts a boot loader on the disk.
    pub kernel: Option<String>,
}

impl Lab {
    /// Reboots one machine, as its own `systemctl reboot` does: into the newest kernel that is installed in it. Waits
    /// until nothing is left to start in it. Its logs go to a new directory in `logs`.
    pub async fn reboot(&mut self, name: &str, logs: &Path) -> Result<Rebooted, LabError> {
        let deadline = self.tempo.deadline(SHUTDOWN);
        let index = self.specs.iter().position(|spec| spec.name.as_str() == name);
        let index = index.ok_or_else(|| LabError::NoMachine(name.to_owned()))?;
        let (version, boot) = self.next_boot(index, deadline).await?;
        let machine_name = self.specs[index].name.clone();
        let machine = self.machines.get(&machine_name).ok_or_else(|| LabError::NoMachine(name.to_owned()))?;
        machine.end_at_reboot(deadline).await?;
        tell(machine, "systemctl --no-block reboot", deadline).await?;
        self.take(name)?.ended(deadline).await?;
        let spec = &mut self.specs[index];
        (spec.boot, spec.origin) = (boot, Origin::PowerOn);
        self.switch_on(&machine_name, logs).await?;
        Ok(Rebooted { kernel: version })
    }

    /// Ends one machine at once, as a pulled plug does: what was not on its disk is lost.
    pub async fn cut_power(&mut self, name: &str) -> Result<(), LabError> {
        let deadline = self.tempo.deadline(SHUTDOWN);
        let machine = self.take(name)?;
        Ok(machine.stop(deadline).await?)
    }

    /// Shuts one machine down in order, and waits until it is off.
    pub async fn shut_down(&mut self, name: &str) -> Result<(), LabError> {
        let deadline = self.tempo.deadline(SHUTDOWN);
        let machine = self.take(name)?;
        tell(&machine, "systemctl --no-block poweroff", deadline).await?;
        Ok(machine.ended(deadline).await?)
    }

    /// Starts a machine that was switched off, with the kernel that it had. Waits until nothing is left to start in it.
    /// Its logs go to a new directory in `logs`.
    pub async fn power_on(&mut self, name: &str, logs: &Path) -> Result<(), LabError> {
        let spec = self.specs.iter_mut().find(|spec| spec.name.as_str() == name);
        let spec = spec.ok_or_else(|| LabError::NoMachine(name.to_owned()))?;
        let name = spec.name.clone();
        if self.machines.contains_key(&name) {
            return Err(LabError::Running(name));
        }
        spec.origin = Origin::PowerOn;
        self.switch_on(&name, logs).await
    }

    /// The machine, which is not watched any more.
    fn take(&mut self, name: &str) -> Result<Machine, LabError> {
        let known = self.machines.keys().find(|known| known.as_str() == name).cloned();
        known.and_then(|name| self.machines.remove(&name)).ok_or_else(|| LabError::NoMachine(name.to_owned()))
    }

    /// The kernel and the RAM disk that a machine started with, if they are from its own disk.
    pub(super) fn own_kernel<'a>(&self, spec: &'a Spec) -> Option<(&'a Path, &'a Path)> {
        let Boot::Direct { kernel, initrd: Some(initrd), .. } = &spec.boot else { return None };
        let of_a_template = self.template.as_ref().is_some_and(|template| kernel.starts_with(template.directory()));
        (of_a_template || kernel.starts_with(self.directory())).then_some((kernel, initrd))
    }

    async fn switch_on(&mut self, name: &MachineName, logs: &Path) -> Result<(), LabError> {
        let spec = self.specs.iter().find(|spec| spec.name == *name);
        let spec = spec.ok_or_else(|| LabError::NoMachine(name.to_string()))?;
        self.boots += 1;
        let logs = logs.join(format!("boot-{}", self.boots));
        std::fs::create_dir_all(&logs).map_err(LabError::file(&logs))?;
        match self.up(spec, &logs).await {
            Ok(machine) => {
                self.machines.insert(name.clone(), machine);
                Ok(())
            }
            Err(error) => Err(stays_away(spec, &logs, error)),
        }
    }

    /// Starts a machine, and waits until nothing is left to start in it.
    async fn up(&self, spec: &Spec, logs: &Path) -> Result<Machine, LabError> {
        let logs = Logs { directory: logs, captures: &self.logs, secrets: self.identity.secrets() };
        let machine = Machine::start(spec, self.network.keeper(), logs, self.tempo.deadline(SHUTDOWN)).await?;
        let deadline = self.tempo.deadline(BOOT);
        if let Some(limit) = self.captured().get(&spec.name) {
            self.record(&machine, *limit, deadline).await?;
        }
        machine.wait_for_agent(deadline).await?;
        let given_up = Deadline::after(BOOT.mul_f64(self.pace().factor()) + GIVEN_UP);
        // Ends with an error where a unit has failed: that is for the scenario to judge.
        machine.execute("systemctl is-system-running --wait", given_up).await?;
        Ok(machine)
    }

    /// What the machine with this number would start with next: its kernel is fetched from its disk.
    async fn next_boot(&self, index: usize, deadline: Deadline) -> Result<(Option<String>, Boot), LabError> {
        let spec = &self.specs[index];
        let Boot::Direct { parameters, .. } = &spec.boot else { return Ok((None, Boot::Disk)) };
        let machine = self.machines.get(&spec.name).ok_or_else(|| LabError::NoMachine(spec.name.to_string()))?;
        let found = machine.succeed(NEWEST_KERNEL, deadline).await?;
        let mut lines = found.lines().map(str::to_owned);
        let mut line = || lines.next().ok_or_else(|| LabError::NoKernel { machine: spec.name.clone() });
        let (version, kernel, initrd) = (line()?, line()?, line()?);
        let kernel = self.fetch(spec.name.as_str(), Path::new(&kernel), "kernel", deadline).await?;
        let initrd = self.fetch(spec.name.as_str(), Path::new(&initrd), "initrd", deadline).await?;
        let boot = Boot::Direct { kernel, initrd: Some(initrd), parameters: parameters.clone() };
        Ok((Some(version), boot))
    }

    /// Copies a file of a machine into the lab's own directory, under another name.
    async fn fetch(&self, machine: &str, path: &Path, name: &str, deadline: Deadline) -> Result<PathBuf, LabError> {
        let host = self.host(machine).ok_or_else(|| LabError::NoMachine(machine.to_owned()))?;
        let failed = |source| LabError::Fetch { machine: machine.to_owned(), path: path.to_owned(), source };
        let connection = self.ssh_connection(host, deadline).await.map_err(failed)?;
        let root = ssh::User { name: "root".into(), proof: ssh::Proof::Key(self.identity.ssh_key().clone()) };
        let (bytes, _) = ssh::download(connection, root, path.to_owned(), deadline).await.map_err(failed)?;
        // A file that QEMU may still have open is not written over. Its name is ours: a guest names no file of this host.
        let copy = self.directory().join(format!("{machine}.boot-{}.{name}", self.boots + 1));
        std::fs::write(&copy, bytes).map_err(LabError::file(&copy))?;
        Ok(copy)
    }
}

/// Says what is known of a machine that was started in vain.
fn stays_away(spec: &Spec, logs: &Path, source: LabError) -> LabError {
    let console = logs.join(format!("console-{}.log", spec.name));
    let said = std::fs::read(&console).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let tail: Vec<_> = said.lines().map(str::trim_end).filter(|line| !line.is_empty()).rev().take(6).collect();
    let last_words: Vec<String> = tail.into_iter().rev().map(|line| line.chars().take(160).collect()).collect();
    let kernel = match &spec.boot {
        Boot::Direct { kernel, .. } => Some(kernel.clone()),
        Boot::Disk => None,
    };
    let source = Box::new(source);
    LabError::StaysAway { machine: spec.name.clone(), kernel, console, last_words: last_words.join("\n"), source }
}

/// Tells a guest to end. The agent is among what ends, so that no answer is none to worry about: a guest that has not heard
/// does not end, and that is waited for.
async fn tell(machine: &Machine, command: &str, deadline: Deadline) -> Result<(), LabError> {
    match machine.succeed(command, deadline).await {
        Err(refused @ VerbError::Status { .. }) => Err(refused.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}
