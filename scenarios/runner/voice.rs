//! How a run speaks while it runs: in plain lines, or on a terminal with a line for each case that is at work.

use console::style;
use harness::report::text;
use harness::report::typical::Typical;
use harness::results::{RunEvent, Verdict};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::collections::BTreeMap;
use std::fmt;
use std::io::IsTerminal as _;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How often what is drawn is drawn again.
const TICK: Duration = Duration::from_millis(250);

/// Who speaks.
pub(crate) enum Voice {
    /// Lines, for logs and pipes.
    Lines {
        /// Whether cases run at once: then each line says whose it is.
        several: bool,
    },
    /// A terminal.
    Live(Live),
}

/// What is drawn on a terminal.
pub(crate) struct Live {
    bars: MultiProgress,
    foot: ProgressBar,
    lines: Mutex<Lines>,
    typical: OnceLock<(String, Typical)>,
    /// Cases of this run.
    all: usize,
    /// The length of the longest name of one.
    width: usize,
}

#[derive(Default)]
struct Lines {
    cases: BTreeMap<String, Line>,
    over: usize,
    failed: usize,
}

/// One case at work.
struct Line {
    bar: ProgressBar,
    begun: Instant,
}

impl Voice {
    /// A voice for cases of these names, of which `jobs` run at once: a live one where a person sees both streams and nobody
    /// asked for another form of output.
    pub(crate) fn new(names: &[String], jobs: usize, plain: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let watched = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        if plain || dumb || !watched { Self::Lines { several: jobs > 1 } } else { Self::Live(Live::new(names)) }
    }

    /// Whether a person watches.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self, Self::Live(_))
    }

    /// Something about the whole run.
    pub(crate) fn note(&self, words: &str) {
        match self {
            Self::Lines { .. } => eprintln!("{}", text::lines(words)),
            Self::Live(live) => live.print(&text::lines(words)),
        }
    }

    /// Something that lasts, about the whole run: seen while it lasts.
    pub(crate) fn passing(&self, words: &str) {
        match self {
            Self::Lines { .. } => eprintln!("{}", text::lines(words)),
            Self::Live(live) => live.foot.set_message(text::line(words)),
        }
    }

    /// A line of a case's log; on a terminal [`Voice::watch`] shows the same.
    pub(crate) fn case(&self, case: &str, words: &str) {
        if let Self::Lines { several } = self {
            // What a guest said is among it.
            let words = text::lines(words);
            if *several {
                let lines: Vec<_> = words.lines().map(|line| format!("{case:<20} {line}")).collect();
                eprintln!("{}", lines.join("\n"));
            } else {
                eprintln!("{words}");
            }
        }
    }

    /// Tells how long things usually take here.
    pub(crate) fn expect(&self, accelerator: &str, typical: Typical) {
        if let Self::Live(live) = self {
            let _ = live.typical.set((accelerator.to_owned(), typical));
        }
    }

    /// Something happens in a case.
    pub(crate) fn watch(&self, scenario: &str, case: &str, happening: &RunEvent) {
        if let Self::Live(live) = self {
            live.show(&format!("{scenario}::{case}"), happening);
        }
    }

    /// Nothing more happens: what was drawn goes, and the terminal is as it was.
    pub(crate) fn end(&self) {
        if let Self::Live(live) = self {
            live.foot.finish_and_clear();
            // It is gone with the process, too.
            let _ = live.bars.clear();
        }
    }
}

impl Live {
    fn new(names: &[String]) -> Self {
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
        let bars = MultiProgress::new();
        let foot = bars.add(ProgressBar::new_spinner());
        foot.set_style(styled("{spinner:.dim} {wide_msg:.dim} {elapsed:.dim}", None));
        foot.enable_steady_tick(TICK);
        Self { bars, foot, lines: Mutex::default(), typical: OnceLock::new(), all: names.len(), width }
    }

    /// A line that stays, above what is drawn. A terminal that is gone is no reason to end.
    fn print(&self, words: &str) {
        let _ = self.bars.println(words);
    }

