//! The steps of a case, and their dialogues.

use super::super::text;
use super::case::link;
use crate::results::{Part, ScenarioResult, StepOutcome, StepResult};
use maud::{Markup, html};

pub(super) fn render(index: usize, result: &ScenarioResult) -> Markup {
    let directory = result.title();
    html! {
        div.steps {
            @for (place, step) in result.steps.iter().enumerate() {
                @if let Some(phase) = &step.phase { h4 { (text::line(phase)) } }
                (one(&anchor(index, place), &directory, step))
            }
        }
    }
}

/// The name of a step in links.
pub(super) fn anchor(index: usize, place: usize) -> String {
    format!("c{index}s{place}")
}

fn one(id: &str, directory: &str, step: &StepResult) -> Markup {
    let class = class(step);
    let head = html! {
        span.mark role="img" aria-label=(class) { (sign(step)) }
        span.number { @if let Some(number) = step.number { (number) } }
        span.machine { (text::line(&step.machine)) }
        span.name { (text::line(&step.name)) }
        @if let Some(word) = part(step.part) { span.tag.(word) { (word) } }
        @if step.outcome != StepOutcome::Omitted { span.time { (text::seconds(step.seconds)) } }
    };
    html! {
        @if step.asked.is_empty() && step.transcript.is_none() {
            div.step.(class) id=(id) { div.head { (head) } }
        } @else {
            details.step.(class) id=(id) open[step.outcome == StepOutcome::Failed] {
                summary.head { (head) }
                div.body {
                    p.asked { (text::lines(&step.asked)) }
                    p.answered { "→ " (text::lines(&step.answered)) }
                    @if let Some(transcript) = &step.transcript { (dialogue(transcript.lines().map(|line| (line, false)))) }
                    @if !step.files.is_empty() {
                        p.links { @for file in &step.files { a href=(link(&format!("{directory}/{file}"))) { (text::line(file)) } } }
                    }
                }
            }
        }
    }
}

/// Lines of a dialogue, each with who said it and whether it stands out.
pub(super) fn dialogue<'l>(lines: impl Iterator<Item = (&'l str, bool)>) -> Markup {
    html! {
        pre.dialogue tabindex="0" {
            @for (line, stands_out) in lines {
                span.(speaker(line)).differs[stands_out] { (text::lines(line)) "\n" }
            }
        }
    }
}

fn speaker(line: &str) -> &'static str {
    match line.get(..3) {
        Some("C: ") => "client",
        Some("S: ") => "server",
        Some("*: ") => "event",
        _ => "plain",
    }
}

pub(super) fn class(step: &StepResult) -> &'static str {
    match step.outcome {
        StepOutcome::Passed => "passed",
        StepOutcome::Failed => "failed",
        StepOutcome::Omitted => "omitted",
        StepOutcome::Kept => "kept",
        StepOutcome::Skipped => "skipped",
    }
}

fn sign(step: &StepResult) -> &'static str {
    match step.outcome {
        StepOutcome::Passed => "✓",
        StepOutcome::Failed => "✗",
        StepOutcome::Omitted | StepOutcome::Skipped => "–",
        StepOutcome::Kept => "↷",
    }
}

fn part(part: Part) -> Option<&'static str> {
    match part {
        Part::Plain => None,
        Part::Fault => Some("fault"),
        Part::Symptom => Some("symptom"),
        Part::Invariant => Some("invariant"),
    }
}
