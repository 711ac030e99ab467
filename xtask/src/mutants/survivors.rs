//! Mutants that no test notices, each with the reason why none has to.

use super::mutant::Mutant;
use crate::exit::Invalid;
use serde::Deserialize;

/// Where they are listed.
pub(super) const FILE: &str = ".cargo/mutants-survivors.toml";

/// The list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Survivors {
    #[serde(default, rename = "survivor")]
    list: Vec<Survivor>,
}

/// A mutant that no test notices. It is known by its line, not by the line's number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Survivor {
    /// Its name as cargo-mutants prints it, without line and column.
    mutant: String,
    /// The line of code that it changes.
    line: String,
    /// Why no test has to notice it.
    reason: String,
}

impl Survivors {
    /// Reads the list.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let read: Self = toml::from_str(text).map_err(|error| Invalid(format!("{FILE}: {error}")))?;
        let without = read.list.iter().find(|survivor| survivor.reason.trim().is_empty());
        match without {
            Some(survivor) => Err(Invalid(format!("{FILE}: `{}` has no reason", survivor.mutant)).into()),
            None => Ok(read),
        }
    }

    /// Whether a mutant is in it.
    pub(super) fn has(&self, mutant: &Mutant) -> bool {
        self.list.iter().any(|survivor| survivor.is(mutant))
    }

    /// Fails if an entry is no mutant of this code any more: it hides nothing then, and may hide something later.
    pub(super) fn check(&self, all: &[Mutant]) -> anyhow::Result<()> {
        let stale: Vec<_> = self.list.iter().filter(|survivor| !all.iter().any(|mutant| survivor.is(mutant))).collect();
        if stale.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> = stale.iter().map(|it| format!("  {} at `{}`", it.mutant, it.line)).collect();
        Err(Invalid(format!(
            "{FILE} names mutants that do not exist; remove them, or mend their lines:\n{}",
            lines.join("\n")
        ))
        .into())
    }
}

impl Survivor {
    fn is(&self, mutant: &Mutant) -> bool {
        self.mutant == mutant.change && self.line == mutant.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workbench::project;

    fn mutant(change: &str, line: &str) -> Mutant {
        Mutant::called(change, 1, line)
    }

    const ONE: &str =
        "[[survivor]]\nmutant = 'a.rs: replace < with <= in f'\nline = 'if a < b {'\nreason = 'both give 0'\n";

    #[test]
    fn a_survivor_is_known_by_its_change_and_its_line() {
        let survivors = Survivors::read(ONE).unwrap();
        let known = mutant("a.rs: replace < with <= in f", "if a < b {");
        assert!(survivors.has(&known));
        assert!(!survivors.has(&mutant("a.rs: replace < with > in f", "if a < b {")));
        assert!(!survivors.has(&mutant("a.rs: replace < with <= in f", "if b < a {")));
        survivors.check(&[mutant("a.rs: replace f with ()", "a();"), known]).unwrap();
    }

    #[test]
    fn an_entry_whose_line_is_gone_is_an_error() {
        let survivors = Survivors::read(ONE).unwrap();
        let error = survivors.check(&[mutant("a.rs: replace < with <= in f", "if a < c {")]).unwrap_err();
        assert!(error.to_string().contains("replace < with <= in f at `if a < b {`"), "{error}");
    }

    #[rstest::rstest]
    #[case::no_reason(ONE.replace("both give 0", " "), "has no reason")]
    #[case::unknown_key(format!("{ONE}why = ''"), "unknown field `why`")]
    fn a_bad_list_is_refused(#[case] text: String, #[case] words: &str) {
        let error = Survivors::read(&text).unwrap_err();
        assert!(error.is::<Invalid>() && error.to_string().contains(words), "{error:?}");
    }

    /// `cargo xtask mutants` checks the changes, too; this needs no cargo-mutants.
    #[test]
    fn each_line_of_the_list_is_in_the_code() {
        let survivors = Survivors::read(&fs_err::read_to_string(project(FILE)).unwrap()).unwrap();
        assert!(!survivors.list.is_empty());
        for survivor in &survivors.list {
            let file = survivor.mutant.split(": ").next().unwrap();
            let code = fs_err::read_to_string(project(file)).unwrap();
            assert!(code.lines().any(|line| line.trim() == survivor.line), "{file}: no line is `{}`", survivor.line);
        }
    }
}
