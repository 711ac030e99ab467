//! Builds all mutants in one program of tests.

use super::Library;
use super::rewriter::{Asked, Rewriter, Rewritten, Switched};
use crate::mutants::bounded::{self, Limit};
use crate::mutants::mutant::Mutant;
use crate::mutants::tally::{Outcome, Outcomes};
use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How the switch works; becomes a file of the copy.
const SWITCH: &str = include_str!("switch.rs.in");

/// Code of the copy as it was, and the mutants that go into it.
pub(super) struct Code<'a> {
    tree: &'a Path,
    library: Library,
    mutants: &'a [Mutant],
    files: BTreeMap<&'a str, Asked>,
}

impl<'a> Code<'a> {
    /// Reads the files that have mutants. A mutant's number is its place in the list.
    pub(super) fn read(tree: &'a Path, library: Library, mutants: &'a [Mutant]) -> anyhow::Result<Self> {
        let mut files: BTreeMap<&str, Asked> = BTreeMap::new();
        for (number, mutant) in mutants.iter().enumerate() {
            let file = mutant.file.as_str();
            if !files.contains_key(file) {
                files.insert(file, Asked { code: fs_err::read_to_string(tree.join(file))?, mutants: Vec::new() });
            }
            let Some(asked) = files.get_mut(file) else { continue };
            let bytes = mutant.span.bytes(&asked.code).with_context(|| format!("{} is not in {file}", mutant.name))?;
            let (genre, replacement) = (mutant.genre, mutant.replacement.clone());
            asked.mutants.push(Switched { number, genre, start: bytes.start, end: bytes.end, replacement });
        }
        Ok(Self { tree, library, mutants, files })
    }

    /// The numbers of the mutants that are in the code.
    pub(super) fn numbers(&self) -> Vec<usize> {
        self.files.values().flat_map(|asked| &asked.mutants).map(|mutant| mutant.number).collect()
    }

    /// Builds the tests; takes out what has no switch, and what does not compile, until the rest does. `None` if the time was not
    /// enough.
    pub(super) fn build(
        &mut self,
        rewriter: &Rewriter,
        directory: &Path,
        limit: Limit,
        outcomes: &mut Outcomes,
    ) -> anyhow::Result<Option<PathBuf>> {
        self.add_the_switch()?;
        loop {
            let rewritten = self.rewrite(rewriter)?;
            let without = |of: fn(&Rewritten) -> &Vec<usize>| rewritten.values().flat_map(of).copied().collect();
            self.take_out(&without(|it| &it.without), Outcome::OneByOne, outcomes);
            self.take_out(&without(|it| &it.unviable), Outcome::Unviable, outcomes);
            let log = directory.join("messages.json");
            let Some(success) = self.cargo(directory, &log, limit)? else { return Ok(None) };
            let messages = fs_err::read_to_string(&log)?;
            if success {
                return program_in(&messages, self.library).context("cargo has built no program of tests").map(Some);
            }
            let culprits = culprits(&messages, &rewritten)?;
            crate::ui::note(format_args!("{} mutants do not compile, and are taken out", culprits.len()));
            self.take_out(&culprits, Outcome::Unviable, outcomes);
        }
    }

    fn take_out(&mut self, numbers: &BTreeSet<usize>, outcome: Outcome, outcomes: &mut Outcomes) {
        for asked in self.files.values_mut() {
            asked.mutants.retain(|mutant| !numbers.contains(&mutant.number));
        }
        outcomes.extend(numbers.iter().map(|number| (self.mutants[*number].name.clone(), outcome)));
    }

