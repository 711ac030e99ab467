//! `cargo xtask repro`: carries a case out to a point, and holds its lab there.

use super::words;
use crate::exit::{End, Invalid};
use crate::lab_context::{LabContext, case, scenario};
use crate::setup;
use crate::workbench::{project, results};
use anyhow::{Context as _, anyhow};
use harness::cache::Cache;
use harness::etc::OwnEtc;
use harness::host::memory;
use harness::network::become_root_of_own_user_namespace;
use harness::report::{self, Head, Host};
use harness::results::{Run, Verdict};
use harness::sanitize;
use harness::scenario::{Case, Engine, RunOptions, Scenario};
use harness::session::{HoldError, Place, Plan, ProgressSender, State, Status, held, hold};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) const EXAMPLES: &str = "\
Examples:

    cargo xtask repro pam-loss --until 'both files vanish'    that step is done, and then the lab is yours
    cargo xtask repro pam-loss::control --until 0             before the first step
    cargo xtask repro pam-loss --break-on-failure             held only if a step fails
    cargo xtask repro pam-loss --detach                       goes on when this terminal is closed

While the lab is held: cargo xtask status, shell, exec, console, forward, passwords, rewind, resume, down.
Exit code: 0 if the steps passed, 1 if one failed.";

/// What to carry out, and how far.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReproArgs {
    /// A scenario, or one of its cases as `SCENARIO::CASE`; of a scenario, the first case that is no control
    scenario: String,
    /// The last step that is carried out: its number (0: none), or a part of its name
    #[arg(long, value_name = "STEP", conflicts_with = "break_on_failure")]
    until: Option<String>,
    /// Hold the lab only if a step fails
    #[arg(long)]
    break_on_failure: bool,
    /// Hold the lab in the background, until `cargo xtask down`
    #[arg(long)]
    detach: bool,
    /// Another directory with scenario files, and their labs in labs/ below it
    #[arg(long, value_name = "DIRECTORY")]
    scenarios: Option<PathBuf>,
    /// A directory like /etc with a configuration of your own, laid over the mail machine before the first step
    #[arg(long, value_name = "DIRECTORY")]
    etc: Option<PathBuf>,
    /// Run all steps, also those behind which an earlier run has kept a checkpoint
    #[arg(long)]
    fresh: bool,
}

/// In the environment of the process that holds a lab in the background.
const DETACHED: &str = "REHEARSAL_DETACHED";

/// Runs the command.
pub(crate) fn repro(args: &ReproArgs) -> anyhow::Result<ExitCode> {
    let in_background = std::env::var_os(DETACHED).is_some();
    let scenario = scenario(&args.scenario, args.scenarios.as_deref())?;
    let case = case(&args.scenario, &scenario)?;
    let ends = args.until.as_deref().map_or(Ok(case.steps.len()), |meant| case.steps_until(meant));
    let ends = ends.map_err(|error| Invalid(error.to_string()))?;
    let etc = args.etc.as_deref().map(OwnEtc::load).transpose().map_err(crate::report)?;
    if !in_background {
        setup::ensure_tools(false)?;
        if args.detach {
            return detach();
        }
    }
    become_root_of_own_user_namespace()?;
    if in_background {
        // A terminal that is closed ends what is in its session.
        nix::unistd::setsid().context("failed to leave the terminal's session")?;
    }
    let plan = Plan { ends, only_on_failure: args.break_on_failure };
    Stand { args, scenario: &scenario, case, etc, plan, in_background }.hold()
}

/// What is held, and how.
struct Stand<'a> {
    args: &'a ReproArgs,
    scenario: &'a Scenario,
    case: &'a Case,
    etc: Option<OwnEtc>,
    plan: Plan,
    in_background: bool,
}

