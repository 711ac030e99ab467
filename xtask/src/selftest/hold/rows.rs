//! What is tried, row by row.

use super::super::Outcome;
use super::super::builder::Ended;
use super::super::own_program;
use super::fixture::Fixture;
use anyhow::{Context as _, ensure};
use harness::mail::tls::{Distrust, Trust};
use harness::mail::{Client, Credentials, Endpoint, Finding, HostDialer, Security, imap};
use harness::session::State;
use harness::time::Deadline;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

type Row = anyhow::Result<Outcome>;

fn passed(seen: impl Into<String>) -> Outcome {
    Outcome::Passed(seen.into())
}

/// It ended with this status.
fn ended_with(run: &Ended, code: i32) -> anyhow::Result<()> {
    ensure!(run.code == Some(code), "its status is {:?}, not {code}:\n{}{}", run.code, run.output, run.said);
    Ok(())
}

pub(super) fn nothing_is_held(fixture: &Fixture) -> Row {
    let run = fixture.typed(&["exec", "--lab", &fixture.name, "mail", "--", "true"])?;
    ended_with(&run, 2)?;
    Ok(passed(run.said.trim()))
}

pub(super) fn is_held(fixture: &Fixture) -> Row {
    let run = Fixture::end(fixture.repro(&["--until", "a trace", "--detach"]), "")?;
    ended_with(&run, 0)?;
    let status = fixture.status(&fixture.name)?;
    ensure!((status.state.clone(), status.done) == (State::Held, 3), "it stands so: {status:?}");
    ensure!(
        run.output.contains("3 of 5 steps are done; next is step 4") && run.output.contains("10.20.0.10"),
        "{}",
        run.output
    );
    let listed = fixture.typed(&["status", "--json"])?;
    ensure!(listed.succeeded()?.contains(&fixture.name), "it is not listed: {}", listed.output);
    Ok(passed("step 3 of 5 is done, and it is listed"))
}

pub(super) fn two_are_held(fixture: &Fixture) -> Row {
    let second = format!("{}-2", fixture.name);
    let run = Fixture::end(fixture.repro(&["--until", "0", "--detach"]), "")?;
    ended_with(&run, 0)?;
    let run = fixture.typed(&["exec", "mail", "--", "true"])?;
    ended_with(&run, 2)?;
    ensure!(run.said.contains(&second), "{}", run.said);
    // Each is a lab of its own.
    let trace = |name: &str| fixture.typed(&["exec", "--lab", name, "mail", "--", "cat", "/root/trace"]);
    ended_with(&trace(&fixture.name)?, 0)?;
    ended_with(&trace(&second)?, 1)?;
    ended_with(&fixture.typed(&["down", "--lab", &second])?, 0)?;
    Ok(passed("both have the same addresses, and only one has the trace"))
}

/// A command in our lab.
fn exec(fixture: &Fixture, machine: &str, words: &[&str], input: &str) -> anyhow::Result<Ended> {
    let command = fixture.command(&[&["exec", "--lab", &fixture.name, machine, "--"], words].concat());
    Fixture::end(command, input)
}

pub(super) fn exec_row(fixture: &Fixture) -> Row {
    let run = exec(
        fixture,
        "mail",
        &["sh", "-c", "cat - \"$1\"; echo 'a  word' >&2; exit 7", "sh", "/root/trace"],
        "input\n",
    )?;
    ended_with(&run, 7)?;
    ensure!(
        (run.output.as_str(), run.said.as_str()) == ("input\none\n", "a  word\n"),
        "{:?} {:?}",
        run.output,
        run.said
    );
    let killed = exec(fixture, "directory", &["sh", "-c", "kill -TERM $$"], "")?;
    ended_with(&killed, 143)?;
    Ok(passed("status 7; 143 after a signal"))
}

