//! One page that holds all of a run, and asks nobody for anything: style and script stand in it, and its own policy forbids
//! the browser every request. What guests said is escaped by the templates, after [`super::text`] has made it harmless.

mod case;
mod compare;
mod drift;
mod figures;
mod flows;
mod steps;
mod timeline;

use super::model::{CaseReport, Report};
use super::text;
use crate::results::{ScenarioResult, Verdict};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page.
#[must_use]
pub fn render(report: &Report) -> String {
    let title = title(report);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) " – Rehearsal" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#cases" { "To the cases" }
                (header(report, &title))
                div.layout {
                    (contents(report))
                    main id="cases" tabindex="-1" {
                        (figures::render(report.cases.iter().flat_map(|case| &case.figures)))
                        (scenarios(report))
                    }
                }
                (help())
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Nothing is loaded, and no script runs but ours.
///
/// Source: Content Security Policy Level 3, section 2.3.1 (`hash-source`).
fn policy() -> String {
    let digest = |text: &str| BASE64.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}

fn title(report: &Report) -> String {
    let counts = report.counts();
    let ran = counts.passed + counts.failed;
    match (counts.failed, ran) {
        (_, 0) => "No case ran".into(),
        (0, 1) => "The case passed".into(),
        (0, _) => format!("All {ran} cases passed"),
        (failed, _) => format!("{failed} of {} failed", text::count(ran, "case", "cases")),
    }
}

fn header(report: &Report, title: &str) -> Markup {
    let counts = report.counts();
    let class = match (counts.failed, counts.passed) {
        (0, 0) => "skipped",
        (0, _) => "passed",
        _ => "failed",
    };
    let host = &report.host;
    html! {
        header.top.(class) {
            p.brand { "Rehearsal" }
            h1 { (title) }
            (bar(report))
            @if report.interrupted {
                p.note { "The run was interrupted: this is what there was." }
            }
            dl.facts {
                div { dt { "began" } dd { time datetime=(report.started) { (report.started.strftime("%Y-%m-%d %H:%M:%S UTC")) } } }
                div { dt { "took" } dd { (text::seconds(report.seconds)) } }
                div { dt { "guests run by" } dd title=(host.reason) { (host.accelerator) ", pace ×" (format!("{:.1}", host.pace)) } }
                div { dt { "host" } dd { (text::count(host.cores, "core", "cores")) ", " (host.memory_mib) " MiB for guests" } }
                div { dt { "QEMU" } dd { (text::line(host.qemu.trim_start_matches("QEMU emulator version "))) } }
            }
        }
    }
}

/// How many cases came to what, drawn.
fn bar(report: &Report) -> Markup {
    let counts = report.counts();
    let parts = [("failed", counts.failed), ("passed", counts.passed), ("skipped", counts.skipped)];
    let words = ["failed", "passed", "did not run"];
    html! {
        p.counts {
            @for ((class, number), word) in parts.into_iter().zip(words) {
                @if number > 0 { span.(class) { b { (number) } " " (word) } }
            }
        }
    }
}

/// The list of all cases, and the choice of what is shown.
fn contents(report: &Report) -> Markup {
    let choices = [("all", "all"), ("failed", "failed"), ("passed", "passed")];
    html! {
        nav aria-label="Cases" {
            fieldset.choice {
                legend { "Show" }
                @for (value, label) in choices {
                    label { input type="radio" name="show" id=(format!("show-{value}")) checked[value == "all"]; span { (label) } }
                }
            }
            ol {
                @for (index, case) in report.cases.iter().enumerate().filter(|(_, case)| ran(&case.result)) {
                    li.(class(&case.result)) {
                        a href=(format!("#c{index}")) {
                            (mark(&case.result)) " " span.name { (text::line(&case.result.title())) }
                            span.time { (text::seconds(case.result.seconds)) }
                        }
                    }
                }
            }
        }
    }
}

/// The cases, those of one scenario together.
fn scenarios(report: &Report) -> Markup {
    let numbered: Vec<(usize, &CaseReport)> = report.cases.iter().enumerate().collect();
    html! {
        @for group in numbered.chunk_by(|(_, one), (_, other)| one.result.name == other.result.name) {
            @let first = &group[0].1.result;
            @if group.iter().any(|(_, case)| ran(&case.result)) {
                section.scenario {
                    h2 { (text::line(&first.name)) }
                    p.summary { (text::line(&first.summary)) }
                    @for (index, one) in group.iter().filter(|(_, case)| ran(&case.result)) {
                        (case::render(*index, one, control_of(report, &one.result)))
                    }
                }
            }
        }
        @let skips = report.skips();
        @if !skips.is_empty() {
            section.scenario.left-out {
                h2 { "Not run" }
                @for (reason, cases) in &skips {
                    details.skips {
                        summary { span.mark { "–" } " " (text::count(cases.len(), "case", "cases")) ": " (text::line(reason)) }
                        ul { @for case in cases { li { (text::line(case)) } } }
                    }
                }
            }
        }
    }
}

/// The case in which nothing is broken, if there is one and `result` is not it.
fn control_of<'r>(report: &'r Report, result: &ScenarioResult) -> Option<&'r ScenarioResult> {
    if result.control {
        return None;
    }
    let results = report.cases.iter().map(|case| &case.result);
    let controls: Vec<_> = results.filter(|other| other.name == result.name && other.control && ran(other)).collect();
    let twin = result.case.replace("fault", "control");
    controls.iter().find(|control| control.case == twin).or(controls.first()).copied()
}

fn ran(result: &ScenarioResult) -> bool {
    result.outcome != Verdict::Skipped
}

fn class(result: &ScenarioResult) -> &'static str {
    match result.outcome {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::Skipped => "skipped",
    }
}

/// A sign for eyes, and a word for ears.
fn mark(result: &ScenarioResult) -> Markup {
    let sign = match result.outcome {
        Verdict::Passed => "✓",
        Verdict::Failed => "✗",
        Verdict::Skipped => "–",
    };
    html! { span.mark role="img" aria-label=(class(result)) { (sign) } }
}

fn help() -> Markup {
    let keys = [
        ("j k", "next, previous"),
        ("Enter", "open, close"),
        ("n N", "next, previous failure"),
        ("e", "open or close all steps of a case"),
        ("?", "these keys"),
    ];
    html! {
        footer.keys id="keys" {
            @for (key, what) in keys { span { kbd { (key) } " " (what) } }
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
