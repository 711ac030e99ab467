//! Requests to the directory, passwords that are overheard, and why logins were refused.

use super::Instead::{Sound, Unclear};
use super::Judged;
use crate::mail::causes::Cause;
use crate::mail::diagnosis::RootCause;
use crate::scenario::step::{Amount, CauseOf, Diagnose, Overhear, Requests};

impl Requests {
    /// Holds the number of requests against the expectation.
    pub(in crate::scenario) fn judge(&self, found: usize) -> Judged {
        let met = match self.expect {
            Amount::None => found == 0,
            Amount::Some => found > 0,
        };
        let mut judged = Judged::new(found.to_string());
        judged.expect("expect", met, Sound, String::new);
        judged
    }
}

impl Overhear {
    /// Holds the places at which the password stands, of so many processes, against the rule that it stands in none.
    #[expect(clippy::unused_self, reason = "each verb with an expectation is judged by its own value")]
    pub(in crate::scenario) fn judge(&self, places: &[String], processes: usize) -> Judged {
        let observed = if places.is_empty() { format!("not in any of {processes}") } else { places.join(", ") };
        let mut judged = Judged::new(observed);
        judged.expect("password_of", places.is_empty() && processes > 0, Sound, String::new);
        judged
    }
}

impl CauseOf {
    /// Holds the likely cause against the expected one. Where nothing is broken, the logs show none.
    pub(in crate::scenario) fn judge(&self, found: Cause) -> Judged {
        let mut judged = Judged::new(found.to_string());
        let instead = if found == Cause::Unknown { Sound } else { Unclear };
        judged.expect("expect", found == self.expect, instead, String::new);
        judged
    }
}

impl Diagnose {
    /// Holds a diagnosis against the expected one: its first cause, which `named` says of each that it names, and how sure it is.
    pub(in crate::scenario) fn judge(&self, first: RootCause, named: impl Fn(RootCause) -> bool, sure: &str) -> Judged {
        let mut judged = Judged::new(format!("{first}{sure}"));
        let instead = if first == RootCause::Nothing || self.expect == RootCause::Nothing { Sound } else { Unclear };
        judged.expect("expect", first == self.expect, instead, String::new);
        for cause in &self.also {
            judged.expect("also", named(*cause), instead, || format!("not found: {cause}"));
        }
        judged
    }
}
