//! `cargo xtask bench storage`: layerings of storage side by side, by the scenarios that measure them.
#![expect(clippy::print_stdout, reason = "the command's result")]

use crate::workbench::results;
use crate::{test, ui};
use harness::figures::{Comparison, compared, told};
use harness::report::{Report, load};
use serde_json::json;
use std::process::ExitCode;

/// How much to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Two seconds for each figure of a disk, and no mail at ten messages a minute
    #[arg(long)]
    quick: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    /// The part of the cases' names that says so.
    fn cases(&self) -> &'static str {
        if self.quick { "measured=2s" } else { "measured=8s" }
    }
}

/// Measures, and prints. Cases run one after the other: nothing disturbs a figure but the host itself.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Other runs may end meanwhile, and have the last results.
    let own = results().join("bench");
    let ended = test::run(test::Args::measuring(args.cases().to_owned(), own.clone()))?;
    let directory = own.join("latest");
    let report = load(&directory)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&as_json(&report))?);
    } else {
        print!("{}", table(&report));
        ui::note(format_args!("the same, drawn: {}", directory.join("report.html").display()));
    }
    Ok(ended)
}

fn comparisons(report: &Report) -> Vec<Comparison<'_>> {
    compared(report.cases.iter().flat_map(|case| &case.figures))
}

fn as_json(report: &Report) -> serde_json::Value {
    let figures: Vec<_> = report.cases.iter().flat_map(|case| &case.figures).collect();
    json!({ "host": report.host, "seconds": report.seconds, "figures": figures })
}

/// Each quantity with its subjects, and what each is of the first.
fn table(report: &Report) -> String {
    let comparisons = comparisons(report);
    if comparisons.is_empty() {
        return "nothing was measured\n".into();
    }
    let host = &report.host;
    let mut lines = vec![format!(
        "accelerator {}, pace ×{:.1}, {} cores; disks are measured in the host of the guests",
        host.accelerator, host.pace, host.cores
    )];
    let width = comparisons.iter().flat_map(|it| &it.bars).map(|(subject, _)| subject.chars().count()).max();
    let width = width.unwrap_or_default();
    for Comparison { quantity, unit, bars } in &comparisons {
        lines.push(format!("\n{quantity}, {unit}"));
        let first = bars[0].1.max(f64::MIN_POSITIVE);
        for (subject, value) in bars {
            lines.push(format!("  {subject:width$}  {:>7}  {:>4.0} %", told(*value), value / first * 100.0));
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let figure = |subject: &str, quantity: &str, value: f64| json!({ "subject": subject, "quantity": quantity, "value": value, "unit": "MiB a second" });
        let result = json!({
            "name": "storage-figures", "case": "measured=2s", "summary": "s", "file": "f", "control": false, "outcome": "passed",
            "reason": null, "started": null, "seconds": 1.0, "lab_seconds": 1.0, "lab": [], "steps": [], "covers": [], "kept": null,
        });
        let figures = [
            figure("volume", "read", 80.0),
            figure("volume", "write", 40.0),
            figure("LUKS on a volume", "read", 60.0),
            figure("LUKS on a volume", "write", 10.0),
        ];
        serde_json::from_value(json!({
            "format": 1, "started": "2026-01-02T03:04:05Z", "seconds": 100.0, "interrupted": false,
            "host": { "accelerator": "tcg", "reason": "", "pace": 20.0, "cores": 2, "memory_mib": 4000, "qemu": "" },
            "cases": [{ "result": result, "figures": figures }],
        }))
        .unwrap()
    }

    #[test]
    fn a_table_of_figures() {
        insta::assert_snapshot!(table(&report()));
    }

    #[test]
    fn a_run_without_figures_says_so() {
        let mut report = report();
        report.cases.clear();
        assert_eq!(table(&report), "nothing was measured\n");
    }
}
