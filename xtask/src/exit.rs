//! How commands end: what an exit code means, and who decides it.

use harness::cache::{CacheError, SizeError};
use harness::host::accelerator::ChoiceError;
use harness::network::UserNamespaceError;
use std::fmt;
use std::process::ExitCode;

/// The meaning of an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// An expectation failed, or what was asked after is not so.
    Failed = 1,
    /// The command line, or a file that a person wrote, is wrong.
    Invalid = 2,
    /// This host lacks something.
    Host = 3,
    /// Something else went wrong.
    Internal = 4,
    /// A person, or the end of the terminal, has ended it.
    Interrupted = 130,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(end as u8)
    }
}

/// A file that a person wrote is wrong; with the place, as it is shown.
#[derive(Debug)]
pub(crate) struct Invalid(pub(crate) String);

/// A person wants it to end.
#[derive(Debug)]
pub(crate) struct Interrupted;

/// This host lacks something; what, and the cure.
#[derive(Debug)]
pub(crate) struct HostLacks(pub(crate) String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HostLacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}
impl std::error::Error for Invalid {}
impl std::error::Error for HostLacks {}

/// The end that an error means.
pub(crate) fn of(error: &anyhow::Error) -> End {
    let end = |cause: &(dyn std::error::Error + 'static)| {
        let invalid = cause.is::<Invalid>().then_some(End::Invalid);
        let lacks = cause.is::<HostLacks>()
            || cause.downcast_ref::<UserNamespaceError>().is_some_and(UserNamespaceError::is_limit_of_host)
            || cause.downcast_ref::<CacheError>().is_some();
        let interrupted = || cause.is::<Interrupted>().then_some(End::Interrupted);
        invalid.or_else(|| lacks.then_some(End::Host)).or_else(interrupted).or_else(|| of_variable(cause))
    };
    error.chain().find_map(end).unwrap_or(End::Internal)
}

/// The end that a wrong variable of the environment means: it is as much a part of the command line as an argument.
fn of_variable(cause: &(dyn std::error::Error + 'static)) -> Option<End> {
    if cause.is::<SizeError>() {
        return Some(End::Invalid);
    }
    cause.downcast_ref::<ChoiceError>().map(|error| match error {
        ChoiceError::UnknownAccelerator(_) | ChoiceError::BadPace(_) => End::Invalid,
        ChoiceError::ForcedKvm(_) | ChoiceError::Killed(_) | ChoiceError::Emulation(_) => End::Host,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn the_end_is_found_below_other_words() {
        let invalid: anyhow::Result<()> = Err(Invalid("x".into()).into());
        assert_eq!(of(&invalid.context("failed to load").unwrap_err()), End::Invalid);
        assert_eq!(of(&HostLacks("x".into()).into()), End::Host);
        assert_eq!(of(&anyhow::Error::from(Interrupted).context("compare")), End::Interrupted);
        assert_eq!(of(&ChoiceError::BadPace("x".into()).into()), End::Invalid);
        assert_eq!(of(&anyhow::anyhow!("x")), End::Internal);
        assert_eq!(of(&anyhow::Error::from(CacheError::NoPlace).context("failed to open the cache")), End::Host);
    }
}
