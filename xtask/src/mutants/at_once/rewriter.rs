//! The program that puts switches into code: `xtask/schemata/`.

use crate::mutants::bounded::{self, Limit};
use crate::mutants::mutant::Genre;
use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file, and what shall be switched in it.
#[derive(Debug, Serialize)]
pub(super) struct Asked {
    /// What stands in it.
    pub(super) code: String,
    /// The mutants of it.
    pub(super) mutants: Vec<Switched>,
}

/// A mutant, and what it replaces, in bytes.
#[derive(Debug, Serialize)]
pub(super) struct Switched {
    /// The number by which it is switched on.
    pub(super) number: usize,
    pub(super) genre: Genre,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) replacement: String,
}

/// A file with switches.
#[derive(Debug, Deserialize)]
pub(super) struct Rewritten {
    /// What shall stand in it.
    pub(super) code: String,
    regions: Vec<Region>,
    /// Mutants of constants, and of hidden types: they need a build of their own.
    pub(super) without: Vec<usize>,
    /// Mutants that no compiler takes.
    pub(super) unviable: Vec<usize>,
}

/// A part of it, and the mutants that it is there for.
#[derive(Debug, Deserialize)]
struct Region {
    start: usize,
    end: usize,
    mutants: Vec<usize>,
}

impl Rewritten {
    /// The mutants that have brought what stands there: those of the smallest part of the code that holds it.
    pub(super) fn mutants_at(&self, place: &Range<usize>) -> &[usize] {
        let holds = |region: &&Region| region.start <= place.start && place.end <= region.end;
        let smallest = self.regions.iter().filter(holds).min_by_key(|region| region.end - region.start);
        smallest.map_or(&[], |region| region.mutants.as_slice())
    }
}

/// The program, built.
pub(super) struct Rewriter {
    program: PathBuf,
    /// For what is asked, and what is answered.
    directory: PathBuf,
}

impl Rewriter {
    /// Builds it in `directory`. `None` if the time was not enough.
    pub(super) fn build(source: &Path, directory: &Path, limit: Limit) -> anyhow::Result<Option<Self>> {
        let mut command = Command::new("cargo");
        command.args(["build", "--quiet", "--manifest-path"]).arg(source.join("Cargo.toml"));
        command.arg("--target-dir").arg(directory).stdin(Stdio::null());
        let Some(status) = bounded::run(&mut command, limit).context("failed to run cargo")? else { return Ok(None) };
        ensure!(status.success(), "{} does not compile: cargo's words are above", source.display());
        Ok(Some(Self { program: directory.join("debug/schemata"), directory: directory.to_owned() }))
    }

    /// Rewrites files.
    pub(super) fn rewrite(&self, files: &[&Asked]) -> anyhow::Result<Vec<Rewritten>> {
        let asked = self.directory.join("asked.json");
        fs_err::write(&asked, serde_json::to_vec(files)?)?;
        let output = Command::new(&self.program).stdin(fs_err::File::open(asked)?.into_file()).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "code was not rewritten: {}", errors.trim());
        serde_json::from_slice(&output.stdout).context("schemata answers in another form")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::in_the_form_of_one(3..4, &[1])]
    #[case::beside_it(1..3, &[1, 2])]
    #[case::in_other_code(9..12, &[])]
    fn the_smallest_part_tells_whom_to_blame(#[case] place: Range<usize>, #[case] mutants: &[usize]) {
        let region = |start, end, mutants: &[usize]| Region { start, end, mutants: mutants.to_vec() };
        let regions = vec![region(0, 10, &[1, 2]), region(2, 5, &[1])];
        let rewritten = Rewritten { code: String::new(), regions, without: Vec::new(), unviable: Vec::new() };
        assert_eq!(rewritten.mutants_at(&place), mutants);
    }
}
