//! The secrets of a run: its users' passwords, which open encrypted disks, too, root's key for ssh, and what all are derived from. They are
//! used, and a guest prints what it gets of them wherever it can; then they are looked for.

use super::super::runs::{ENDLESS, Stage};
use super::super::{Outcome, Report};
use super::guests::files_below;
use anyhow::{Context as _, ensure};
use harness::cache::Kind;
use harness::seed::{CacheSecret, Identity, LabNonce};
use nix::sys::signal::Signal;
use secrecy::ExposeSecret as _;
use std::fmt::Write as _;

/// Accounts of the lab.
const ACCOUNTS: [&str; 5] = ["alice", "bob", "carol", "dave", "sssd"];

pub(super) fn run(stage: &Stage, report: &mut Report) {
    report.row("faults: a run's secrets are in no process and in nothing that it writes", || are_kept(stage));
}

/// A secret, in the forms that it could stand somewhere, and what it is.
struct Secret {
    what: String,
    forms: Vec<Vec<u8>>,
}

impl Secret {
    fn new(what: String, bytes: &[u8]) -> Self {
        let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { what, forms: vec![bytes.to_vec(), hexadecimal.into_bytes()] }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms.iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
    }
}

/// All of the lab whose template is in the cache.
fn secrets(stage: &Stage) -> anyhow::Result<Vec<Secret>> {
    let cache = stage.site.cache();
    let templates = cache.list(Kind::Template)?;
    let [template] = &*templates else { anyhow::bail!("there are {} templates", templates.len()) };
    let directory = cache.entries(Kind::Template).join(template.name.to_string());
    let manifest: serde_json::Value = serde_json::from_slice(&fs_err::read(directory.join("manifest.json"))?)?;
    let nonce: LabNonce = serde_json::from_value(manifest["nonce"].clone())?;
    let authority = manifest["authority"].as_str().context("the template has no authority")?.to_owned();
    let of_lab = CacheSecret::open(&cache.secret())?.lab(&nonce);
    let identity = Identity::recall(&of_lab, authority, ACCOUNTS)?;
    let passwords = identity.passwords().map(|(account, password)| {
        Secret::new(format!("the password of {account}"), password.plain().expose_secret().as_bytes())
    });
    let key = identity.ssh_key().expose_secret();
    // The lines with its private part, below those that all such keys have in common with the public one.
    let lines = key.lines().filter(|line| !line.starts_with("-----")).skip(2);
    let key = lines.map(|line| Secret::new("root's key for ssh".into(), line.as_bytes()));
    let all: Vec<_> = passwords.chain(key).collect();
    ensure!(all.len() > ACCOUNTS.len(), "only {} secrets are known", all.len());
    let own = Secret::new("the secret of the cache".into(), &fs_err::read(cache.secret())?);
    let marker = Secret { what: "a private key".into(), forms: vec![b"PRIVATE KEY-----".to_vec()] };
    Ok(all.into_iter().chain([own, marker]).collect())
}

/// A guest that tells all that it is told, and then takes its time.
fn talkative() -> String {
    let mut text = "summary = \"for a bad day\"\nlab = \"alone\"\n".to_owned();
    let tell = "read -r it; echo $it; echo $it >&2; echo $it > /dev/ttyS0; logger --tag told $it";
    for account in ACCOUNTS {
        let _ = write!(
            text,
            "[[step]]\nname = \"{account}'s password is told\"\non = \"directory\"\n\
             do.run = {{ command = \"{tell}\", password_of = \"{account}\" }}\n"
        );
    }
    let (name, command) = ENDLESS;
    let _ = write!(
        text,
        "[[step]]\nname = \"alice's is used\"\non = \"directory\"\ndo.account = {{ create = \"alice\" }}\n\
         [[step]]\nname = \"{name}\"\non = \"directory\"\ndo.run = {{ command = \"{command}\", password_of = \"bob\" }}\n"
    );
    text
}

fn are_kept(stage: &Stage) -> anyhow::Result<Outcome> {
    let secrets = secrets(stage)?;
    let looked_at = |place: &str, bytes: &[u8]| {
        let told = secrets.iter().find(|secret| secret.is_in(bytes));
        told.map_or(Ok(()), |secret| Err(anyhow::anyhow!("{} stands in {place}", secret.what)))
    };
    let mut run = stage.start_file(&talkative(), &[])?;
    run.wait_for("alice's is used")?;
    let console = stage.results().join("latest/bad-day::main/console-directory.log");
    stage.site.wait_for_text(&console, "begun")?;
    // Something was left out for each account: what is found nowhere was not simply never told.
    let told = fs_err::read_to_string(&console)?;
    let left_out = told.matches("******").count();
    ensure!(left_out >= ACCOUNTS.len(), "the guest has told {left_out} of what it was told: {told}");
    // What a run would leave that is killed now.
    let results = stage.results().join("latest").canonicalize()?;
    let look_through = || -> anyhow::Result<usize> {
        let files = files_below(&results)?;
        for file in &files {
            looked_at(&file.display().to_string(), &fs_err::read(file)?)?;
        }
        Ok(files.len())
    };
    look_through()?;
    let processes = stage.site.processes();
    ensure!(processes.len() > 1, "only {processes:?} run");
    for (process, name) in &processes {
        for file in ["cmdline", "environ"] {
            looked_at(&format!("{file} of {name}"), &fs_err::read(format!("/proc/{process}/{file}"))?)?;
        }
    }
    run.signal(Signal::SIGINT)?;
    let ended = run.end()?;
    ended.failed_with(&["interrupted"])?;
    looked_at("what the run printed", ended.output.as_bytes())?;
    looked_at("what the run said", ended.said.as_bytes())?;
    let files = look_through()?;
    let step = fs_err::read_to_string(results.join("bad-day::main/step-01.txt"))?;
    ensure!(step.contains("******"), "the first step does not show that something was left out: {step}");
    stage.wait_until_clear()?;
    let (secrets, processes) = (secrets.len(), processes.len());
    Ok(Outcome::Passed(format!(
        "{secrets} secrets, {processes} processes, {files} files, also before the end: the guest told them, and none is there"
    )))
}