pub(super) fn exec_by_agent(fixture: &Fixture) -> Row {
    // Without its network the machine can be reached so, and only so.
    let by_agent =
        |words: &[&str]| fixture.typed(&[&["exec", "--lab", &fixture.name, "--agent", "mail", "--"], words].concat());
    ended_with(&by_agent(&["ip", "link", "set", "eth0", "down"])?, 0)?;
    let by_ssh = exec(fixture, "mail", &["true"], "")?;
    let state = by_agent(&["sh", "-c", "cat /sys/class/net/eth0/operstate; exit 3"])?;
    ended_with(&by_agent(&["systemctl", "restart", "systemd-networkd"])?, 0)?;
    ended_with(&by_agent(&["ip", "link", "set", "eth0", "up"])?, 0)?;
    ended_with(&state, 3)?;
    ensure!(state.output == "down\n", "{:?}", state.output);
    ended_with(&by_ssh, 4)?;
    ensure!(by_ssh.said.contains("exec --agent mail"), "it gives no hint: {}", by_ssh.said);
    Ok(passed("while ssh does not get in, which says so"))
}

pub(super) fn unknown_machine(fixture: &Fixture) -> Row {
    let run = exec(fixture, "mial", &["true"], "")?;
    ended_with(&run, 2)?;
    ensure!(run.said.contains("did you mean `mail`?"), "{}", run.said);
    Ok(passed(run.said.trim()))
}

pub(super) fn shell(fixture: &Fixture) -> Row {
    let own = own_program();
    let mut command = Command::new("script");
    let line = format!("'{}' shell --lab {} mail", own.display(), fixture.name);
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("REHEARSAL_RESULTS", fixture.results());
    let run = Fixture::end(command, "tty; id --user --name\nexit 5\n")?;
    ended_with(&run, 5)?;
    ensure!(run.output.contains("/dev/pts/") && run.output.contains("root"), "{}", run.output);
    Ok(passed("it is root, on a terminal of its own, and its status is ours"))
}

pub(super) fn console(fixture: &Fixture) -> Row {
    let log = fixture.typed(&["console", "--lab", &fixture.name, "--log", "directory"])?;
    ended_with(&log, 0)?;
    // Leaving is a key, as for a person; what was shown lately is shown to whoever comes again.
    let sit = |keys: &str| {
        let run = Fixture::end(fixture.command(&["console", "--lab", &fixture.name, "mail"]), keys)?;
        ended_with(&run, 0)?;
        anyhow::Ok(run.output)
    };
    let mut seen = sit("by-hand\r\x1d")?;
    let deadline = Deadline::after(Duration::from_mins(1));
    while !(seen.contains("by-hand") && seen.contains("Password:")) {
        ensure!(!deadline.passed(), "nobody asks for by-hand's password: {seen:?}");
        seen = sit("\x1d")?;
    }
    Ok(passed("login asks for by-hand's password"))
}

pub(super) fn forward(fixture: &Fixture) -> Row {
    let mut forward = Fixture::start(unbuffered(&fixture.command(&["forward", "--lab", &fixture.name, "mail:993"])))?;
    forward.wait_for("is mail:993")?;
    let line = forward.heard().last().context("it says nothing")?;
    let here: SocketAddr = line.split(' ').next().unwrap_or_default().parse().with_context(|| line.clone())?;
    ensure!(here.ip().is_loopback(), "it listens on {here}");
    ensure!(listens_only_on_loopback(here.port())?, "port {} is open to others", here.port());
    let authority = fixture.status(&fixture.name)?.authority.context("there is no certificate of the authority")?;
    let trust = Trust::from_ca_pem(&fs_err::read(authority)?)?;
    let client = Client::new(Arc::new(HostDialer), trust);
    let login = |password: String, name: &str| -> anyhow::Result<Finding> {
        let access = imap::Access {
            endpoint: Endpoint::new(here, name)?,
            security: Security::ImplicitTls,
            credentials: Credentials::new("alice", password.into())?,
            mechanism: imap::Mechanism::Login,
        };
        Ok(fixture.wait(imap::login(&client, &access, Deadline::after(Duration::from_mins(1)))).finding)
    };
    for name in ["mail.lan.test", "localhost", "127.0.0.1"] {
        let right = login(fixture.password("alice")?, name)?;
        ensure!(right.is_accepted(), "alice with her password, at {name}: {right:?}");
    }
    let wrong = login("not-the-right-passwd".into(), "mail.lan.test")?;
    ensure!(wrong.is_refused(), "alice with another password: {wrong:?}");
    let other = login(fixture.password("alice")?, "mail.other.test")?;
    ensure!(other.is_untrusted_for(Distrust::OtherName), "a server of another name: {other:?}");
    forward.signal(Signal::SIGINT)?;
    let run = forward.end()?;
    ended_with(&run, 0)?;
    let gone = login(fixture.password("alice")?, "mail.lan.test")?;
    ensure!(gone.outcome() == harness::mail::Outcome::Unavailable, "after it has ended: {gone:?}");
    Ok(passed(format!("accepted at {here}; refused with a wrong password; not trusted under another name")))
}

