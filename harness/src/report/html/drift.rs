//! What changed in a machine's configuration.

use super::super::text;
use crate::drift::{Change, Drift, How};
use maud::{Markup, html};

/// Packages that are named; more are counted.
const PACKAGES: usize = 400;

/// Worst first.
const GROUPS: [(How, &str); 4] = [
    (How::Removed, "removed"),
    (How::Changed, "changed"),
    (How::Attributes, "other mode or owner"),
    (How::Added, "added"),
];

pub(super) fn render(drift: &Drift) -> Markup {
    html! {
        div.drift {
            p.about {
                span.machine { (text::line(&drift.machine)) } " "
                @for (how, word) in GROUPS {
                    @let count = of(drift, how).count();
                    @if count > 0 { span.tag.(word_class(how)) { (count) " " (word) } }
                }
                @if drift.is_empty() { "nothing changed on its disk" }
            }
            @for (how, word) in GROUPS {
                @let changes: Vec<_> = of(drift, how).collect();
                @if !changes.is_empty() {
                    details.changes.(word_class(how)) open[how == How::Removed] {
                        summary { (word) " (" (changes.len()) ")" }
                        ul { @for change in changes { li { (one(change)) } } }
                    }
                }
            }
            @if !drift.packages.is_empty() {
                details.changes {
                    summary { "packages (" (drift.packages.len()) ")" }
                    ul.packages {
                        @for package in drift.packages.iter().take(PACKAGES) { li { (text::line(&package.to_string())) } }
                        @if drift.packages.len() > PACKAGES { li { "and " (drift.packages.len() - PACKAGES) " more" } }
                    }
                }
            }
        }
    }
}

fn of(drift: &Drift, how: How) -> impl Iterator<Item = &Change> {
    drift.changes.iter().filter(move |change| change.how == how)
}

fn word_class(how: How) -> &'static str {
    match how {
        How::Removed => "removed",
        How::Changed => "changed",
        How::Attributes => "attributes",
        How::Added => "added",
        How::Claims => "claims",
    }
}

fn one(change: &Change) -> Markup {
    let owners = if change.before.is_some() { &change.owners_before } else { &change.owners_after };
    let owner = if owners.is_empty() { "no package's".to_owned() } else { owners.join(", ") };
    html! {
        p { code.path { (text::line(&change.path.to_string())) } " " span.fate { (text::line(&change.fate())) } " · " span.owner { (text::line(&owner)) } }
        @if let Some(step) = &change.step {
            p.by {
                "by " (text::line(&step.package))
                @if let Some(number) = step.number { ", step " (number) " of " (step.of) }
            }
        }
        @if let Some(diff) = &change.diff {
            pre.diff tabindex="0" {
                // The first two lines name the file, which stands above.
                @for line in diff.lines().skip(2) { span.(side(line)) { (text::lines(line)) "\n" } }
            }
        }
    }
}

fn side(line: &str) -> &'static str {
    match line.bytes().next() {
        Some(b'+') => "new",
        Some(b'-') => "old",
        Some(b'@') => "place",
        _ => "same",
    }
}
