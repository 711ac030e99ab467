//! When what happened on which machine: a drawing whose places are per cent, so it fits any width.

use super::super::text;
use super::steps::{anchor, class};
use crate::results::{Part, ScenarioResult, StepOutcome, StepResult};
use maud::{Markup, html};

/// Heights, in CSS pixels.
const ROW: usize = 36;
const BAR: usize = 14;
const AXIS: usize = 22;

/// The narrowest bar that can be seen and hit, in per cent.
const NARROWEST: f64 = 0.5;

/// The drawing of a case; nothing, if no step of it ran.
pub(super) fn render(index: usize, result: &ScenarioResult) -> Markup {
    let Some(began) = result.started else { return html! {} };
    let whole = result.seconds.max(0.001);
    let ran: Vec<_> = result.steps.iter().enumerate().filter(|(_, step)| ran(step)).collect();
    let mut rows = vec!["lab"];
    for (_, step) in &ran {
        if !rows.contains(&step.machine.as_str()) {
            rows.push(&step.machine);
        }
    }
    let height = rows.len() * ROW + AXIS;
    let row_of = |machine: &str| rows.iter().position(|row| *row == machine).unwrap_or_default();
    html! {
        figure.timeline {
            svg width="100%" height=(height) role="img" aria-label=(format!("What happened in {}", text::seconds(whole))) {
                @for (second, place) in ticks(whole) {
                    line.grid x1=(percent(place)) x2=(percent(place)) y1="0" y2=(rows.len() * ROW) {}
                    text.tick x=(percent(place)) y=(height - 6) text-anchor=(anchor_at(place)) { (tick(second)) }
                }
                @for (row, machine) in rows.iter().enumerate() {
                    text.machine x="0" y=(row * ROW + 14) { (text::line(machine)) }
                    line.track x1="0" x2="100%" y1=(row * ROW + 27) y2=(row * ROW + 27) {}
                }
                rect.lab x="0" y="20" height=(BAR) width=(percent(width(result.lab_seconds, whole))) rx="2" {
                    title { "the lab comes up: " (text::seconds(result.lab_seconds)) }
                }
                @for (place, step) in &ran {
                    @let after = step.started.map_or(0.0, |started| started.duration_since(began).as_secs_f64());
                    @let wide = width(step.seconds, whole);
                    @let left = (after / whole * 100.0).clamp(0.0, 100.0 - wide);
                    a href=(format!("#{}", anchor(index, *place))) aria-label=(text::line(&step.name)) {
                        rect.(class(step)).(part(step, result.control)) x=(percent(left)) width=(percent(wide)) y=(row_of(&step.machine) * ROW + 20) height=(BAR) rx="2" {
                            title { (text::line(&step.name)) " (" (text::seconds(step.seconds)) ")" }
                        }
                    }
                }
            }
            (legend(&ran, result.control))
        }
    }
}

/// What the colours mean, of those that are there.
fn legend(ran: &[(usize, &StepResult)], control: bool) -> Markup {
    let has = |class_of: &str| ran.iter().any(|(_, step)| class(step) == class_of || part(step, control) == class_of);
    let colours =
        [("plain", "as expected"), ("fault", "breaks something"), ("symptom", "symptom shows"), ("failed", "failed")];
    html! {
        figcaption.legend {
            span.lab { "the lab comes up" }
            @for (class, words) in colours { @if has(class) { span.(class) { (words) } } }
        }
    }
}

fn ran(step: &StepResult) -> bool {
    step.started.is_some() && matches!(step.outcome, StepOutcome::Passed | StepOutcome::Failed)
}

/// In the control no symptom shows.
fn part(step: &StepResult, control: bool) -> &'static str {
    match step.part {
        Part::Fault => "fault",
        Part::Symptom if !control => "symptom",
        Part::Symptom | Part::Plain | Part::Invariant => "plain",
    }
}

fn width(seconds: f64, whole: f64) -> f64 {
    (seconds / whole * 100.0).clamp(NARROWEST, 100.0)
}

fn percent(place: f64) -> String {
    format!("{place:.2}%")
}

/// Moments for the axis: seconds, and where they are in per cent. No more than six steps of a round length.
fn ticks(whole: f64) -> Vec<(f64, f64)> {
    const ROUND: [f64; 16] =
        [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0];
    let length = ROUND.into_iter().find(|length| whole / length <= 6.0).unwrap_or(whole / 6.0);
    let moments = (0..=6).map(|number| f64::from(number) * length);
    moments.take_while(|moment| *moment <= whole).map(|moment| (moment, moment / whole * 100.0)).collect()
}

fn tick(seconds: f64) -> String {
    match seconds {
        0.0 => "0 s".into(),
        short if short < 1.0 => format!("{short:.1} s"),
        short if short < 60.0 => format!("{short:.0} s"),
        long => {
            let whole = text::whole(long);
            match (whole / 60, whole % 60) {
                (minutes, 0) => format!("{minutes} min"),
                (minutes, seconds) => format!("{minutes}:{seconds:02} min"),
            }
        }
    }
}

/// Words at the edges stay inside.
fn anchor_at(place: f64) -> &'static str {
    match place {
        first if first < 3.0 => "start",
        last if last > 97.0 => "end",
        _ => "middle",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(0.0, "0 s")]
    #[case(0.2, "0.2 s")]
    #[case(30.0, "30 s")]
    #[case(60.0, "1 min")]
    #[case(90.0, "1:30 min")]
    #[case(7200.0, "120 min")]
    fn no_two_marks_are_called_the_same(#[case] seconds: f64, #[case] words: &str) {
        assert_eq!(tick(seconds), words);
    }

    #[rstest::rstest]
    #[case(0.4, 5)]
    #[case(12.0, 7)]
    #[case(75.0, 4)]
    #[case(90_000.0, 7)]
    fn the_axis_has_few_marks_and_all_are_inside(#[case] whole: f64, #[case] count: usize) {
        let ticks = ticks(whole);
        assert_eq!(ticks.len(), count, "{ticks:?}");
        assert!(ticks.iter().all(|(_, place)| (0.0..=100.001).contains(place)), "{ticks:?}");
    }
}
