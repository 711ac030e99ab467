//! Lays somebody's own configuration over the mail machine of a lab that was just thawed, before the first step.

use super::case_run::{CaseRun, Engine};
use super::login_failure::refused_login;
use crate::drift::Drift;
use crate::etc::{Fact, Facts, LaidFile, OwnEtc, services};
use crate::lab::{Lab, Topology};
use crate::machine::{Machine, quoted};
use crate::results::{StepOutcome, StepResult};
use crate::scenario::format::scenario::Case;
use crate::scenario::format::step::{Action, Step};
use crate::scenario::verbs::{Artifact, Since, StepContext, StepError, TestState, diagnosis_of, take_inventory};
use crate::time::Pauses;
use secrecy::ExposeSecret as _;
use std::time::{Duration, Instant};

/// How long it may take to lay files and to start services again: nominal.
const LAYING: Duration = Duration::from_mins(1);

/// How long logins may take to work after that: nominal. sssd, just started, may not have found the directory yet.
const READY: Duration = Duration::from_secs(3);
/// And so often each is tried at least: a server takes four real seconds to refuse one, however quick this host is.
const LEAST_TRIES: u32 = 2;

/// Names of the inventories before and after.
const BEFORE: &str = "lab";
const AFTER: &str = "etc";

/// What a machine said when services were started again.
#[derive(Debug, Default, PartialEq, Eq)]
struct Started {
    /// Units and their states.
    units: Vec<(String, String)>,
    /// What else was said.
    complaints: Vec<String>,
}

