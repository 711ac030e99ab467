//! What commands say and how they end when their command line, a file, or this host is wrong: the real program, run.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its room fails")]

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// No command here works for long: what takes so much time hangs.
const LONGEST: Duration = Duration::from_mins(2);

/// A directory with a cache, results, and files that are wrong in some way.
struct Room(tempfile::TempDir);

/// How a command has ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    said: String,
}

impl Room {
    fn new() -> Self {
        let room = Self(tempfile::tempdir().unwrap());
        let write = |name: &str, text: &str| {
            let path = room.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("text", "no TOML, no JSON, no evidence\n");
        write("odd/etc/imapd.conf", "admins: cyrus\n");
        write("empty-results/readme", "no run\n");
        write("hostile\u{1b}]0;title\u{7}.toml", "summary = 'x\u{1b}[2J'\nx\u{202e}y = 1\n");
        for name in ["pipe", "odd/etc/rehearsal.toml", "pipe.toml"] {
            nix::unistd::mkfifo(&room.path(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        std::fs::create_dir(room.path("packages")).unwrap();
        std::fs::create_dir(room.path("dangling")).unwrap();
        std::os::unix::fs::symlink("nowhere", room.path("dangling/rehearsal")).unwrap();
        write("file/rehearsal", "no directory\n");
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program, with `%` in each word for this directory.
    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let here = self.0.path().display().to_string();
        command.args(words.split_whitespace().map(|word| word.replace('%', &here)));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("REHEARSAL_") {
                command.env_remove(name);
            }
        }
        // There nobody is asked before something is installed.
        command.env_remove("CI");
        command.env("HOME", self.path("home")).env("XDG_CACHE_HOME", self.path("cache"));
        command.env("REHEARSAL_RESULTS", self.path("results")).env("RUST_BACKTRACE", "0").env("NO_COLOR", "1");
        command.stdin(Stdio::null());
        command
    }

    fn end(&self, words: &str) -> Ended {
        end(self.command(words))
    }
}

/// Runs a command to its end, which must come.
fn end(mut command: Command) -> Ended {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut output, mut errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        let _ = output.read_to_string(&mut said);
        said
    });
    let other = std::thread::spawn(move || {
        let mut said = String::new();
        let _ = errors.read_to_string(&mut said);
        said
    });
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > LONGEST {
            child.kill().unwrap();
            panic!("{command:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let said = reader.join().unwrap() + &other.join().unwrap();
    assert_eq!(status.signal(), None, "{said}");
    Ended { code: status.code(), said }
}

impl Ended {
    fn with(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.said);
        assert!(!self.said.contains("panicked"), "{}", self.said);
        for word in words {
            assert!(self.said.contains(word), "`{word}` is not in:\n{}", self.said);
        }
        let steers = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
        assert!(!self.said.contains(steers), "it steers a terminal: {:?}", self.said);
    }
}

/// All commands that have none below them, by their words.
fn commands(room: &Room, path: &str) -> Vec<String> {
    let help = room.end(&format!("{path} --help")).said;
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
    let names: Vec<_> =
        below.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    if names.is_empty() {
        return vec![path.trim().to_owned()];
    }
    names.into_iter().flat_map(|name| commands(room, &format!("{path} {name}"))).collect()
}

#[test]
fn every_command_refuses_a_flag_that_it_does_not_have() {
    let room = Room::new();
    let commands = commands(&room, "");
    assert!(commands.len() > 40, "{commands:?}");
    for command in commands {
        room.end(&format!("{command} --no-such-flag")).with(2, &["--no-such-flag"]);
    }
}

#[rstest::rstest]
#[case("check %/missing.toml", "missing.toml")]
#[case("check %/text", "BAD")]
#[case("check %/pipe", "no regular file")]
#[case("check %/pipe.toml", "no regular file")]
#[case("check /dev/zero", "no regular file")]
#[case("check %/hostile\u{1b}]0;title\u{7}.toml", "\\u{1b}]0;title\\u{7}")]
#[case("predict --system %/pipe --repo %/packages", "no regular file")]
#[case("predict --system /dev/zero --repo %/packages", "no regular file")]
#[case("predict --system %/text --repo %/packages", "not a whole dump")]
#[case("diagnose --from %/pipe", "no regular file")]
#[case("diagnose --from /dev/zero", "no regular file")]
#[case("diagnose --from %/text", "no evidence")]
#[case("diagnose --from -", "no evidence")]
#[case("diagnose no-such", "there is no scenario `no-such`")]
#[case("explain no-such", "there is no scenario `no-such`")]
#[case("coverage --json", "`coverage` is called `requirements` now: run `cargo xtask requirements --json`")]
#[case("release list", "`release` is called `distro` now: run `cargo xtask distro list`")]
#[case("repro no-such", "there is no scenario `no-such`")]
#[case("repro pam-loss::no-such", "has no such case")]
#[case("repro pam-loss --until no-such", "no-such")]
#[case("drift before after", "there is no run in")]
#[case("drift before after --results %/empty-results", "moments there: none")]
#[case("drift %/text %/text", "no inventory")]
#[case("report %/missing", "there is no run in")]
#[case("report %/empty-results", "there is no run in")]
#[case("compare %/odd/etc %/odd/etc", "no regular file")]
#[case("compare %/missing %/odd/etc", "missing")]
#[case("test --etc %/odd/etc", "no regular file")]
#[case("lab freeze no-such", "no-such")]
#[case("lab freeze mail-lan --only no-such", "has no machine `no-such`")]
#[case("image build no-such", "no-such")]
#[case("image export --output %/archive no-such", "no-such")]
#[case("image import %/missing", "missing")]
#[case("distro build no-such", "no-such")]
#[case("egress learn --from %/empty-results", "has captured packets")]
#[case("egress learn --from %/missing", "missing")]
#[case("egress learn no-such", "there is no scenario `no-such`")]
#[case("egress prove %/missing", "missing")]
#[case("egress prove --filter no-such", "has no machine `no-such`")]
#[case("shell mail", "no lab is held")]
#[case("exec mail -- true", "no lab is held")]
#[case("console mail", "no lab is held")]
#[case("forward mail:993", "no lab is held")]
#[case("forward mail", "write MACHINE:PORT")]
#[case("passwords", "no lab is held")]
#[case("rewind start", "no lab is held")]
#[case("resume", "no lab is held")]
#[case("down", "no lab is held")]
fn a_wrong_command_line_or_file_ends_with_2(#[case] words: &str, #[case] said: &str) {
    let room = Room::new();
    let mut command = room.command(words);
    // What is wrong is said before anything is asked of this host, which has no program here.
    command.env("PATH", room.path("packages"));
    end(command).with(2, &[said]);
}

#[test]
fn a_wrong_variable_ends_with_2() {
    let room = Room::new();
    let mut command = room.command("clean");
    command.env("REHEARSAL_CACHE_LIMIT", "much");
    end(command).with(2, &["REHEARSAL_CACHE_LIMIT"]);
}

/// Commands that need the cache, and no guest.
const OF_CACHE: [&str; 8] =
    ["status", "clean", "lab list", "image list", "distro list", "doctor", "shell mail", "image import %/text"];

#[rstest::rstest]
#[case::a_file("file")]
#[case::a_link_to_nowhere("dangling")]
#[case::a_place_where_nothing_can_be_made("/proc")]
fn a_cache_that_cannot_be_used_ends_with_3(#[case] place: &str) {
    let room = Room::new();
    for words in OF_CACHE {
        let mut command = room.command(words);
        let home = if Path::new(place).is_absolute() { PathBuf::from(place) } else { room.path(place) };
        command.env("XDG_CACHE_HOME", &home);
        end(command).with(3, &[&home.display().to_string()]);
    }
}

#[test]
fn a_cache_without_a_place_ends_with_3() {
    let room = Room::new();
    for words in OF_CACHE {
        let mut command = room.command(words);
        command.env_remove("HOME").env_remove("XDG_CACHE_HOME");
        end(command).with(3, &["HOME"]);
    }
}

#[rstest::rstest]
#[case("test pam-loss")]
#[case("repro pam-loss")]
#[case("lab freeze mail-lan")]
#[case("image build mail")]
#[case("bisect culprits")]
#[case("diagnose culprits")]
#[case("compare %/good %/good")]
#[case("setup")]
fn programs_that_are_missing_are_named_and_end_with_3(#[case] words: &str) {
    let room = Room::new();
    std::fs::create_dir(room.path("good")).unwrap();
    std::fs::write(room.path("good/imapd.conf"), "admins: cyrus\n").unwrap();
    let mut command = room.command(words);
    command.env("PATH", room.path("packages"));
    end(command).with(3, &["mmdebstrap", "qemu"]);
}

#[rstest::rstest]
#[case("check")]
#[case("requirements")]
#[case("requirements --json")]
#[case("man")]
#[case("completions bash")]
#[case("lab list")]
#[case("lab list --json")]
#[case("status")]
#[case("clean")]
#[case("predict --print-collector")]
#[case("diagnose --print-collector")]
fn output_without_room_ends_with_4(#[case] words: &str) {
    let mut command = Room::new().command(words);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    Ended { code: output.status.code(), said }.with(4, &["No space left on device"]);
}

#[rstest::rstest]
#[case("requirements")]
#[case("man")]
#[case("completions bash")]
fn a_reader_that_has_gone_is_no_failure(#[case] words: &str) {
    let room = Room::new();
    let mut command = room.command(words);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}
