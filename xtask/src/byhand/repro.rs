//! `cargo xtask repro`: carries a cell out to a point, and holds its lab there.

use super::words;
use crate::exit::{End, Invalid};
use crate::setup;
use crate::workbench::{Workbench, project, results};
use anyhow::{Context as _, anyhow};
use harness::cache::Cache;
use harness::evidence::{Run, Verdict};
use harness::harmless;
use harness::hold::{HoldError, Lines, Place, Plan, State, Status, held, hold};
use harness::host::memory;
use harness::network::become_root_of_own_user_namespace;
use harness::report::{self, Head, Host};
use harness::scenario::{Cell, Course, Engine, Interrupt, Kind, Scenario};
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
    /// A scenario, or one of its cells as `SCENARIO::CELL`; of a scenario, the first cell that is no control
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
    /// Run all steps, also those behind which an earlier run has kept a checkpoint
    #[arg(long)]
    fresh: bool,
}

/// In the environment of the process that holds a lab in the background.
const DETACHED: &str = "REHEARSAL_DETACHED";

/// Runs the command.
pub(crate) fn repro(args: &ReproArgs) -> anyhow::Result<ExitCode> {
    let in_background = std::env::var_os(DETACHED).is_some();
    let scenario = scenario(args)?;
    let cell = cell(args, &scenario)?;
    let ends = args.until.as_deref().map_or(Ok(cell.steps.len()), |meant| cell.steps_until(meant));
    let ends = ends.map_err(|error| Invalid(error.to_string()))?;
    if !in_background {
        setup::ensure_tools(false)?;
        if args.detach {
            return detach();
        }
    }
    if in_background {
        // A terminal that is closed ends what is in its session.
        nix::unistd::setsid().context("failed to leave the terminal's session")?;
    }
    become_root_of_own_user_namespace()?;
    let plan = Plan { ends, only_on_failure: args.break_on_failure };
    Stand { args, scenario: &scenario, cell, plan, in_background }.hold()
}

/// What is held, and how.
struct Stand<'a> {
    args: &'a ReproArgs,
    scenario: &'a Scenario,
    cell: &'a Cell,
    plan: Plan,
    in_background: bool,
}

impl Stand<'_> {
    fn hold(&self) -> anyhow::Result<ExitCode> {
        let cache = Cache::open_default().context("failed to open the cache")?;
        let workbench = Workbench::open(cache, &self.cell.lab.topology)?;
        let run = Run::create(&results().join("repro"))?.seen_from(&project("."));
        let memory = memory::available().map_or(0, |bytes| u32::try_from(bytes >> 20).unwrap_or(u32::MAX));
        Head::new(Host::of(&workbench.selection, &workbench.setup.qemu_version, memory)).begin(run.directory())?;
        let stock = workbench.stock()?;
        let labs = workbench.cache.labs();
        let logs = run.cell(&self.scenario.name, &self.cell.name)?;
        let place = Place::create(&labs, &self.scenario.name, &self.cell.name, &logs)?;
        let card = place.card.clone();
        let runtime = tokio::runtime::Runtime::new()?;
        let interrupt = Interrupt::default();
        let entered = runtime.enter();
        interrupt.listen(|_| say("interrupted: taking the lab down"))?;
        drop(entered);
        let lines = Lines::new();
        let engine = Engine {
            setup: &workbench.setup,
            stock: &stock,
            budget: &workbench.budget,
            run: &run,
            interrupt: &interrupt,
            fresh: self.args.fresh,
            course: Course::default(),
            say: &|line| {
                say(line);
                lines.say(line);
            },
        };
        let is_alone = AtomicBool::new(false);
        let told = |status: &Status| {
            let several = held(&labs).is_ok_and(|labs| labs.len() > 1);
            tell(&words::standing(&card, status, several));
            if self.in_background && !is_alone.swap(true, Ordering::Relaxed) {
                // Nothing says why this should fail; and if it does, nobody reads there any more.
                let _ = leave_streams(&card.results.join("held.log"));
            }
        };
        let ended = hold(&engine, self.scenario, self.cell, self.plan, place, &lines, &told);
        let ended = match runtime.block_on(ended) {
            Ok(ended) => ended,
            Err(HoldError::Lab(_)) if interrupt.asked() => return Ok(ExitCode::from(130)),
            Err(HoldError::Lab(reason)) => return Err(anyhow!("{reason}")),
            Err(error) => return Err(error.into()),
        };
        report::finish(run.directory(), interrupt.asked(), Vec::new())?;
        say(&format!("results: {0}\nreport:  {0}/report.html", run.directory().display()));
        Ok(match ended.result.outcome {
            _ if !ended.was_held && interrupt.asked() => ExitCode::from(130),
            Verdict::Failed => End::Failed.into(),
            Verdict::Passed | Verdict::Skipped => ExitCode::SUCCESS,
        })
    }
}

/// Progress. Who reads it may have gone.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", harmless::lines(line));
}

/// The result.
fn tell(text: &str) {
    let mut output = std::io::stdout();
    let _ = output.write_all(harmless::lines(text).as_bytes()).and_then(|()| output.flush());
}

/// From now on nothing is written to the streams of whoever started this process.
fn leave_streams(log: &Path) -> anyhow::Result<()> {
    nix::unistd::dup2_stderr(fs_err::File::create(log)?.into_parts().0)?;
    nix::unistd::dup2_stdout(fs_err::File::create("/dev/null")?.into_parts().0)?;
    Ok(())
}

/// Starts the same command in a session of its own, and waits until its lab is held.
fn detach() -> anyhow::Result<ExitCode> {
    let mut command = Command::new(std::env::current_exe()?);
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
    let asked = harness::hold::Conversation::ask(&directory, &harness::hold::Request::Status);
    let has_failed = super::wait_for(async { Ok(asked.await?) })
        .is_ok_and(|reply| matches!(reply, harness::hold::Reply::Status(Status { state: State::Failed(_), .. })));
    Ok(if has_failed { End::Failed.into() } else { ExitCode::SUCCESS })
}

fn scenario(args: &ReproArgs) -> anyhow::Result<Scenario> {
    let directory = args.scenarios.clone().unwrap_or_else(|| project("scenarios"));
    let name = args.scenario.split_once("::").map_or(args.scenario.as_str(), |(name, _)| name);
    let path = directory.join(format!("{name}.toml"));
    if !path.is_file() {
        let known: Vec<_> = Scenario::files_in(&directory)
            .with_context(|| format!("failed to look for scenarios in {}", directory.display()))?
            .iter()
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
            .collect();
        return Err(Invalid(format!("there is no scenario `{name}`; there are: {}", known.join(", "))).into());
    }
    Scenario::load(&path).map_err(crate::report)
}

fn cell<'s>(args: &ReproArgs, scenario: &'s Scenario) -> anyhow::Result<&'s Cell> {
    let found = match args.scenario.split_once("::") {
        Some((_, name)) => scenario.cells.iter().find(|cell| cell.name == name),
        None => scenario.cells.iter().find(|cell| cell.kind != Kind::Control).or(scenario.cells.first()),
    };
    found.ok_or_else(|| {
        let known: Vec<_> = scenario.cells.iter().map(|cell| cell.name.as_str()).collect();
        Invalid(format!("scenario {} has no such cell; there are: {}", scenario.name, known.join(", "))).into()
    })
}