    fn show(&self, case: &str, happening: &RunEvent) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match happening {
            RunEvent::Begins => {
                let bar = self.bars.insert_before(&self.foot, ProgressBar::new_spinner());
                bar.set_prefix(format!("{case:<width$}", width = self.width));
                bar.set_style(styled("{spinner:.cyan} {prefix:.bold}  {wide_msg} {elapsed}", None));
                bar.enable_steady_tick(TICK);
                lines.cases.insert(case.to_owned(), Line { bar, begun: Instant::now() });
            }
            RunEvent::Lab(words) => {
                if let Some(line) = lines.cases.get(case) {
                    line.bar.set_message(format!("lab: {}", text::line(words)));
                }
            }
            RunEvent::Kept(kept) => {
                if let Some(line) = lines.cases.get(case) {
                    line.bar.set_message(format!("starts behind {}, after step {}", kept.checkpoint, kept.steps));
                }
            }
            RunEvent::StepBegins(step) => {
                if let Some(line) = lines.cases.get(case) {
                    let looks = step.looks.as_ref().map(|looks| format!(" ({looks})")).unwrap_or_default();
                    let number = format!("{}/{}", step.number, step.of);
                    let times = Times { begun: line.begun, case: self.case(case), step: self.step(case, &step.name) };
                    line.bar.reset();
                    line.bar.set_style(styled("{spinner:.cyan} {prefix:.bold}  {wide_msg} {times}", Some(times)));
                    line.bar.set_message(format!("{number} {}: {}{looks}", step.machine, text::line(&step.name)));
                }
            }
            RunEvent::Step(_) | RunEvent::Rewound(_) => {}
            RunEvent::Verdict(verdict) => self.over(&mut lines, case, *verdict),
        }
        let (over, failed, all) = (lines.over, lines.failed, self.all);
        let bad = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        self.foot.set_message(format!("{over} of {} done{bad}", text::count(all, "case", "cases")));
    }

    fn over(&self, lines: &mut Lines, case: &str, verdict: Verdict) {
        let Some(line) = lines.cases.remove(case) else { return };
        line.bar.finish_and_clear();
        self.bars.remove(&line.bar);
        lines.over += 1;
        let took = text::seconds(line.begun.elapsed().as_secs_f64());
        let usual = self.case(case).map(|usual| format!(", usually {}", text::seconds(usual))).unwrap_or_default();
        let word = match verdict {
            Verdict::Passed => style("ok  ").green(),
            Verdict::Skipped => style("skip").yellow(),
            Verdict::Failed => {
                lines.failed += 1;
                style("FAIL").red().bold()
            }
        };
        self.print(&format!("  {}  {case} ({took}{usual})", word.for_stderr()));
    }

    fn case(&self, case: &str) -> Option<f64> {
        self.typical.get().and_then(|(accelerator, typical)| typical.case(accelerator, case))
    }

    fn step(&self, case: &str, step: &str) -> Option<f64> {
        self.typical.get().and_then(|(accelerator, typical)| typical.step(accelerator, case, step))
    }
}

/// What has passed against what usually does: of the step, and of the whole case.
#[derive(Clone)]
struct Times {
    begun: Instant,
    case: Option<f64>,
    step: Option<f64>,
}

impl Times {
    fn write(&self, state: &ProgressState, out: &mut dyn fmt::Write) {
        let usual = |usual: Option<f64>| usual.map(|usual| format!(" of ~{usual:.0}")).unwrap_or_default();
        let (step, case) = (state.elapsed().as_secs(), self.begun.elapsed().as_secs());
        let _ = write!(out, "{step}{} s, case {case}{} s", usual(self.step), usual(self.case));
    }
}

/// A style of our own making; a template with a mistake would be one of ours, and shows as nothing.
fn styled(template: &str, times: Option<Times>) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    match times {
        Some(times) => {
            style.with_key("times", move |state: &ProgressState, out: &mut dyn fmt::Write| times.write(state, out))
        }
        None => style,
    }
}