    /// Warnings are of no use here: both forms of an expression are there, and one is dead.
    fn add_the_switch(&self) -> anyhow::Result<()> {
        let library = self.tree.join(self.library.name);
        fs_err::write(library.join("src/mutant_switch.rs"), SWITCH)?;
        let root = library.join("src/lib.rs");
        fs_err::write(&root, format!("{}\nmod mutant_switch;\n", fs_err::read_to_string(&root)?))?;
        let manifest = library.join("Cargo.toml");
        let read = fs_err::read_to_string(&manifest)?;
        let lints = "[lints]\nworkspace = true\n";
        ensure!(read.contains(lints), "{} has its lints in another form", manifest.display());
        Ok(fs_err::write(&manifest, read.replace(lints, "[lints.rust]\nwarnings = \"allow\"\n"))?)
    }

    fn rewrite(&self, rewriter: &Rewriter) -> anyhow::Result<BTreeMap<String, Rewritten>> {
        let asked: Vec<_> = self.files.values().collect();
        let mut all = BTreeMap::new();
        for (file, rewritten) in self.files.keys().zip(rewriter.rewrite(&asked)?) {
            let path = self.tree.join(file);
            // The root of the library has a line more than what was read.
            let more = if path.ends_with("src/lib.rs") { "\nmod mutant_switch;\n" } else { "" };
            let code = format!("{}{more}", rewritten.code);
            if fs_err::read_to_string(&path)? != code {
                fs_err::write(path, code)?;
            }
            all.insert((*file).to_owned(), rewritten);
        }
        Ok(all)
    }

    fn cargo(&self, directory: &Path, log: &Path, limit: Limit) -> anyhow::Result<Option<bool>> {
        let mut command = Command::new("cargo");
        command.args(["test", "--no-run", "--lib", "--quiet", "--message-format", "json"]).args(self.library.arguments);
        command.current_dir(self.tree).env("CARGO_TARGET_DIR", directory).env("CARGO_INCREMENTAL", "1");
        command.stdin(Stdio::null()).stdout(fs_err::File::create(log)?.into_file()).stderr(Stdio::null());
        let status = bounded::run(&mut command, limit).context("failed to run cargo")?;
        Ok(status.map(|status| status.success()))
    }
}

/// What cargo says, a line each.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Said {
    CompilerArtifact {
        target: Target,
        executable: Option<PathBuf>,
    },
    CompilerMessage {
        message: Message,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Message {
    level: String,
    rendered: Option<String>,
    #[serde(default)]
    spans: Vec<Place>,
    #[serde(default)]
    children: Vec<Message>,
}

#[derive(Deserialize)]
struct Place {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
}

fn said(messages: &str) -> impl Iterator<Item = Said> {
    messages.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn program_in(messages: &str, library: Library) -> Option<PathBuf> {
    said(messages).find_map(|said| match said {
        Said::CompilerArtifact { target, executable } if target.name == library.name => executable,
        _ => None,
    })
}

/// The mutants that the compiler complains about. Fails with its words if it complains about something else.
fn culprits(messages: &str, rewritten: &BTreeMap<String, Rewritten>) -> anyhow::Result<BTreeSet<usize>> {
    let mut culprits = BTreeSet::new();
    let mut words = String::new();
    for said in said(messages) {
        let Said::CompilerMessage { message } = said else { continue };
        if message.level != "error" {
            continue;
        }
        culprits.extend(blamed(&message, rewritten));
        words.push_str(message.rendered.as_deref().unwrap_or_default());
    }
    if culprits.is_empty() {
        bail!("the tests do not compile, and no mutant is to blame:\n{words}");
    }
    Ok(culprits)
}

/// Those at the place of an error; else those at a place that it mentions.
fn blamed(message: &Message, rewritten: &BTreeMap<String, Rewritten>) -> Vec<usize> {
    let at = |place: &Place| {
        rewritten.get(&place.file_name).map_or(&[][..], |it| it.mutants_at(&(place.byte_start..place.byte_end)))
    };
    let mut places: Vec<_> = message.spans.iter().collect();
    places.sort_by_key(|place| !place.is_primary);
    let mentioned = message.children.iter().flat_map(|child| &child.spans);
    places.into_iter().chain(mentioned).map(at).find(|mutants| !mutants.is_empty()).unwrap_or_default().to_vec()
}