impl Stand<'_> {
    fn hold(&self) -> anyhow::Result<ExitCode> {
        let stage = LabContext::open(&self.case.lab.topology, |_| say("interrupted: taking the lab down"))?;
        let workbench = &stage.workbench;
        let run = Run::create(&results().join("repro"))?.seen_from(&project("."));
        let memory = memory::available().map_or(0, memory::Available::mib);
        Head::new(Host::of(&workbench.selection, &workbench.setup.qemu_version, memory)).begin(run.directory())?;
        let labs = workbench.cache.labs();
        let logs = run.case(&self.scenario.name, &self.case.name)?;
        let place = Place::create(&labs, &self.scenario.name, &self.case.name, &logs)?;
        let card = place.card.clone();
        let lines = ProgressSender::new();
        let say_too = |line: &str| {
            say(line);
            lines.say(line);
        };
        let course = RunOptions { etc: self.etc.as_ref(), ..RunOptions::default() };
        let engine = Engine { fresh: self.args.fresh, course, ..stage.engine(&run, &say_too) };
        let is_alone = AtomicBool::new(false);
        let told = |status: &Status| {
            let several = held(&labs).is_ok_and(|labs| labs.len() > 1);
            tell(&words::standing(&card, status, several));
            if self.in_background && !is_alone.swap(true, Ordering::Relaxed) {
                // Nothing says why this should fail; and if it does, nobody reads there any more.
                let _ = leave_streams(&card.results.join("held.log"));
            }
        };
        let ended = hold(&engine, self.scenario, self.case, self.plan, place, &lines, &told);
        let ended = match stage.wait(ended) {
            Ok(ended) => ended,
            Err(HoldError::Lab(_)) if stage.interrupt.asked() => return Ok(End::Interrupted.into()),
            Err(HoldError::Lab(reason)) => return Err(anyhow!("{reason}")),
            Err(error) => return Err(error.into()),
        };
        report::finish(run.directory(), stage.interrupt.asked(), Vec::new())?;
        say(&format!("results: {0}\nreport:  {0}/report.html", run.directory().display()));
        Ok(match ended.result.outcome {
            _ if !ended.was_held && stage.interrupt.asked() => End::Interrupted.into(),
            Verdict::Failed => End::Failed.into(),
            Verdict::Passed | Verdict::Skipped => ExitCode::SUCCESS,
        })
    }
}

/// Progress. Who reads it may have gone.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", sanitize::lines(line));
}

/// The result.
fn tell(text: &str) {
    let mut output = std::io::stdout();
    let _ = output.write_all(sanitize::lines(text).as_bytes()).and_then(|()| output.flush());
}

/// From now on nothing is written to the streams of whoever started this process.
fn leave_streams(log: &Path) -> anyhow::Result<()> {
    nix::unistd::dup2_stderr(fs_err::File::create(log)?.into_parts().0)?;
    nix::unistd::dup2_stdout(fs_err::File::create("/dev/null")?.into_parts().0)?;
    Ok(())
}

/// Starts the same command in a session of its own, and waits until its lab is held.
fn detach() -> anyhow::Result<ExitCode> {
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1)).env(DETACHED, "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("failed to start the lab's holder")?;
    let pid = child.id();
    crate::test::forward_signals(nix::unistd::Pid::from_raw(i32::try_from(pid)?))?;
    let progress = child.stderr.take().context("the holder has no standard error")?;
    let progress =
        std::thread::spawn(move || BufReader::new(progress).lines().map_while(Result::ok).for_each(|it| say(&it)));
    let output = child.stdout.take().context("the holder has no standard output")?;
    for line in BufReader::new(output).lines() {
        tell(&format!("{}\n", line?));
    }
    // The holder has left its output, or has ended.
    let labs = Cache::open_default().context("failed to open the cache")?.labs();
    let Some((directory, _)) = held(&labs)?.into_iter().find(|(_, card)| card.pid == pid) else {
        let code = child.wait()?.code().and_then(|code| u8::try_from(code).ok());
        let _ = progress.join();
        return Ok(ExitCode::from(code.unwrap_or(End::Internal as u8)));
    };
    let asked = harness::session::Conversation::ask(&directory, &harness::session::Request::Status);
    let has_failed = super::wait_for(async { Ok(asked.await?) })
        .is_ok_and(|reply| matches!(reply, harness::session::Reply::Status(Status { state: State::Failed(_), .. })));
    Ok(if has_failed { End::Failed.into() } else { ExitCode::SUCCESS })
}
