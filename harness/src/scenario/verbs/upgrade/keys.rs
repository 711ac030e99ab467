//! What verbs about distribution upgrades are told.

use crate::diagnostic::{Diagnostic, Diagnostics};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// A distribution upgrade in the running guest.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The repository on the machine's disk of packages.
    #[schemars(with = "String")]
    pub repository: Spanned<String>,
    /// What carries it out.
    #[serde(default)]
    pub driver: Driver,
    /// While it runs, a neighbour hands over mail for this user, on port 25, and keeps what is not accepted.
    #[schemars(with = "Option<String>")]
    pub deliver_to: Option<Spanned<String>>,
    /// How it ends.
    #[serde(default)]
    pub expect: Ending,
    /// What is said of an upgrade that fails: which step, which package, and what to do.
    #[serde(default)]
    pub output_contains: Vec<String>,
    /// So many messages, or more, are accepted while it runs: without a number, mail that does not come is no failure.
    pub accepted_at_least: Option<usize>,
    /// The step of the scenario ends when so many packages have been dealt with. The upgrade goes on: for a power cut.
    pub until_package: Option<u32>,
}

/// What carries out an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// `zypper dist-upgrade`.
    #[default]
    Zypper,
    /// `apt-get dist-upgrade`, which keeps configuration files that were changed.
    Apt,
}

impl Upgrade {
    /// What it expects goes together.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        if self.expect == Ending::Done && !self.output_contains.is_empty() {
            let diagnostic =
                Diagnostic::new("an upgrade that is done says nothing of a failure", self.repository.span());
            diagnostics.push(diagnostic.with_help("`output_contains` goes with `expect = \"failed\"`"));
        }
        if self.accepted_at_least.is_some() && self.deliver_to.is_none() {
            let diagnostic = Diagnostic::new("nobody sends mail during this upgrade", self.repository.span());
            diagnostics.push(diagnostic.with_help("`accepted_at_least` goes with `deliver_to`"));
        }
        if self.until_package == Some(0) {
            diagnostics.push(Diagnostic::new("the first package has number 1", self.repository.span()));
        }
    }
}

/// How an upgrade ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// All is done, and nothing complains.
    #[default]
    Done,
    /// It is not carried out, or not to its end.
    Failed,
}

/// A prediction of what an upgrade will do to each file in `/etc`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictUpgrade {
    /// The repository on the machine's disk of packages.
    #[schemars(with = "String")]
    pub repository: Spanned<String>,
    /// What the prediction is called.
    pub name: String,
    /// The files whose content will be lost: these, and no others.
    #[schemars(with = "Option<Vec<String>>")]
    pub loses: Option<Vec<Spanned<String>>>,
}

/// Whether a prediction came true.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyPrediction {
    /// The prediction.
    pub prediction: String,
    /// Files that programs rewrite after the packages came; nothing is expected of them.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub except: Vec<Spanned<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::bare("", "")]
    #[case::done_with_words_of_a_failure("output_contains = ['x']", "says nothing of a failure")]
    #[case::failed_with_words("expect = 'failed'\noutput_contains = ['x']", "")]
    #[case::failed("expect = 'failed'", "")]
    #[case::nobody_sends("accepted_at_least = 1", "nobody sends mail")]
    #[case::somebody_sends("accepted_at_least = 1\ndeliver_to = 'alice'", "")]
    #[case::sent_without_a_number("deliver_to = 'alice'", "")]
    #[case::no_package("until_package = 0", "has number 1")]
    #[case::first_package("until_package = 1", "")]
    fn what_an_upgrade_expects_goes_together(#[case] keys: &str, #[case] words: &str) {
        let upgrade: Upgrade = toml::from_str(&format!("repository = 'leap'\n{keys}")).unwrap();
        flawed(|diagnostics| upgrade.check(diagnostics), words);
    }

    /// Nothing is wrong where there are no words.
    fn flawed(check: impl FnOnce(&mut Diagnostics), words: &str) {
        let mut diagnostics = Diagnostics::default();
        check(&mut diagnostics);
        assert_eq!(diagnostics.is_empty(), words.is_empty(), "{diagnostics:?}");
        assert!(format!("{diagnostics:?}").contains(words), "{diagnostics:?}");
    }
}
