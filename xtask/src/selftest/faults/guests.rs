//! Guests that misbehave: real ones, which try.

use super::super::runs::{EASY, ENDLESS, QEMU, Stage};
use super::super::{Outcome, Report};
use super::host::where_mounted;
use super::scenario;
use anyhow::Context as _;
use harness::lab::CAPTURE_LIMIT_VARIABLE as LIMIT_VARIABLE;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What steers a terminal: a title, the clipboard, questions that are answered by typing, a mouse, DCS, C1 in UTF-8, a line
/// that is turned round.
const STEERING: &str = r#"printf '\033]0;owned\007\033]52;c;cm0gLXJmIC8K\007\033[6n\033[2J\033[?1000h\033P$q"p\033\\\302\2336n\342\200\256x\n'"#;

/// An agent that never stops talking. It begins when the command that starts it is over.
const FLOOD: &str = "systemd-run --quiet --unit flood sh -c 'sleep 2; systemctl stop qemu-guest-agent; exec tr \"\\\\0\" x < /dev/zero > /dev/virtio-ports/org.qemu.guest_agent.0'";

/// What a run says that ends without a guest's journal.
const JOURNAL_LOST: &str = "the journal of directory is not in the results";

/// So much memory a runner may take whose guest talks without an end, in KiB.
const MEMORY: u64 = 600 << 10;

pub(super) fn run(stage: &Stage, all: bool, report: &mut Report) {
    report.row("faults: a guest prints what steers terminals", || steers(stage));
    report.row("faults: a guest's agent talks without an end", || floods(stage));
    report.row("faults: a guest sends packets without an end, and they are captured", || floods_network(stage));
    report.row("faults: the same, and the disk of the results is small", || floods_disk(stage));
    report.row("faults: a guest's clock jumps back by a day, then ahead by a year", || clock_jumps(stage));
    if all {
        report.row("faults: a guest's agent is killed, and stays away", || agent_gone(stage));
        report.row("faults: a guest hangs", || hangs(stage));
    }
}

fn steers(stage: &Stage) -> anyhow::Result<Outcome> {
    let both = format!("{STEERING} | tee /dev/ttyS0 >&2; {STEERING}; exit 3");
    let ended = stage.start_file(&scenario(&[EASY, ("it prints", &both)]), &[])?.end()?;
    ended.failed_with(&["it prints", "status 3"])?;
    for (whose, text) in [("standard output", &ended.output), ("standard error", &ended.said)] {
        anyhow::ensure!(harmless(text), "{whose} steers: {text:?}");
    }
    let mut files = 0;
    let results = stage.results().join("latest").canonicalize()?;
    for file in files_below(&results)? {
        let text = fs_err::read_to_string(&file).with_context(|| format!("{} is no text", file.display()))?;
        anyhow::ensure!(harmless(&text), "{} steers", file.display());
        files += 1;
    }
    let console = fs_err::read_to_string(results.join("bad-day::main/console-directory.log"))?;
    anyhow::ensure!(console.contains("]0;owned"), "the console did not print it: {console}");
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(format!("{files} files of results, and all that was printed, are text")))
}

/// Whether nothing in it is a control, or turns a line round.
fn harmless(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\n' | '\t') || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)))
}

/// All files below a directory; a link is an error.
pub(super) fn files_below(directory: &std::path::Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        // A link would be one that a guest has made: there is none.
        anyhow::ensure!(!kind.is_symlink(), "{} is a link", entry.path().display());
        if kind.is_dir() { files.extend(files_below(&entry.path())?) } else { files.push(entry.path()) }
    }
    Ok(files)
}

fn floods(stage: &Stage) -> anyhow::Result<Outcome> {
    let steps = [EASY, ("its agent becomes another", FLOOD), ("it still talks", "sleep 600")];
    let mut run = stage.start_file(&scenario(&steps), &[])?;
    let words = "the guest agent sends more than anybody asked for";
    run.wait_for(words)?;
    let peak = peak_memory(run.id())?;
    let ended = run.end()?;
    ended.failed_with(&[words, JOURNAL_LOST])?;
    stage.wait_until_clear()?;
    anyhow::ensure!(peak < MEMORY, "the runner took {} MiB", peak >> 10);
    Ok(Outcome::Passed(format!("\"{words}\"; the runner took {} MiB at most", peak >> 10)))
}