impl Engine<'_> {
    /// The configuration that a case is run with, if it is not the lab's own.
    pub(crate) fn own_etc<'c>(&'c self, case: &'c Case) -> Option<&'c OwnEtc> {
        self.course.etc.or(case.etc.as_deref())
    }

    /// Lays the configuration over the mail machine, and says whether the lab's users can log in then: a step of its own.
    pub(crate) async fn lay(
        &self,
        play: &CaseRun<'_>,
        etc: &OwnEtc,
        lab: &mut Lab,
        notes: &mut TestState,
    ) -> Result<StepResult, String> {
        let begun = Instant::now();
        let topology = &play.case.lab.topology;
        let mail = machine_of(topology, "mail")
            .ok_or_else(|| format!("lab {} has no machine with the role mail", topology.name))?;
        lab.learn(etc.secrets());
        let before = take_inventory(lab, mail, BEFORE).await?;
        let laid = etc.laid(&facts(lab, topology).ok_or("the lab has no directory, or no account of sssd")?);
        let started = self.lay_files(lab, mail, etc, &laid).await?;
        let after = take_inventory(lab, mail, AFTER).await?;
        let drift = Drift::between(&before.inventory, &after.inventory, None);
        let artifacts = [
            before.artifact().map_err(|error| error.to_string())?,
            after.artifact().map_err(|error| error.to_string())?,
            Artifact::json(format!("drift-{BEFORE}-{mail}.json"), &drift).map_err(|error| error.to_string())?,
            Artifact { file: format!("drift-{BEFORE}-{mail}.txt"), text: lab.identity().redact(&drift.to_string()) },
        ];
        play.artifact(&artifacts)?;
        notes.inventories.extend([before, after]);
        let changed = drift.changes.iter().filter(|change| change.can_be_put_back()).count();
        let mut answered = vec![format!("{} files, {changed} paths differ from the lab's own", laid.len())];
        answered.extend(substituted(&laid));
        answered.extend(started.words());
        let readers = services::readers(etc.paths()).1;
        if !readers.is_empty() {
            answered.push(format!("read by nobody here: {}", readers.join(", ")));
        }
        let (outcome, diagnosis) = match self.first_refused(play, lab, notes).await? {
            None => (StepOutcome::Passed, None),
            Some((words, diagnosis)) => {
                answered.push(words);
                (StepOutcome::Failed, diagnosis)
            }
        };
        Ok(StepResult {
            name: format!("the configuration of {} is laid over {mail}", etc.directory().display()),
            machine: mail.to_owned(),
            outcome,
            seconds: begun.elapsed().as_secs_f64(),
            asked: format!("lay {}", etc.directory().display()),
            answered: lab.identity().redact(&answered.join("; ")),
            diagnosis,
            number: None,
            part: crate::results::Part::Plain,
            phase: None,
            line: None,
            started: None,
            transcript: None,
            files: Vec::new(),
            cores: None,
        })
    }

    async fn lay_files(
        &self,
        lab: &Lab,
        mail: &str,
        etc: &OwnEtc,
        laid: &[(LaidFile, Vec<String>)],
    ) -> Result<Started, String> {
        let machine: &Machine = lab.machine(mail).ok_or_else(|| format!("machine {mail} does not run"))?;
        let deadline = lab.pace().deadline(LAYING);
        let archive = archive(laid.iter().map(|(file, _)| file)).map_err(|error| error.to_string())?;
        let arguments = ["--extract", "--same-permissions", "--same-owner", "--directory=/etc", "--file=-"];
        machine.run("tar", &arguments, &archive, deadline).await.map_err(|error| error.to_string())?;
        let gone: Vec<_> = etc.absent().iter().map(|path| quoted(&format!("/etc/{path}"))).collect();
        if !gone.is_empty() {
            machine
                .succeed(&format!("rm -f -- {}", gone.join(" ")), deadline)
                .await
                .map_err(|error| error.to_string())?;
        }
        let absent = etc.absent();
        let (units, _) = services::readers(etc.paths().chain(absent.iter().map(String::as_str)));
        let nftables = if etc.paths().any(|path| path == "nftables.conf") { "NFTABLES=1\n" } else { "" };
        let script = format!("set -- {}\n{nftables}{}", units.join(" "), crate::etc::APPLY);
        let output = machine.execute(&script, deadline).await.map_err(|error| error.to_string())?;
        Ok(Started::of(&format!("{}{}", output.stdout, output.stderr)))
    }

    /// The first login of the lab's own readiness that is not let in, in words, and why.
    async fn first_refused(
        &self,
        play: &CaseRun<'_>,
        lab: &Lab,
        notes: &mut TestState,
    ) -> Result<Option<(String, Option<String>)>, String> {
        let mut stage = StepContext::new(lab, &play.case.lab.topology.domain, notes, self.say)?;
        let deadline = lab.pace().deadline(READY);
        let is_login = |step: &&Step| matches!(step.action, Action::Imap(_) | Action::Smtp(_));
        for step in play.case.lab.ready.iter().filter(is_login) {
            let mut pauses = Pauses::default();
            let mut tries = 0;
            loop {
                let started = Instant::now();
                tries += 1;
                let performed = stage.perform(step).await;
                let refused = refused_login(step, &performed);
                let done = match performed {
                    Ok(_) => break,
                    Err(_) if tries < LEAST_TRIES || !deadline.passed() => {
                        pauses.next(&deadline).await;
                        continue;
                    }
                    Err(StepError::Unmet(done, _)) => done,
                    Err(StepError::Broken(reason) | StepError::Lacking(reason)) => return Ok(Some((reason, None))),
                };
                let words = format!("{}: {} → {}", step.name.get_ref(), done.asked, done.answered);
                let Some(login) = refused else { return Ok(Some((words, None))) };
                let since = Since::Ago(started.elapsed() + super::login_failure::MARGIN);
                let diagnosis = diagnosis_of(lab, step.machine(), login, since).await?.of_failed_login();
                self.tell(play, lab, "diagnosis-etc", &diagnosis);
                return Ok(Some((words, Some(diagnosis.cause().to_string()))));
            }
        }
        Ok(None)
    }

    /// Lays what is to be laid, if anything, and keeps the result.
    pub(crate) async fn lay_own_etc(
        &self,
        play: &CaseRun<'_>,
        lab: &mut Lab,
        notes: &mut TestState,
        steps: &mut Vec<StepResult>,
    ) -> Result<(), String> {
        let Some(etc) = self.own_etc(play.case) else { return Ok(()) };
        let laying = self.lay(play, etc, lab, notes);
        let mut step = tokio::select! {
            step = laying => step?,
            () = self.interrupt.wished() => return Err("interrupted".into()),
        };
        // What a scenario expects of its own configuration is said by its steps.
        if self.course.etc.is_none() {
            step.outcome = StepOutcome::Passed;
        }
        self.report(play, &step);
        let failed = step.outcome == StepOutcome::Failed;
        let why = step.diagnosis.as_ref().map(|cause| format!("; diagnosis: {cause}")).unwrap_or_default();
        let reason = format!("with the configuration of {} {}{why}", etc.directory().display(), step.answered);
        steps.push(step);
        if failed && !self.course.to_the_end { Err(reason) } else { Ok(()) }
    }
}

