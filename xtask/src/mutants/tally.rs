//! What became of mutants, in numbers and words.

use super::mutant::Mutant;
use super::survivors::{self, Survivors};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A test failed with it.
    Caught,
    /// With it the tests did not end in time.
    Endless,
    /// All tests passed with it.
    Missed,
    /// No test comes by it, so none was run.
    Unreached,
    /// It is no Rust.
    Unviable,
    /// It needs a build of its own.
    OneByOne,
}

/// What became of mutants, by their names. Those that were not tried are not in it.
pub(super) type Outcomes = BTreeMap<String, Outcome>;

/// Reads what cargo-mutants has written.
pub(super) fn outcomes_of_cargo_mutants(place: &Path) -> anyhow::Result<Outcomes> {
    let files = [
        ("caught.txt", Outcome::Caught),
        ("timeout.txt", Outcome::Endless),
        ("missed.txt", Outcome::Missed),
        ("unviable.txt", Outcome::Unviable),
    ];
    let mut outcomes = Outcomes::new();
    for (file, outcome) in files {
        let names = fs_err::read_to_string(place.join(file))?;
        outcomes.extend(names.lines().map(|name| (name.to_owned(), outcome)));
    }
    Ok(outcomes)
}

/// Mutants, counted by what became of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    count: Count,
    files: BTreeMap<String, Count>,
    /// With these the tests did not end in time.
    endless: Vec<String>,
    /// These survive without a reason.
    unknown: Vec<Mutant>,
    /// No test comes by these, of those.
    unreached: BTreeSet<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    all: usize,
    caught: usize,
    endless: usize,
    unviable: usize,
    /// These survive, and the list says why.
    known: usize,
    /// These survive.
    unknown: usize,
    one_by_one: usize,
}

impl Count {
    fn add(&mut self, outcome: Option<Outcome>, known: bool) {
        self.all += 1;
        match outcome {
            Some(Outcome::Caught) => self.caught += 1,
            Some(Outcome::Endless) => self.endless += 1,
            Some(Outcome::Unviable) => self.unviable += 1,
            Some(Outcome::OneByOne) => self.one_by_one += 1,
            Some(Outcome::Missed | Outcome::Unreached) if known => self.known += 1,
            Some(Outcome::Missed | Outcome::Unreached) => self.unknown += 1,
            None => {}
        }
    }

    fn not_tried(&self) -> usize {
        let (_, viable) = self.caught_of();
        self.all - viable - self.unviable - self.one_by_one
    }

    /// The mutants that tests noticed, and all that they could have noticed.
    fn caught_of(&self) -> (usize, usize) {
        let caught = self.caught + self.endless;
        (caught, caught + self.known + self.unknown)
    }

    fn percent(&self) -> Option<usize> {
        let (caught, viable) = self.caught_of();
        (100 * caught).checked_div(viable)
    }
}

impl Tally {
    /// Counts them.
    pub(super) fn new(mutants: &[Mutant], outcomes: &Outcomes, survivors: &Survivors) -> Self {
        let mut tally = Self::default();
        for mutant in mutants {
            let outcome = outcomes.get(&mutant.name).copied();
            let known = survivors.has(mutant);
            tally.count.add(outcome, known);
            tally.files.entry(mutant.file.clone()).or_default().add(outcome, known);
            match outcome {
                Some(Outcome::Endless) => tally.endless.push(mutant.name.clone()),
                Some(survives @ (Outcome::Missed | Outcome::Unreached)) if !known => {
                    tally.unknown.push(mutant.clone());
                    if survives == Outcome::Unreached {
                        tally.unreached.insert(mutant.name.clone());
                    }
                }
                _ => {}
            }
        }
        tally
    }

    /// Whether the tests are good enough. Where all mutants were tried, each survivor needs a reason. A sample tells a rate. Where
    /// there are mutants, and none was viable, nothing is told.
    pub(super) fn is_enough(&self) -> bool {
        let (caught, viable) = self.count.caught_of();
        if self.count.not_tried() == 0 {
            self.count.unknown == 0 && (viable > 0 || self.count.all == 0)
        } else {
            viable > 0 && 2 * caught >= viable
        }
    }

