//! Requests to the directory, and why logins were refused.

use crate::mail::diagnosis::RootCause;
use crate::scenario::format::step::{Amount, Diagnose, LdapRequests, NoSecretInProcesses};
use crate::scenario::verbs::expectation::Instead::{Sound, Unclear};
use crate::scenario::verbs::expectation::Judged;

impl LdapRequests {
    /// Holds the number of requests against the expectation.
    pub(crate) fn judge(&self, found: usize) -> Judged {
        let met = match self.expect {
            Amount::None => found == 0,
            Amount::Some => found > 0,
        };
        let mut judged = Judged::new(found.to_string());
        judged.expect("expect", met, Sound, String::new);
        judged
    }
}

impl NoSecretInProcesses {
    /// Holds the places at which the password stands, of so many processes, against the rule that it stands in none.
    #[expect(clippy::unused_self, reason = "each verb with an expectation is judged by its own value")]
    pub(crate) fn judge(&self, places: &[String], processes: usize) -> Judged {
        let observed = if places.is_empty() { format!("not in any of {processes}") } else { places.join(", ") };
        let mut judged = Judged::new(observed);
        judged.expect("password_of", places.is_empty() && processes > 0, Sound, String::new);
        judged
    }
}

impl Diagnose {
    /// Holds a diagnosis against the expected one: its first cause, which `named` says of each that it names, and how sure it is.
    pub(crate) fn judge(&self, first: RootCause, named: impl Fn(RootCause) -> bool, sure: &str) -> Judged {
        let mut judged = Judged::new(format!("{first}{sure}"));
        let instead = if first == RootCause::Nothing || self.expect == RootCause::Nothing { Sound } else { Unclear };
        judged.expect("expect", first == self.expect, instead, String::new);
        for cause in &self.also {
            judged.expect("also", named(*cause), instead, || format!("not found: {cause}"));
        }
        judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::verbs::expectation::Instead;
    use crate::scenario::verbs::expectation::cases::read;

    #[rstest::rstest]
    #[case::none_as_expected("none", 0, true)]
    #[case::one_too_many("none", 1, false)]
    #[case::none_though_expected("some", 0, false)]
    #[case::one_is_enough("some", 1, true)]
    fn requests_are_there_or_not(#[case] expect: &str, #[case] found: usize, #[case] met: bool) {
        let requests: LdapRequests = read(&format!("from = 'mail'\nsince = 'x'\nexpect = '{expect}'"));
        assert_eq!(requests.judge(found).is_met(), met);
    }

    #[rstest::rstest]
    #[case::looked_at_one(1, true)]
    #[case::looked_at_none(0, false)]
    fn who_looks_at_nothing_overhears_nothing_and_proves_nothing(#[case] processes: usize, #[case] met: bool) {
        let overhear: NoSecretInProcesses = read("password_of = 'a'");
        assert_eq!(overhear.judge(&[], processes).is_met(), met);
    }

    #[rstest::rstest]
    #[case::nothing_is_wrong("sssd-down", RootCause::Nothing, Sound)]
    #[case::something_is_wrong("nothing", RootCause::SssdDown, Sound)]
    #[case::something_else_is_wrong("sssd-down", RootCause::UserDenied, Unclear)]
    fn a_sound_system_has_nothing_to_diagnose(
        #[case] expect: &str,
        #[case] first: RootCause,
        #[case] instead: Instead,
    ) {
        let keys = format!("user = 'a'\nservice = 'imap'\nsince = 'x'\nexpect = '{expect}'");
        let diagnose: Diagnose = read(&keys);
        assert_eq!(diagnose.judge(first, |_| true, "").instead(), Some(instead));
    }
}
