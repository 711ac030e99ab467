//! One case: why it failed, its time, its dialogues side by side, its steps, what changed, and its logs.

use super::super::model::{CaseReport, LogFile};
use super::super::text;
use super::{class, compare, drift, flows, mark, steps, timeline};
use crate::results::{ScenarioResult, Verdict};
use crate::size::Size;
use maud::{Markup, html};
use std::fmt::Write as _;

pub(super) fn render(index: usize, case: &CaseReport, control: Option<&ScenarioResult>) -> Markup {
    let result = &case.result;
    let comparisons = compare::comparisons(result, control);
    html! {
        details.case.(class(result)) id=(format!("c{index}")) open[result.outcome == Verdict::Failed] {
            summary {
                (mark(result)) " "
                span.name { (text::line(&result.case)) }
                @if result.control { span.tag { "control" } }
                @if result.starved.is_some() { span.tag { "ran twice" } }
                @if let Some(count) = left_out(result) { span.tag { (count) } }
                @if let Some(kept) = &result.kept { span.tag { "starts behind " (text::line(&kept.checkpoint)) } }
                span.time { (text::seconds(result.seconds)) }
            }
            div.body {
                (why(result))
                (timeline::render(index, result))
                @if !comparisons.is_empty() {
                    section { h3 { "Side by side" } (compare::render(index, &comparisons)) }
                }
                section { h3 { "Steps" } (steps::render(index, result)) }
                @if !case.drifts.is_empty() {
                    section { h3 { "What changed" } @for named in &case.drifts { (drift::render(&named.drift)) } }
                }
                @if let Some(flows) = &case.flows {
                    section { h3 { "Who contacted whom" } @for machine in &flows.machines { (flows::render(machine)) } }
                }
                (facts(result))
                (files(&case.files))
            }
        }
    }
}

/// How many steps a case has left out, or could not carry out.
fn left_out(result: &ScenarioResult) -> Option<String> {
    let count = result.not_carried_out().count();
    (count > 0).then(|| format!("without {}", text::count(count, "step", "steps")))
}

/// What a person needs first: the reason, the place in the file, and the command that shows it again.
fn why(result: &ScenarioResult) -> Markup {
    let line = result.failed_step().and_then(|step| step.line);
    html! {
        @if let Some(reason) = &result.reason {
            div.why {
                p.reason { (text::lines(reason).trim_end()) }
                p {
                    @if let Some(line) = line { code { (text::line(&result.file)) ":" (line) } " · " }
                    code { "cargo xtask repro " (text::line(&result.title())) " --break-on-failure" }
                }
            }
        }
    }
}

/// What happened before the first step, and what the case shows.
fn facts(result: &ScenarioResult) -> Markup {
    html! {
        @if !result.lab.is_empty() {
            details.more {
                summary { "The lab ran after " (text::seconds(result.lab_seconds)) }
                ol.notes {
                    @for note in &result.lab { li { span.time { (text::seconds(note.after)) } " " (text::line(&note.words)) } }
                }
            }
        }
        @if let Some(starved) = &result.starved {
            details.more {
                summary { "It ran once before, and its guests were starved of processor time: that run says nothing" }
                ol.notes {
                    li { (text::line(&starved.share.to_string())) }
                    li { (text::lines(&starved.reason).trim_end()) }
                }
            }
        }
        @if !result.close_calls.is_empty() {
            details.more {
                summary { (text::count(result.close_calls.len(), "wait", "waits")) " took most of the time allowed" }
                ol.notes { @for call in &result.close_calls { li { (text::line(&call.to_string())) } } }
            }
        }
        @if let Some(kept) = &result.kept {
            p.note {
                (text::count(kept.steps, "step", "steps")) " as run on " (kept.run.strftime("%Y-%m-%d %H:%M UTC"))
                ": the kept checkpoint " code { (text::line(&kept.checkpoint)) }
            }
        }
        @if !result.covers.is_empty() {
            p.covers { "Drives " @for row in &result.covers { span.tag { (text::line(row)) } } }
        }
    }
}

fn files(files: &[LogFile]) -> Markup {
    html! {
        @if !files.is_empty() {
            details.more {
                summary { "Logs and other files (" (files.len()) ")" }
                ul.files {
                    @for file in files {
                        li { a href=(link(&file.path)) { (text::line(name(&file.path))) } span.time { (Size::bytes(file.bytes)) } }
                    }
                }
            }
        }
    }
}

/// The path without the directory of the case.
fn name(path: &str) -> &str {
    path.split_once('/').map_or(path, |(_, name)| name)
}

/// A relative link. It begins with `./`, so nothing in a name is taken for a scheme (RFC 3986, section 4.2).
pub(super) fn link(path: &str) -> String {
    let mut link = "./".to_owned();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b'=' | b',' => {
                link.push(char::from(byte));
            }
            _ => drop(write!(link, "%{byte:02X}")),
        }
    }
    link
}
