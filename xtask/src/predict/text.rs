//! A forecast as text: what would be lost first, then what changes, and the command that saves copies.

use harness::predict::fate::Fate;
use harness::predict::{Prediction, UpgradePrediction};
use std::fmt::Write as _;

/// Where the command that we show puts copies.
const COPIES: &str = "/root/before-upgrade";

/// Fates that are told together.
struct Group {
    title: &'static str,
    fates: &'static [Fate],
}

const LOST: Group =
    Group { title: "LOST, with no copy", fates: &[Fate::DeletedWithoutBackup, Fate::OverwrittenWithoutBackup] };

/// What changes, or comes beside a file.
const CHANGED: [Group; 9] = [
    Group { title: "The upgrade of the package fails", fates: &[Fate::Blocked] },
    Group { title: "Unknown: a scriptlet touches the changed file", fates: &[Fate::Unknown] },
    Group {
        title: "No longer in force: the changed file is set aside",
        fates: &[Fate::ReplacedWithRpmsave, Fate::ReplacedWithRpmorig, Fate::RemovedWithRpmsave, Fate::Moved],
    },
    Group {
        title: "No longer in force, it seems: the changed file stays, but what read it does so no more",
        fates: &[Fate::Shadowed, Fate::LeftBehind],
    },
    Group { title: "Edited in its place by a scriptlet, with no copy", fates: &[Fate::Edited] },
    Group {
        title: "Written anew by a scriptlet, as at installation; what somebody changed there since is lost",
        fates: &[Fate::Rewritten],
    },
    Group { title: "Kept in force: a scriptlet puts back what was set aside", fates: &[Fate::Restored] },
    Group { title: "Kept in force: the package's new file is put beside it", fates: &[Fate::KeptWithRpmnew] },
    Group { title: "Removed, though as the package had brought it", fates: &[Fate::Removed] },
];

/// What is only counted.
const QUIET: [Group; 3] = [
    Group { title: "updated that nobody had changed", fates: &[Fate::Updated] },
    Group { title: "created", fates: &[Fate::Created] },
    Group { title: "kept", fates: &[Fate::Kept] },
];

/// Whether something bad or unknown happens to what nobody had changed.
fn is_of_no_weight(file: &Prediction) -> bool {
    !file.changed && file.fate.is_alarm()
}

impl Group {
    fn of<'a>(&self, forecast: &'a UpgradePrediction) -> Vec<&'a Prediction> {
        let files = forecast.files.iter().filter(|file| self.fates.contains(&file.fate));
        files.filter(|file| !is_of_no_weight(file)).collect()
    }

    /// The group with its files, or nothing if there are none.
    fn list(&self, text: &mut String, forecast: &UpgradePrediction) {
        let files = self.of(forecast);
        if !files.is_empty() {
            let _ = write!(text, "\n{} ({}):\n", self.title, files.len());
            for file in files {
                describe(text, file);
            }
        }
    }
}

/// The whole text.
pub(super) fn render(forecast: &UpgradePrediction) -> String {
    let mut text = format!(
        "Packages that change or go: {}; that come new: {}; that have no successor here, and are taken to stay: {}.\n",
        forecast.changing, forecast.new, forecast.staying
    );
    LOST.list(&mut text, forecast);
    save_command(&mut text, forecast);
    for group in &CHANGED {
        group.list(&mut text, forecast);
    }
    let quiet = QUIET.iter().map(|group| (group.of(forecast).len(), group.title)).filter(|(count, _)| *count > 0);
    let mut quiet: Vec<_> = quiet.map(|(count, title)| format!("{count} {title}")).collect();
    let touched = forecast.files.iter().filter(|file| is_of_no_weight(file)).count();
    if touched > 0 {
        quiet.push(format!("{touched} touched by scriptlets that nobody had changed"));
    }
    if !quiet.is_empty() {
        let _ = write!(text, "\nOther files: {}.\n", quiet.join(", "));
    }
    hints(&mut text, forecast);
    text
}

fn describe(text: &mut String, file: &Prediction) {
    let backup = file.backup.as_ref().map(|path| format!(" → {path}")).unwrap_or_default();
    let _ = write!(text, "  {}{backup}\n      {}: {}\n", file.path, file.fate, file.why);
}

