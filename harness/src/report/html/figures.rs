//! Figures, drawn: for each quantity a bar of each subject.

use super::super::text;
use crate::figures::{Comparison, Figure, compared, told};
use maud::{Markup, html};

/// Heights, in CSS pixels: the words of a bar stand above it.
const ROW: usize = 38;
const BAR: usize = 12;

/// The narrowest bar that can be seen, in per cent.
const NARROWEST: f64 = 0.5;

/// All figures of a run, side by side; nothing where none was measured.
pub(super) fn render<'f>(figures: impl IntoIterator<Item = &'f Figure>) -> Markup {
    let comparisons = compared(figures);
    html! {
        @if !comparisons.is_empty() {
            section.scenario.measured {
                h2 { "Figures" }
                p.summary { "Measured in this run, on this host: for comparing with each other, and with nothing else." }
                @for comparison in &comparisons { (chart(comparison)) }
            }
        }
    }
}

fn chart(comparison: &Comparison<'_>) -> Markup {
    let Comparison { quantity, unit, bars } = comparison;
    let most = comparison.most().max(f64::MIN_POSITIVE);
    let words = format!("{quantity}, {unit}");
    html! {
        figure.timeline {
            figcaption { (text::line(&words)) }
            svg width="100%" height=(bars.len() * ROW) role="img" aria-label=(text::line(&words)) {
                @for (row, (subject, value)) in bars.iter().enumerate() {
                    text.machine x="0" y=(row * ROW + 16) { (text::line(subject)) ": " (told(*value)) }
                    rect.plain x="0" y=(row * ROW + 21) height=(BAR) width=(format!("{:.2}%", (value / most * 100.0).clamp(NARROWEST, 100.0))) rx="2" {
                        title { (text::line(subject)) ": " (told(*value)) " " (text::line(unit)) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(subject: &str, value: f64) -> Figure {
        Figure { subject: subject.into(), quantity: "sequential read".into(), value, unit: "MiB a second".into() }
    }

    #[test]
    fn bars_stand_side_by_side() {
        let figures = [figure("plain", 80.0), figure("LUKS", 60.0)];
        insta::assert_snapshot!(render(&figures).into_string().replace("><", ">\n<"));
    }

    #[test]
    fn without_figures_there_is_nothing() {
        assert_eq!(render(&[]).into_string(), "");
    }

    #[test]
    fn a_name_is_text() {
        let page = render(&[figure("<script>alert(1)</script>\u{1b}[31m", 1.0)]).into_string();
        assert!(!page.contains("<script") && !page.contains('\u{1b}'), "{page}");
    }
}