/// The lines of its result, beside those of its progress.
fn unbuffered(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" >&2", "sh"]).arg(command.get_program()).args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

/// Whether the port is open at 127.0.0.1 only (proc(5), `/proc/net/tcp`; state 0A listens).
fn listens_only_on_loopback(port: u16) -> anyhow::Result<bool> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let end = format!(":{port:04X}");
    let listening = tables.iter().flat_map(|table| table.lines()).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        (state == "0A" && local.ends_with(&end)).then_some(local)
    });
    let listening: Vec<_> = listening.collect();
    ensure!(!listening.is_empty(), "nobody listens on port {port}");
    Ok(listening.iter().all(|local| local.starts_with("0100007F:")))
}

pub(super) fn rewind(fixture: &Fixture) -> Row {
    let to = |state: &str| fixture.typed(&["rewind", "--lab", &fixture.name, state]);
    let unknown = to("helthy")?;
    ended_with(&unknown, 2)?;
    ensure!(unknown.said.contains("did you mean `healthy`?"), "{}", unknown.said);
    ended_with(&exec(fixture, "mail", &["cat", "/root/trace"], "")?, 0)?;
    ended_with(&to("healthy")?, 0)?;
    ended_with(&exec(fixture, "mail", &["cat", "/root/trace"], "")?, 1)?;
    let status = fixture.status(&fixture.name)?;
    ensure!((status.done, status.checkpoints.clone()) == (2, vec!["start".into(), "healthy".into()]), "{status:?}");
    Ok(passed("the trace is gone, and step 3 comes next"))
}

pub(super) fn resume(fixture: &Fixture) -> Row {
    let resume = |words: &[&str]| fixture.typed(&[&["resume", "--lab", &fixture.name], words].concat());
    let behind = resume(&["--until", "1"])?;
    ended_with(&behind, 2)?;
    let failed = resume(&[])?;
    ended_with(&failed, 1)?;
    ensure!(
        failed.said.contains("ok    mail: a trace is left") && failed.said.contains("FAIL  mail: somebody has helped"),
        "{}",
        failed.said
    );
    let status = fixture.status(&fixture.name)?;
    ensure!(matches!(&status.state, State::Failed(reason) if reason.contains("step 4 on mail")), "{status:?}");
    ended_with(&exec(fixture, "mail", &["tee", "/root/help"], "here it is\n")?, 0)?;
    let mended = resume(&[])?;
    ended_with(&mended, 0)?;
    ensure!(!mended.said.contains("a trace is left"), "it does more than it should: {}", mended.said);
    ended_with(&resume(&[])?, 2)?;
    Ok(passed(mended.output.trim()))
}

