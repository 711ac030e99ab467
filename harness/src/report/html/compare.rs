//! The same dialogue, healthy and broken, side by side.

use super::super::text;
use super::steps::{anchor, dialogue};
use crate::bounded::Comparer;
use crate::results::{Part, ScenarioResult, StepOutcome, StepResult};
use maud::{Markup, html};

/// Comparisons that are shown of one case.
const MOST: usize = 12;

/// One question, and what became of it at different times.
#[derive(Debug)]
pub(super) struct Comparison<'r> {
    /// What was asked.
    asked: &'r str,
    columns: Vec<Column<'r>>,
}

/// One answer.
#[derive(Debug)]
struct Column<'r> {
    label: String,
    /// Where the step is in its case, unless it is one of another case.
    place: Option<usize>,
    step: &'r StepResult,
    /// Whether it is the broken one.
    broken: bool,
    /// The lines of its dialogue, and which of them the other side lacks.
    lines: Vec<(&'r str, bool)>,
}

/// For each question that was answered badly: the good answer before it, or in the control; the bad one; and a good one later.
pub(super) fn comparisons<'r>(result: &'r ScenarioResult, control: Option<&'r ScenarioResult>) -> Vec<Comparison<'r>> {
    let mut found: Vec<Comparison<'r>> = Vec::new();
    let comparer = Comparer::default();
    for (place, step) in result.steps.iter().enumerate() {
        if !is_bad(step, result.control) || found.iter().any(|known| known.asked == step.asked) {
            continue;
        }
        let steps = || result.steps.iter().enumerate();
        let before = steps().take(place).rev().find(|(_, other)| is_other(step, other));
        let after = steps().skip(place + 1).find(|(_, other)| is_other(step, other));
        let in_control = control.and_then(|control| {
            control.steps.iter().find(|other| other.number == step.number && is_other(step, other))
        });
        let mut columns = Vec::new();
        columns.extend(before.map(|(place, other)| Column::new("before", Some(place), other)));
        columns.extend(in_control.map(|other| Column::new("without the fault", None, other)));
        if columns.is_empty() && after.is_none() {
            continue;
        }
        let label = if step.outcome == StepOutcome::Failed { "failed" } else { "with the fault" };
        columns.push(Column { broken: true, ..Column::new(label, Some(place), step) });
        columns.extend(after.map(|(place, other)| Column::new("later", Some(place), other)));
        // Three fit beside each other; the one in the same case says more than the one in the control.
        if columns.len() > 3 {
            columns.remove(1);
        }
        mark(&mut columns, comparer);
        found.push(Comparison { asked: &step.asked, columns });
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// What a person wants to see beside its healthy twin.
fn is_bad(step: &StepResult, control: bool) -> bool {
    let shows = step.part == Part::Symptom && step.outcome == StepOutcome::Passed && !control;
    step.transcript.is_some() && !step.asked.is_empty() && (shows || step.outcome == StepOutcome::Failed)
}

/// Whether it is the same question with another answer.
fn is_other(step: &StepResult, other: &StepResult) -> bool {
    other.transcript.is_some() && other.asked == step.asked && gist(&other.answered) != gist(&step.answered)
}

/// An answer without what was said about how often one looked, and whether that was hoped for.
fn gist(answered: &str) -> &str {
    let answered = answered.strip_prefix("no symptom: ").unwrap_or(answered);
    let answered = answered.strip_prefix("the symptom shows without the fault: ").unwrap_or(answered);
    [" looks: ", "one look: "].iter().find_map(|words| Some(answered.split_once(words)?.1)).unwrap_or(answered)
}

impl<'r> Column<'r> {
    fn new(label: &str, place: Option<usize>, step: &'r StepResult) -> Self {
        let lines = step.transcript.iter().flat_map(|text| text.lines()).map(|line| (line, false)).collect();
        Self { label: label.to_owned(), place, step, broken: false, lines }
    }
}

/// Marks the lines that differ: of the broken side against the first healthy one, of every healthy one against the broken.
fn mark(columns: &mut [Column<'_>], comparer: Comparer) {
    let keys: Vec<Vec<String>> =
        columns.iter().map(|column| column.lines.iter().map(|(line, _)| key(line)).collect()).collect();
    let Some(broken) = columns.iter().position(|column| column.broken) else { return };
    let healthy = usize::from(broken == 0);
    for (index, column) in columns.iter_mut().enumerate() {
        let other = if index == broken { healthy } else { broken };
        let lacking = comparer.lacking(&keys[index], &keys[other]);
        for (line, lacks) in column.lines.iter_mut().zip(lacking) {
            line.1 = lacks;
        }
    }
}

/// A line without what differs each time: numbers, and long random words.
fn key(line: &str) -> String {
    let words = line.split_inclusive(|c: char| !(c.is_alphanumeric() || "+/=_-".contains(c)));
    words
        .map(|word| {
            let body = word.trim_end_matches(|c: char| !(c.is_alphanumeric() || "+/=_-".contains(c)));
            let random = body.len() >= 12 && body.chars().any(|c| c.is_ascii_digit());
            let plain = if random { "…" } else { body };
            let digits_gone: String = plain.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            format!("{digits_gone}{}", &word[body.len()..])
        })
        .collect()
}

pub(super) fn render(index: usize, comparisons: &[Comparison<'_>]) -> Markup {
    html! {
        @for (number, comparison) in comparisons.iter().enumerate() {
            details.comparison open[number == 0] {
                summary { (text::line(comparison.asked)) }
                div.columns {
                    @for column in &comparison.columns {
                        div.column.broken[column.broken] {
                            p.label {
                                b { (column.label) } " "
                                @match (column.place, column.step.number) {
                                    (Some(place), Some(number)) => a href=(format!("#{}", anchor(index, place))) { "step " (number) },
                                    (None, Some(number)) => span { "step " (number) " of the control" },
                                    _ => {},
                                }
                            }
                            p.answered { (text::line(gist(&column.step.answered))) }
                            (dialogue(column.lines.iter().copied()))
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::model::samples::{case, step};
    use super::*;
    use crate::results::Verdict;

    fn symptom(number: usize, answered: &str) -> StepResult {
        StepResult { part: Part::Symptom, ..step(number, StepOutcome::Passed, answered) }
    }

    fn shown(comparisons: &[Comparison<'_>]) -> Vec<String> {
        let column = |column: &Column<'_>| format!("{} {}", column.label, column.step.number.unwrap());
        comparisons.iter().flat_map(|comparison| comparison.columns.iter().map(column)).collect()
    }

    #[test]
    fn a_symptom_stands_between_before_and_later() {
        let steps = vec![
            step(1, StepOutcome::Passed, "accepted"),
            symptom(2, "refused"),
            symptom(3, "refused"),
            step(4, StepOutcome::Passed, "after 1.0 s and 2 looks: accepted"),
        ];
        let case = case("fault", Verdict::Passed, None, steps).result;
        let comparisons = comparisons(&case, None);
        assert_eq!(shown(&comparisons), ["before 1", "with the fault 2", "later 4"]);
        let differing: Vec<_> =
            comparisons[0].columns[1].lines.iter().filter(|(_, differs)| *differs).map(|(line, _)| *line).collect();
        assert_eq!(differing, ["S: a1 refused"]);
    }

    #[test]
    fn without_a_healthy_answer_in_the_case_the_control_has_it() {
        let fault = case("fault", Verdict::Passed, None, vec![symptom(2, "refused")]).result;
        let control = case("control", Verdict::Passed, None, vec![symptom(2, "no symptom: accepted")]).result;
        assert_eq!(shown(&comparisons(&fault, Some(&control))), ["without the fault 2", "with the fault 2"]);
        assert!(comparisons(&control, None).is_empty());
        assert!(comparisons(&fault, None).is_empty());
    }

    #[rstest::rstest]
    #[case::tags("S: a1 OK 1764090000.123", "S: a2 OK 1764090001.7", true)]
    #[case::session("S: OK SESSIONID=<mail-1764-9-1-12345678>", "S: OK SESSIONID=<mail-1765-8-2-98765432>", true)]
    #[case::words("S: a1 OK in", "S: a1 NO out", false)]
    fn what_differs_each_time_is_no_difference(#[case] one: &str, #[case] other: &str, #[case] same: bool) {
        assert_eq!(key(one).replace("0.000", "0.0") == key(other), same, "{} {}", key(one), key(other));
    }
}
