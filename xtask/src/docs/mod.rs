//! `cargo xtask docs`: pages and schemas that are made from the types that read scenarios.

mod reference;

use crate::selftest::mutants::{definition::Mutants, page};
use crate::ui;
use crate::workbench::project;
use anyhow::Context as _;
use harness::scenario::format::schema;
use serde_json::Value;
use std::process::ExitCode;

/// The files, with the text that they must have.
fn files() -> anyhow::Result<Vec<(&'static str, String)>> {
    let pretty = |schema: &Value| serde_json::to_string_pretty(schema).map(|text| text + "\n");
    Ok(vec![
        ("docs/schema/scenario.json", pretty(&schema::scenario(schema::For::Editors))?),
        ("docs/schema/lab.json", pretty(&schema::lab(schema::For::Editors))?),
        (
            "docs/scenarios.md",
            reference::page(&schema::scenario(schema::For::People), &schema::lab(schema::For::People)),
        ),
        ("docs/lab-mutants.md", page::page(&Mutants::load()?)?),
    ])
}

/// Writes those that are not current.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    for (name, text) in files()? {
        let path = project(name);
        if fs_err::read_to_string(&path).is_ok_and(|old| old == text) {
            ui::line(format_args!("{name} is current"));
            continue;
        }
        fs_err::write(&path, text).with_context(|| format!("failed to write {name}"))?;
        ui::line(format_args!("{name} is written"));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_current() {
        for (name, text) in files().unwrap() {
            let old = fs_err::read_to_string(project(name)).unwrap_or_default();
            assert!(old == text, "{name} is not what the types say: run `cargo xtask docs`");
        }
    }
}