impl Started {
    /// Reads what the script has said.
    fn of(said: &str) -> Self {
        let mut started = Self::default();
        for line in said.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.strip_prefix('@').and_then(|line| line.split_once(' ')) {
                Some((unit, state)) => started.units.push((unit.to_owned(), state.to_owned())),
                None => started.complaints.push(line.to_owned()),
            }
        }
        started
    }

    fn words(&self) -> Vec<String> {
        let units: Vec<_> = self.units.iter().map(|(unit, state)| format!("{unit} ({state})")).collect();
        let units = if units.is_empty() {
            "no service needs a restart".into()
        } else {
            format!("started again: {}", units.join(", "))
        };
        let complaints = self.complaints.iter().take(4).map(|line| format!("said: {line}"));
        [units].into_iter().chain(complaints).collect()
    }
}

/// What was put in the place of something else, in few words.
fn substituted(laid: &[(LaidFile, Vec<String>)]) -> Option<String> {
    let count: usize = laid.iter().map(|(_, done)| done.len()).sum();
    let files = laid.iter().filter(|(_, done)| !done.is_empty()).count();
    (count > 0).then(|| format!("{count} values of {files} files are the lab's"))
}

fn machine_of<'t>(topology: &'t Topology, role: &str) -> Option<&'t str> {
    let found =
        topology.machines.iter().find(|machine| machine.role == role && !machine.absent && machine.inside.is_none());
    found.map(|machine| machine.name.get_ref().as_str())
}

/// What the facts are in this lab; paths and accounts as the role `mail` in `cloud-init/` has them.
fn facts(lab: &Lab, topology: &Topology) -> Option<Facts> {
    let mail = lab.host(machine_of(topology, "mail")?)?;
    let directory = lab.host(machine_of(topology, "directory")?)?;
    let base_dn: Vec<_> = topology.domain.split('.').map(|label| format!("dc={label}")).collect();
    let base_dn = base_dn.join(",");
    let facts = [
        (Fact::Domain, topology.domain.clone()),
        (Fact::LdapUri, format!("ldaps://{}", directory.fqdn)),
        (Fact::DirectoryName, directory.fqdn.clone()),
        (Fact::DirectoryAddress, directory.address.to_string()),
        (Fact::BindDn, format!("cn=sssd,ou=services,{base_dn}")),
        (Fact::BindPassword, lab.identity().password("sssd")?.plain().expose_secret().to_owned()),
        (Fact::MailName, mail.fqdn.clone()),
        (Fact::MailShortName, mail.name.clone()),
        (Fact::MailAddress, mail.address.to_string()),
        (Fact::Authority, "/etc/ssl/lab/authority.crt".to_owned()),
        (Fact::Certificate, "/etc/ssl/lab/own.crt".to_owned()),
        (Fact::Key, "/etc/ssl/lab/own.key".to_owned()),
        (Fact::BaseDn, base_dn),
    ];
    Some(facts.into())
}

/// The files as an archive of tar, with owners by name.
fn archive<'f>(files: impl Iterator<Item = &'f LaidFile>) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(file.mode);
        header.set_mtime(now);
        header.set_size(file.content.len() as u64);
        header.set_username(&file.owner)?;
        header.set_groupname(&file.group)?;
        archive.append_data(&mut header, &file.path, file.content.as_slice())?;
    }
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_complaints_are_told_apart() {
        let started = Started::of("postmap: fatal: open /etc/postfix/mailboxes\n@sssd active\n@postfix failed\n");
        assert_eq!(started.units.len(), 2);
        let words = started.words().join("; ");
        assert_eq!(
            words,
            "started again: sssd (active), postfix (failed); said: postmap: fatal: open /etc/postfix/mailboxes"
        );
    }

    #[test]
    fn an_archive_has_modes_and_owners_by_name() {
        let file = LaidFile {
            path: "sssd/sssd.conf".into(),
            content: b"x".to_vec(),
            mode: 0o600,
            owner: "root".into(),
            group: "mail".into(),
        };
        let bytes = archive([&file].into_iter()).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.header().mode().unwrap(), 0o600);
        assert_eq!(entry.header().groupname().unwrap(), Some("mail"));
        assert_eq!(entry.path().unwrap().to_str(), Some("sssd/sssd.conf"));
    }
}
