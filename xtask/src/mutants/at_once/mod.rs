//! All mutants in one build, each behind a switch that an environment variable turns.
//!
//! A build takes as long as thousands of trials do. So a copy of the code is rewritten: where a mutant differs, both forms stand
//! there, and a switch decides. One program of tests has all of them. It is noted which switches a test comes by, and only those
//! tests are run with a mutant.

mod build;
mod control;
mod program;
mod rewriter;
mod trial;

use super::bounded::Limit;
use super::mutant::Mutant;
use super::tally::Outcomes;
use anyhow::Context as _;
use build::Code;
use program::Program;
use rewriter::Rewriter;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

/// The library whose tests decide.
#[derive(Debug, Clone, Copy)]
struct Library {
    /// Its name, and the directory of its package.
    name: &'static str,
    /// How cargo is told to build the tests of it.
    arguments: &'static [&'static str],
}

/// With xtask beside it cargo chooses the same features as `cargo test`, so dependencies are not built once more; it is no library.
const HARNESS: Library =
    Library { name: "harness", arguments: &["--package", "rehearsal-harness", "--package", "xtask"] };

/// Tries mutants of the code in `tree`, which is changed; builds in `directory`, and what rewrites code beside it.
pub(super) fn try_them(tree: &Path, directory: &Path, mutants: &[Mutant], limit: Limit) -> anyhow::Result<Outcomes> {
    let source = tree.join("xtask/schemata");
    let Some(rewriter) = Rewriter::build(&source, &directory.with_file_name("schemata"), limit)? else {
        return Ok(Outcomes::new());
    };
    control::check(&rewriter, limit)?;
    trials_of(tree, HARNESS, &rewriter, directory, mutants, limit)
}

fn trials_of(
    tree: &Path,
    library: Library,
    rewriter: &Rewriter,
    directory: &Path,
    mutants: &[Mutant],
    limit: Limit,
) -> anyhow::Result<Outcomes> {
    let mut outcomes = Outcomes::new();
    let mut code = Code::read(tree, library, mutants)?;
    fs_err::create_dir_all(directory)?;
    let Some(path) = code.build(rewriter, directory, limit, &mut outcomes)? else { return Ok(outcomes) };
    let scratch = tempfile::tempdir().context("failed to make a directory for tests")?;
    let (root, package, scratch_path) = (tree.to_owned(), tree.join(library.name), scratch.path().to_owned());
    let program = Program { path, root, package, scratch: scratch_path };
    let names = program.tests()?;
    let tests = trial::on_all_cores(&names, |test| program.look(test, limit))?;
    if tests.len() < names.len() {
        return Ok(outcomes);
    }
    let by_mutant = trial::by_mutant(&tests);
    let mut numbers = code.numbers();
    if limit.is_some() {
        // What there is time for is then a sample of all, not the first files.
        numbers.sort_by_key(|number| shuffled(&mutants[*number].name));
    }
    let tried = trial::on_all_cores(&numbers, |number| {
        let tests = by_mutant.get(number).map_or(&[][..], Vec::as_slice);
        let outcome = trial::try_it(&program, *number, tests, limit)?;
        Ok(outcome.map(|outcome| (mutants[*number].name.clone(), outcome)))
    })?;
    outcomes.extend(tried);
    Ok(outcomes)
}

fn shuffled(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