    /// It in words.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for mutant in &self.unknown {
            let why = if self.unreached.contains(&mutant.name) { "No test comes by" } else { "No test notices" };
            let _ = writeln!(text, "\n{why} {}\n{}", mutant.name, mutant.diff.trim_end());
        }
        for name in &self.endless {
            let _ = writeln!(text, "\nThe tests do not end in time with {name}");
        }
        if self.files.len() > 1 {
            text.push('\n');
            text.push_str(&self.table());
        }
        let count = self.count;
        let _ = writeln!(
            text,
            "\n{} mutants: {} caught, {} endless, {} survive, {} survive with a reason, {} do not compile, {} were not tried",
            count.all,
            count.caught,
            count.endless,
            count.unknown,
            count.known,
            count.unviable,
            count.not_tried()
        );
        if count.one_by_one > 0 {
            let _ = writeln!(
                text,
                "{} of them need a build of their own: `cargo xtask mutants --one-by-one` tries them.",
                count.one_by_one
            );
        }
        let (caught, viable) = count.caught_of();
        if viable == 0 && count.not_tried() > 0 {
            text.push_str("None was tried, so nothing is shown: allow it more time by `--minutes`.\n");
        }
        if let Some(percent) = count.percent() {
            let _ = writeln!(text, "caught of those that compile and were tried: {caught} of {viable}, {percent} %");
        }
        if !self.unknown.is_empty() {
            let _ = writeln!(
                text,
                "Write a test that fails with each survivor, or name it in {} with the reason why none has to.",
                survivors::FILE
            );
        }
        text
    }

    /// A line for each file, as the documentation has them.
    fn table(&self) -> String {
        let mut table = String::from(
            "| file | mutants | do not compile | caught | survive | with a reason | caught of those that compile |\n\
             |---|---|---|---|---|---|---|\n",
        );
        for (file, count) in &self.files {
            let percent = count.percent().map_or_else(|| "-".to_owned(), |percent| format!("{percent} %"));
            let _ = writeln!(
                table,
                "| `{file}` | {} | {} | {} | {} | {} | {percent} |",
                count.all,
                count.unviable,
                count.caught_of().0,
                count.unknown,
                count.known
            );
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(line: usize) -> Mutant {
        Mutant::called("a.rs: replace < with <= in f", line, &format!("line {line}"))
    }

    #[rstest::rstest]
    #[case::all_are_caught(4, 4, 0, true)]
    #[case::all_were_tried_and_one_survives(4, 3, 1, false)]
    #[case::half_of_a_sample(9, 2, 2, true)]
    #[case::less_than_half_of_a_sample(9, 2, 3, false)]
    #[case::none_was_tried(9, 0, 0, false)]
    #[case::there_are_none(0, 0, 0, true)]
    fn a_sample_is_held_to_a_rate(
        #[case] all: usize,
        #[case] caught: usize,
        #[case] missed: usize,
        #[case] enough: bool,
    ) {
        let mutants: Vec<_> = (0..all).map(mutant).collect();
        let fates = std::iter::repeat_n(Outcome::Caught, caught).chain(std::iter::repeat_n(Outcome::Missed, missed));
        let outcomes = mutants.iter().map(|mutant| mutant.name.clone()).zip(fates).collect();
        assert_eq!(Tally::new(&mutants, &outcomes, &Survivors::default()).is_enough(), enough);
    }

    #[rstest::rstest]
    #[case::no_rust(Outcome::Unviable)]
    #[case::of_constants(Outcome::OneByOne)]
    fn nothing_is_told_where_none_can_be_tried(#[case] outcome: Outcome) {
        let only = mutant(1);
        let outcomes = [(only.name.clone(), outcome)].into();
        assert!(!Tally::new(&[only], &outcomes, &Survivors::default()).is_enough());
    }

    #[test]
    fn that_none_was_tried_is_told() {
        let text = Tally::new(&[mutant(1)], &Outcomes::new(), &Survivors::default()).text();
        assert!(text.contains("None was tried"), "{text}");
    }

    /// Of nine, the first three survive, one of them with a reason, one since no test comes by; the last was not tried.
    #[test]
    fn survivors_without_a_reason_and_what_was_not_tried_are_told() {
        use Outcome::{Caught, Endless, Missed, OneByOne, Unreached, Unviable};
        let mutants: Vec<_> = (1..=9).map(mutant).collect();
        let fates = [Missed, Missed, Unreached, Caught, Caught, Endless, Unviable, OneByOne];
        let outcomes = mutants.iter().map(|mutant| mutant.name.clone()).zip(fates).collect();
        let list = "[[survivor]]\nmutant = 'a.rs: replace < with <= in f'\nline = 'line 2'\nreason = 'equivalent'\n";
        let tally = Tally::new(&mutants, &outcomes, &Survivors::read(list).unwrap());
        insta::assert_snapshot!(tally.text(), @r"

        No test notices a.rs:1:5: replace < with <= in f
        -line 1

        No test comes by a.rs:3:5: replace < with <= in f
        -line 3

        The tests do not end in time with a.rs:6:5: replace < with <= in f

        9 mutants: 2 caught, 1 endless, 2 survive, 1 survive with a reason, 1 do not compile, 1 were not tried
        1 of them need a build of their own: `cargo xtask mutants --one-by-one` tries them.
        caught of those that compile and were tried: 3 of 6, 50 %
        Write a test that fails with each survivor, or name it in .cargo/mutants-survivors.toml with the reason why none has to.
        ");
        insta::assert_snapshot!(tally.table(), @r"
        | file | mutants | do not compile | caught | survive | with a reason | caught of those that compile |
        |---|---|---|---|---|---|---|
        | `a.rs` | 9 | 1 | 3 | 2 | 1 | 50 % |
        ");
    }

    #[test]
    fn files_of_cargo_mutants_are_read() {
        let place = tempfile::tempdir().unwrap();
        for (file, lines) in
            [("missed.txt", "a\nb\n"), ("caught.txt", "c\n"), ("timeout.txt", ""), ("unviable.txt", "d\n")]
        {
            fs_err::write(place.path().join(file), lines).unwrap();
        }
        let outcomes = outcomes_of_cargo_mutants(place.path()).unwrap();
        let named: Vec<_> = outcomes.iter().map(|(name, outcome)| (name.as_str(), *outcome)).collect();
        assert_eq!(
            named,
            [("a", Outcome::Missed), ("b", Outcome::Missed), ("c", Outcome::Caught), ("d", Outcome::Unviable)]
        );
    }
}