/// All packets are captured while the machine broadcasts this many of 1400 bytes.
fn broadcasts(packets: usize) -> String {
    let send = format!(
        "socket(S, AF_INET, SOCK_DGRAM, 17); setsockopt(S, SOL_SOCKET, SO_BROADCAST, 1); \
                        $to = sockaddr_in(9, inet_aton(\"10.20.0.255\")); send(S, \"x\" x 1400, 0, $to) for 1..{packets}"
    );
    let capture = "[[step]]\nname = \"packets are captured\"\ndo.capture = { name = \"all\" }\n";
    let flood =
        scenario(&[("it sends and sends", &format!("perl -MSocket -e '{send}'")), ("a while passes", "sleep 1")]);
    flood.replacen("[[step]]", &format!("{capture}[[step]]"), 1)
}

fn floods_network(stage: &Stage) -> anyhow::Result<Outcome> {
    let ended = stage.start_file(&broadcasts(20_000), &[(LIMIT_VARIABLE, "4MiB")])?.end()?;
    let words =
        "its capture capture-directory-1.pcap has reached its limit of 4.0 MiB during step 2, \"it sends and sends\"";
    let said = ended.failed_with(&["machine directory: ", words, LIMIT_VARIABLE])?;
    anyhow::ensure!(ended.code == Some(1), "its status is {:?}", ended.code);
    let file = stage.results().join("latest/bad-day::main/capture-directory-1.pcap");
    let size = fs_err::metadata(&file)?.len() >> 20;
    anyhow::ensure!((4..20).contains(&size), "the capture has {size} MiB");
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(format!("the capture has {size} of 28 MiB: {}", sentence(&said, words))))
}

fn floods_disk(stage: &Stage) -> anyhow::Result<Outcome> {
    let results = stage.results();
    // Less than what is to stay free: no packet is worth a full disk.
    let mount = format!("mkdir -p '{0}'; mount -t tmpfs -o size=200m none '{0}'", results.display());
    stage.write(&broadcasts(2000))?;
    let ended = where_mounted(stage, &mount)?.end()?;
    let words = "was ended because only";
    let said = ended.failed_with(&[
        "machine directory: its capture capture-directory-1.pcap",
        words,
        "MiB are free on its disk",
    ])?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(sentence(&said, words)))
}

/// The most memory that a process has had, in KiB (proc(5), `VmHWM`).
fn peak_memory(process: u32) -> anyhow::Result<u64> {
    let status = fs_err::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel does not tell")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn clock_jumps(stage: &Stage) -> anyhow::Result<Outcome> {
    let steps = [EASY, ("back", "date --set '-1 day'"), EASY, ("ahead", "date --set '+366 days'"), EASY];
    stage.start_file(&scenario(&steps), &[])?.end()?.succeeded()?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed("no wait ends early, and none late".into()))
}

fn agent_gone(stage: &Stage) -> anyhow::Result<Outcome> {
    let gone = "systemd-run --quiet sh -c 'sleep 2; systemctl mask --now qemu-guest-agent; pkill -KILL qemu-ga'";
    let steps = [EASY, ("its agent goes", gone), ("it is still asked", "sleep 600")];
    let ended = stage.start_file(&scenario(&steps), &[])?.end()?;
    let said = ended.failed_with(&["it is still asked", JOURNAL_LOST])?;
    stage.wait_until_clear()?;
    patience_ended(&said)
}

/// QEMU is stopped: to its guest, and to us, that is a machine that hangs.
fn hangs(stage: &Stage) -> anyhow::Result<Outcome> {
    let run = stage.in_endless_step()?;
    for process in stage.site.processes_named(QEMU) {
        kill(Pid::from_raw(i32::try_from(process)?), Signal::SIGSTOP)?;
    }
    let ended = run.end()?;
    let said = ended.failed_with(&[ENDLESS.0, JOURNAL_LOST])?;
    stage.wait_until_clear()?;
    patience_ended(&said)
}

/// On a slow host an agent is given up before the step's own time is over. That a journal was waited for, too, is no answer.
fn patience_ended(said: &str) -> anyhow::Result<Outcome> {
    let words = ["waited", "the guest agent has not answered"];
    let line = said
        .lines()
        .filter(|line| !line.contains(JOURNAL_LOST))
        .find(|line| words.iter().any(|words| line.contains(words)))
        .with_context(|| format!("it does not say that nobody answers:\n{said}"))?;
    Ok(Outcome::Passed(line.trim().to_owned()))
}

fn sentence(text: &str, words: &str) -> String {
    text.lines().find(|line| line.contains(words)).unwrap_or_default().trim().to_owned()
}
