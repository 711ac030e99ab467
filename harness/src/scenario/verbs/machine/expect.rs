//! Upgrades and reboots of a whole machine.

use crate::scenario::format::step::{Ending, Reboot, Return, Upgrade};
use crate::scenario::verbs::expectation::Instead::{Sound, Unclear};
use crate::scenario::verbs::expectation::Judged;

/// How an upgrade ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Upgraded<'a> {
    /// So many packages are dealt with, and it goes on.
    UnderWay(u32),
    /// It is over.
    Over {
        /// The program's exit status.
        status: i64,
        /// How many steps it took.
        steps: usize,
        /// How long it took.
        seconds: f64,
        /// What is wrong with it.
        trouble: Option<&'a str>,
    },
}

impl Upgrade {
    /// Holds the end of an upgrade, and how much mail was accepted meanwhile and deferred, against the expectation.
    pub(crate) fn judge(&self, ended: Upgraded<'_>, (accepted, deferred): (usize, usize)) -> Judged {
        let mail = self.deliver_to.as_ref().map(|user| {
            format!("{accepted} messages for {} accepted meanwhile, {deferred} attempts deferred", user.get_ref())
        });
        let with_mail = |words: String| [Some(words), mail].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let mut judged = match ended {
            Upgraded::UnderWay(number) => {
                Judged::new(with_mail(format!("{number} packages are dealt with, and it goes on")))
            }
            Upgraded::Over { status, steps, seconds, trouble } => {
                let words = with_mail(format!("status {status} after {steps} steps in {seconds:.0} s"));
                let mut judged = Judged::new(match trouble {
                    Some(trouble) => format!("{words}: {trouble}"),
                    None => words,
                });
                self.judge_ending(trouble, &mut judged);
                if let Some(number) = self.until_package {
                    judged.expect("until_package", false, Unclear, || format!("it ended before package {number}"));
                }
                judged
            }
        };
        if let Some(least) = self.accepted_at_least {
            judged.expect("accepted_at_least", accepted >= least, Unclear, || {
                format!("fewer than {least} messages were accepted meanwhile")
            });
        }
        judged
    }

    fn judge_ending(&self, trouble: Option<&str>, judged: &mut Judged) {
        match (self.expect, trouble) {
            (Ending::Done, None) => {}
            (Ending::Done, Some(_)) | (Ending::Failed, None) => judged.expect("expect", false, Sound, String::new),
            (Ending::Failed, Some(trouble)) => {
                for words in &self.output_contains {
                    judged.expect("output_contains", trouble.contains(words), Unclear, || {
                        format!("does not say `{words}`")
                    });
                }
            }
        }
    }
}

/// What came of a reboot.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rebooted<'a> {
    /// The machine is up again.
    Back,
    /// It does not come up, and this is said of it.
    Away(&'a str),
}

impl Reboot {
    /// Holds what came of a reboot against the expectation.
    pub(crate) fn judge(&self, machine: &str, rebooted: Rebooted<'_>) -> Judged {
        match (self.expect, rebooted) {
            (Return::Back, Rebooted::Back) => Judged::new("it is up again"),
            (Return::Back, Rebooted::Away(said)) => {
                let mut judged = Judged::new(said);
                judged.expect("expect", false, Sound, String::new);
                judged
            }
            (Return::Away, Rebooted::Back) => {
                let mut judged = Judged::new(format!("machine {machine} came up again"));
                judged.expect("expect", false, Sound, || "it was expected to stay away".into());
                judged
            }
            (Return::Away, Rebooted::Away(said)) => {
                let mut judged = Judged::new(said);
                for words in &self.output_contains {
                    judged.expect("output_contains", said.contains(words), Unclear, || {
                        format!("that does not say `{words}`")
                    });
                }
                judged
            }
        }
    }
}