pub(super) fn no_password_is_left(fixture: &Fixture) -> Row {
    let password = fixture.password("alice")?;
    let mut read = 0;
    let mut directories = vec![fixture.results()];
    while let Some(directory) = directories.pop() {
        for entry in fs_err::read_dir(directory)? {
            let path = entry?.path();
            if path.is_symlink() {
            } else if path.is_dir() {
                directories.push(path);
            } else {
                read += 1;
                ensure!(!has(&path, &password)?, "{} has alice's password", path.display());
            }
        }
    }
    for (process, name) in fixture.processes() {
        let command_line = Path::new("/proc").join(process.to_string()).join("cmdline");
        ensure!(!has(&command_line, &password).unwrap_or(false), "the command line of {name} has alice's password");
    }
    ensure!(read > 5, "there are only {read} files");
    Ok(passed(format!("{read} files")))
}

fn has(path: &Path, text: &str) -> anyhow::Result<bool> {
    Ok(fs_err::read(path)?.windows(text.len()).any(|window| window == text.as_bytes()))
}

pub(super) fn down(fixture: &Fixture) -> Row {
    let (_, card) = fixture.held(&fixture.name)?;
    ended_with(&fixture.typed(&["down", "--lab", &fixture.name])?, 0)?;
    fixture.wait_until_clear()?;
    let lines = fs_err::read_to_string(card.results.join("journal-mail.log"))?.lines().count();
    ensure!(lines > 100, "the journal has {lines} lines");
    Ok(passed(format!("but for logs: {lines} lines of the mail server's journal")))
}

pub(super) fn passes(fixture: &Fixture) -> Row {
    let mut command = fixture.command(&["repro", "rewind::control", "--break-on-failure", "--detach"]);
    command.env("REHEARSAL_RESULTS", fixture.results());
    let run = Fixture::end(command, "")?;
    ended_with(&run, 0)?;
    fixture.wait_until_clear()?;
    // And one that fails is.
    let run = Fixture::end(fixture.repro(&["--break-on-failure", "--detach"]), "")?;
    ended_with(&run, 1)?;
    ensure!(run.output.contains("as something failed: step 4 on mail"), "{}", run.output);
    ended_with(&fixture.typed(&["down", "--lab", &fixture.name])?, 0)?;
    fixture.wait_until_clear()?;
    Ok(passed("status 0; and one that fails is held, with status 1"))
}

pub(super) fn closed_and_killed(fixture: &Fixture) -> Row {
    let command = fixture.repro(&["--until", "1", "--detach"]);
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let line: Vec<_> = words.map(|word| format!("'{}'", word.display())).collect();
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
    terminal.env("REHEARSAL_RESULTS", fixture.results());
    let run = Fixture::end(terminal, "")?;
    ended_with(&run, 0)?;
    // The terminal is gone, and with it all that was in its session.
    ended_with(&exec(fixture, "mail", &["true"], "")?, 0)?;
    let (directory, card) = fixture.held(&fixture.name)?;
    kill(Pid::from_raw(i32::try_from(card.pid)?), Signal::SIGKILL)?;
    fixture.wait_until_clear()?;
    ensure!(!directory.exists(), "{} is left", directory.display());
    ended_with(&exec(fixture, "mail", &["true"], "")?, 2)?;
    Ok(passed("no QEMU, no janitor, no socket"))
}

pub(super) fn interrupted(fixture: &Fixture) -> Row {
    let mut holder = Fixture::start(unbuffered(&fixture.repro(&["--until", "1"])))?;
    holder.wait_for("cargo xtask down")?;
    let mut forward = Fixture::start(unbuffered(&fixture.command(&["forward", "--lab", &fixture.name, "mail:143"])))?;
    forward.wait_for("is mail:143")?;
    holder.signal(Signal::SIGINT)?;
    ended_with(&holder.end()?, 0)?;
    let forward = forward.end()?;
    ensure!(forward.said.contains("has ended"), "forward does not notice: {}", forward.said);
    fixture.wait_until_clear()?;
    Ok(passed("status 0, as the steps passed; a forward ends with it; nothing is left"))
}
