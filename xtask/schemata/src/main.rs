//! Rewrites Rust code so that many mutants of it are in one build, each behind a switch.
//!
//! Reads files with their mutants from standard input and writes them rewritten to standard output, both as JSON.
//! `cargo xtask mutants` is who asks.

mod rewrite;
mod seats;

use rewrite::{Region, Switched, rewrite};
use seats::Seat;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::process::ExitCode;

/// A file, and what shall be switched in it.
#[derive(Deserialize)]
struct Asked {
    code: String,
    mutants: Vec<Mutant>,
}

/// A mutant: what it replaces, in bytes.
#[derive(Deserialize)]
struct Mutant {
    number: usize,
    genre: Genre,
    start: usize,
    end: usize,
    replacement: String,
}

/// Kinds of changes, as cargo-mutants calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
enum Genre {
    /// A function returns something else.
    FnValue,
    /// Another operator stands between two expressions.
    BinaryOperator,
    /// The operator before an expression is gone.
    UnaryOperator,
    /// An arm of a `match` is gone.
    MatchArm,
    /// The guard of an arm is always true, or never.
    MatchArmGuard,
    /// A field of a struct comes from its base.
    StructField,
}

/// A file with switches.
#[derive(Serialize)]
struct Answer {
    code: String,
    /// What of it is there because of which mutants.
    regions: Vec<Region>,
    /// Mutants of what is computed while it is compiled, or of one hidden type: a switch cannot stand there.
    without: Vec<usize>,
    /// Mutants that no compiler takes.
    unviable: Vec<usize>,
}

/// Why nothing was rewritten.
enum Failure {
    Asked(serde_json::Error),
    Code(syn::Error),
    Answer(serde_json::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(error) => write!(f, "what is asked cannot be read: {error}"),
            Self::Code(error) => write!(f, "code cannot be read: {error}"),
            Self::Answer(error) => write!(f, "the answer cannot be written: {error}"),
        }
    }
}

fn main() -> ExitCode {
    let answer = serde_json::from_reader(io::stdin().lock())
        .map_err(Failure::Asked)
        .and_then(|asked: Vec<Asked>| asked.into_iter().map(answer).collect::<Result<Vec<_>, _>>())
        .and_then(|answers| serde_json::to_writer(io::stdout().lock(), &answers).map_err(Failure::Answer));
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("schemata: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn answer(Asked { code, mutants }: Asked) -> Result<Answer, Failure> {
    let seats = seats::find(&code).map_err(Failure::Code)?;
    let (mut switched, mut without, mut unviable) = (Vec::new(), Vec::new(), Vec::new());
    for Mutant { number, genre, start, end, replacement } in mutants {
        match seats.get(&(genre, start)) {
            Some(Seat::Nowhere) => without.push(number),
            // It would take a condition apart that binds names.
            None => unviable.push(number),
            Some(seat) => switched.push(Switched { number, seat: seat.clone(), replaces: start..end, replacement }),
        }
    }
    let (code, regions) = rewrite(&code, &switched);
    Ok(Answer { code, regions, without, unviable })
}