fn hints(text: &mut String, forecast: &UpgradePrediction) {
    if forecast.hints.is_empty() {
        return;
    }
    text.push_str(
        "\nHints: these lines of scriptlets could not be followed, and may change the files that they name, or others:\n",
    );
    for hint in &forecast.hints {
        let path = hint.path.as_deref().unwrap_or("(files that cannot be told)");
        let _ = write!(text, "  {path}\n      {} of {}: {}\n", hint.scriptlet, hint.package, hint.line);
    }
}

/// What is lost, or may be.
fn is_to_be_saved(file: &Prediction) -> bool {
    file.fate.is_loss() || (file.changed && matches!(file.fate, Fate::Unknown | Fate::Edited))
}

fn save_command(text: &mut String, forecast: &UpgradePrediction) {
    if forecast.losses().next().is_none() {
        text.push_str("\nNothing would be lost without a copy, as far as scriptlets can be followed.\n");
    }
    let files: Vec<_> =
        forecast.files.iter().filter(|file| is_to_be_saved(file)).map(|file| quoted(&file.path)).collect();
    if files.is_empty() {
        return;
    }
    let _ = write!(
        text,
        "\n  Before the upgrade, this saves copies, when root runs it on that system:\n      \
         install -d -m 700 {COPIES} && cp -a --parents -- {} {COPIES}/\n",
        files.join(" ")
    );
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = word.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-+@:".contains(letter));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::predict::Hint;

    fn file(path: &str, fate: Fate, why: &str) -> Prediction {
        let backup = fate.suffix().map(|suffix| format!("{path}{suffix}"));
        let changed = !matches!(fate, Fate::Updated | Fate::Removed | Fate::Created);
        Prediction { path: path.into(), package: "postfix-3.2.0-1".into(), fate, backup, changed, why: why.into() }
    }

    #[test]
    fn a_forecast_as_people_read_it() {
        let forecast = UpgradePrediction {
            files: vec![
                file("/etc/pam.d/imap", Fate::DeletedWithoutBackup, "cyrus-imapd-2-1 no longer has it"),
                file("/etc/it's mine", Fate::OverwrittenWithoutBackup, "no installed package has it"),
                file("/etc/postfix/main.cf", Fate::ReplacedWithRpmsave, "it was changed"),
                file("/etc/pam.d/pop", Fate::Unknown, "%posttrans of pam-2-1 touches it: tool /etc/pam.d/pop"),
                Prediction { changed: false, ..file("/etc/pam.d/nntp", Fate::Unknown, "") },
                file("/usr/etc/pam.d/own", Fate::Shadowed, "/etc/pam.d/own comes, and is read in its place"),
                file("/etc/aliases", Fate::Edited, "%post of postfix-3.4.6-1 edits it: sed -i s/a/b/ /etc/aliases"),
                file("/etc/sasl2/smtpd.conf", Fate::Restored, "%posttrans of postfix-3.4.6-1 puts it back"),
                file("/etc/imapd.conf", Fate::KeptWithRpmnew, "it was changed, and cyrus-imapd-2-1 says noreplace"),
                file("/etc/init.d/cyrus", Fate::Removed, "cyrus-imapd-2-1 no longer has it"),
                file("/etc/a", Fate::Updated, ""),
                file("/etc/b", Fate::Updated, ""),
                file("/etc/c", Fate::Kept, ""),
            ],
            hints: [(Some("/etc/pam.d/smtp"), "os.remove(\"/etc/pam.d/smtp\")"), (None, "rm -f $file")]
                .map(|(path, line)| Hint {
                    path: path.map(str::to_owned),
                    package: "postfix-3.4.6-1".into(),
                    scriptlet: "%post".into(),
                    line: line.into(),
                })
                .into(),
            changing: 3,
            new: 1,
            staying: 2,
        };
        insta::assert_snapshot!(render(&forecast));
    }

    #[test]
    fn good_news() {
        let forecast = UpgradePrediction { files: Vec::new(), hints: Vec::new(), changing: 0, new: 0, staying: 5 };
        insta::assert_snapshot!(render(&forecast));
    }
}
