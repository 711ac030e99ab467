//! Which cases a person wants to run.

use crate::diagnostic::nearest;
use crate::scenario::{Case, Scenario, Tier};

/// A case with its scenario.
pub type Chosen<'s> = (&'s Scenario, &'s Case);

/// The name of a case, as a person gives it and results have it: `scenario::case`.
#[must_use]
pub fn name_of((scenario, case): &Chosen<'_>) -> String {
    format!("{}::{case}", scenario.name)
}

/// What a person wants to run.
#[derive(Debug, Clone, Default)]
pub struct CaseFilter {
    /// Parts of names, of which one is enough; no part is all.
    pub filters: Vec<String>,
    /// Whether a filter is a whole name.
    pub exact: bool,
    /// Parts of names that are not wanted.
    pub skip: Vec<String>,
    /// Also what is for full runs.
    pub full: bool,
    /// Nothing else.
    pub only_extra: bool,
}

impl CaseFilter {
    /// The cases that are wanted: those that run, and those that the tier leaves out.
    #[must_use]
    pub fn of<'s>(&self, scenarios: &'s [Scenario]) -> (Vec<Chosen<'s>>, Vec<Chosen<'s>>) {
        let selected = cases(scenarios).filter(|chosen| self.selects(&name_of(chosen)));
        let selected = selected.filter(|chosen| !self.only_extra || self.is_extra(chosen));
        selected.partition(|chosen| self.full || !self.is_extra(chosen))
    }

    /// Whether a case is one for full runs. Who names one in full means that case, whatever its tier.
    #[must_use]
    pub fn is_extra(&self, chosen: &Chosen<'_>) -> bool {
        chosen.1.tier == Tier::Full && (self.full || !self.filters.contains(&name_of(chosen)))
    }

    fn selects(&self, name: &str) -> bool {
        let is_meant = |filter: &String| if self.exact { name == *filter } else { name.contains(filter) };
        (self.filters.is_empty() || self.filters.iter().any(is_meant)) && !self.skip.iter().any(is_meant)
    }
}

/// A filter that is part of no name, and what there is instead.
#[must_use]
pub fn mistake(filters: &[String], scenarios: &[Scenario]) -> Option<String> {
    let names: Vec<_> = cases(scenarios).map(|chosen| name_of(&chosen)).collect();
    let wrong = filters.iter().find(|filter| !names.iter().any(|name| name.contains(*filter)))?;
    let known: Vec<_> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    let all: Vec<_> = known.iter().copied().chain(names.iter().map(String::as_str)).collect();
    let near = nearest(wrong, &all).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    Some(format!("no case's name contains `{wrong}`; {near}there are scenarios: {}", known.join(", ")))
}

fn cases(scenarios: &[Scenario]) -> impl Iterator<Item = Chosen<'_>> {
    scenarios.iter().flat_map(|scenario| scenario.cases.iter().map(move |case| (scenario, case)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::path::Path;

    fn scenarios() -> Vec<Scenario> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let load = |name| Scenario::load(&directory.join(format!("{name}.toml"))).unwrap();
        ["encrypted-close", "pam-loss", "viruses"].map(load).into()
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    const QUICK: &[&str] = &["pam-loss::control", "pam-loss::fault", "viruses::scanner=rests", "viruses::scanner=runs"];

    #[rstest]
    #[case::all_that_is_quick(CaseFilter::default(), QUICK, &["encrypted-close::main"])]
    #[case::part_of_a_name(CaseFilter { filters: words(&["ss::f", "close"]), ..CaseFilter::default() }, &["pam-loss::fault"], &["encrypted-close::main"])]
    #[case::named_in_full(CaseFilter { filters: words(&["encrypted-close::main"]), ..CaseFilter::default() }, &["encrypted-close::main"], &[])]
    #[case::everything_of_it(CaseFilter { filters: words(&["close"]), full: true, ..CaseFilter::default() }, &["encrypted-close::main"], &[])]
    #[case::only_what_is_not_quick(CaseFilter { full: true, only_extra: true, ..CaseFilter::default() }, &["encrypted-close::main"], &[])]
    #[case::whole_names(CaseFilter { filters: words(&["viruses", "pam-loss::fault"]), exact: true, ..CaseFilter::default() }, &["pam-loss::fault"], &[])]
    #[case::but_not_these(CaseFilter { skip: words(&["viruses", "close"]), ..CaseFilter::default() }, &["pam-loss::control", "pam-loss::fault"], &[])]
    fn cases_are_chosen(#[case] choice: CaseFilter, #[case] run: &[&str], #[case] left_out: &[&str]) {
        let scenarios = scenarios();
        let (runs, leaves) = choice.of(&scenarios);
        let names = |chosen: Vec<Chosen<'_>>| {
            let mut names: Vec<_> = chosen.iter().map(name_of).collect();
            names.sort();
            names
        };
        assert_eq!((names(runs), names(leaves)), (words(run), words(left_out)));
    }

    #[test]
    fn a_filter_that_is_part_of_no_name_is_told() {
        let scenarios = scenarios();
        assert_eq!(mistake(&words(&["loss", "virus"]), &scenarios), None);
        insta::assert_snapshot!(
            mistake(&words(&["loss", "pam-los::fault"]), &scenarios).unwrap(),
            @"no case's name contains `pam-los::fault`; did you mean `pam-loss::fault`? there are scenarios: encrypted-close, pam-loss, viruses"
        );
    }
}
