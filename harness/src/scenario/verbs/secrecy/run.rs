//! Who lists the processes of this host must not learn a password.

use crate::scenario::format::step::{Credential, NoSecretInProcesses};
use crate::scenario::verbs::{Done, StepContext, StepError, decided};
use secrecy::ExposeSecret as _;
use std::path::Path;

/// What of a process others may see (proc(5)): its arguments, and, for its own user, its environment.
const PARTS: [&str; 2] = ["cmdline", "environ"];

/// A look at all processes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    /// How many could be read.
    processes: usize,
    /// Where the words are: the number of a process, and the part.
    places: Vec<String>,
}

impl StepContext<'_> {
    pub(crate) fn no_secret_in_processes(&self, overhear: &NoSecretInProcesses) -> Result<Done, StepError> {
        let user = overhear.password_of.get_ref();
        let password = self.password(user, Credential::Right)?;
        let heard = listen(Path::new("/proc"), password.expose_secret().as_bytes());
        let asked = format!("the password of {user} in arguments and environments of this host's processes");
        decided(&overhear.judge(&heard.places, heard.processes), asked, None)
    }
}

/// Looks for words in the processes of `proc`. Of one that ends meanwhile, or that is somebody else's, nothing is known.
fn listen(proc: &Path, words: &[u8]) -> Heard {
    let mut heard = Heard::default();
    let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    for process in names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        let texts = PARTS.map(|part| (part, std::fs::read(proc.join(&process).join(part)).unwrap_or_default()));
        heard.processes += usize::from(texts.iter().any(|(_, text)| !text.is_empty()));
        let has = |text: &[u8]| text.windows(words.len().max(1)).any(|window| window == words);
        heard.places.extend(
            texts.iter().filter(|(_, text)| has(text)).map(|(part, _)| format!("in the {part} of process {process}")),
        );
    }
    heard
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    /// A process that says that it is there, and waits for the end of its input.
    fn told(words: &str, in_environment: bool) -> std::process::Child {
        let mut command = Command::new("sh");
        command.args(["-c", "echo; read line", "sh"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if in_environment {
            command.env("WORDS", words)
        } else {
            command.arg(words)
        };
        let mut child = command.spawn().unwrap();
        // Until then it may be on its way to be another program, and has no arguments.
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    }

    #[rstest::rstest]
    #[case::an_argument("heard-as-an-argument", false, "cmdline")]
    #[case::an_environment("heard-in-an-environment", true, "environ")]
    fn what_a_process_is_told_is_heard(#[case] words: &str, #[case] in_environment: bool, #[case] part: &str) {
        let mut child = told(words, in_environment);
        let heard = listen(Path::new("/proc"), words.as_bytes());
        let place = format!("in the {part} of process {}", child.id());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(heard.places.contains(&place), "{heard:?}");
    }

    #[test]
    fn words_that_nobody_was_told_are_not() {
        let words = format!("nobody-was-told-{}", std::process::id());
        let heard = listen(Path::new("/proc"), words.as_bytes());
        assert!(heard.places.is_empty() && heard.processes > 0, "{heard:?}");
    }
}
