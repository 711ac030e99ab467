//! `cargo xtask diagnose`: why a user cannot log in.

use crate::exit::Invalid;
use crate::lab_context::{LabContext, case, scenario, unexplained};
use crate::setup;
use crate::ui;
use crate::workbench::results;
use harness::bounded;
use harness::mail::diagnosis::{COLLECTOR, Diagnosis, Evidence, Login, RootCause, Service, diagnose};
use harness::network::become_root_of_own_user_namespace;
use harness::results::Run;
use harness::scenario::Examination;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLE: &str = "\
Examples, for a state of a lab that a scenario keeps (do.checkpoint with keep = true); the logins after it are tried:

    cargo xtask diagnose culprits
    cargo xtask diagnose upgrade::variant=dropped

and for a server of your own, soon after alice was refused there. The script reads and changes nothing; passwords are masked in
what it prints. The directory's part is optional:

    cargo xtask diagnose --print-collector | ssh root@mail sh -s -- alice > mail.txt
    cargo xtask diagnose --print-collector | ssh root@ldap sh -s -- alice > ldap.txt
    cargo xtask diagnose --from mail.txt --directory ldap.txt

Exit code: 0 if everybody is let in and nothing is wrong, 1 if something is, 2 if there is no such state or file.";

/// A collector prints less.
const LARGEST: u64 = 64 << 20;

/// What to look at.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// A scenario that keeps a broken state, or one of its cases as `SCENARIO::CASE`
    #[arg(required_unless_present_any = ["from", "print_collector"])]
    scenario: Option<String>,
    /// What the collector printed on the mail server; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "scenario")]
    from: Option<PathBuf>,
    /// What the collector printed on the directory
    #[arg(long, value_name = "FILE", requires = "from")]
    directory: Option<PathBuf>,
    /// Another directory with scenario files, and their labs in labs/ below it
    #[arg(long, value_name = "DIRECTORY")]
    scenarios: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Print the shell script that collects evidence, and do nothing else
    #[arg(long, exclusive = true)]
    print_collector: bool,
}

/// Prints why.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match (&args.scenario, &args.from) {
        (Some(name), _) => in_a_lab(args, name),
        (None, Some(mail)) => from_files(args, mail),
        (None, None) => {
            ui::out(format_args!("{COLLECTOR}"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn from_files(args: &Args, mail: &Path) -> anyhow::Result<ExitCode> {
    let mail = evidence(mail)?;
    let directory = args.directory.as_deref().map(evidence).transpose()?;
    let by = |service| diagnose(Login { user: mail.user(), service }, &mail, directory.as_ref());
    let diagnoses = [Service::Imap, Service::Smtp].map(by);
    if args.json {
        ui::json(&diagnoses)?;
    } else {
        for diagnosis in &diagnoses {
            ui::out(format_args!("{diagnosis}\n"));
        }
    }
    Ok(exit_code(diagnoses.iter()))
}

fn evidence(path: &Path) -> anyhow::Result<Evidence> {
    let bytes = if path.as_os_str() == "-" {
        bounded::take(std::io::stdin().lock(), LARGEST)
    } else {
        bounded::read(path, LARGEST)
    };
    let bytes = bytes.map_err(|error| Invalid(format!("failed to read the evidence: {error}")))?;
    let read = Evidence::read(&String::from_utf8_lossy(&bytes));
    Ok(read.map_err(|error| Invalid(format!("{} is no evidence: {error}", path.display())))?)
}

fn in_a_lab(args: &Args, name: &str) -> anyhow::Result<ExitCode> {
    let scenario = scenario(name, args.scenarios.as_deref())?;
    let case = case(name, &scenario)?;
    setup::ensure_tools(false)?;
    become_root_of_own_user_namespace()?;
    let stage = LabContext::open(&case.lab.topology, |_| ())?;
    let run = Run::create(&results().join("diagnose"))?;
    let engine = stage.engine(&run, &|text| ui::note(text));
    let examined = stage.wait(engine.examine(&scenario, case));
    stage.interrupted()?;
    let examined = examined.map_err(unexplained)?;
    if args.json {
        ui::json(&examined)?;
    } else {
        ui::out(text(&examined));
    }
    Ok(exit_code(examined.logins.iter().filter_map(|tried| tried.diagnosis.as_ref())))
}

fn text(examined: &Examination) -> String {
    let mut text = format!("{}::{}, as kept in `{}`\n", examined.scenario, examined.case, examined.checkpoint);
    for tried in &examined.logins {
        text.extend([format!("\n{} → {}\n", tried.asked, tried.answered)]);
        text.extend(tried.diagnosis.iter().map(|diagnosis| format!("{diagnosis}\n")));
    }
    text
}

fn exit_code<'d>(mut diagnoses: impl Iterator<Item = &'d Diagnosis>) -> ExitCode {
    if diagnoses.any(|diagnosis| diagnosis.cause() != RootCause::Nothing) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
