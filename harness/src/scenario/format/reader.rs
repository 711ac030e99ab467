//! Reading scenario files: from the text to cases, with all mistakes on the way.

use super::lab_file::{self, LabFile};
use super::matrix::{Combination, Matrix, Selection};
use super::scenario::{Case, Kind, Scenario, ScenarioError, Tier};
use super::schema;
use super::shape::Shape;
use super::step::{Action, Invariant, Power, Return, Step};
use super::variables::fill_in;
use crate::bounded;
use crate::diagnostic::{self, Diagnostic, Diagnostics};
use crate::etc::OwnEtc;
use crate::scenario::verbs::traffic::keys::check_captures;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

/// What is said once, for all cases.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    summary: String,
    lab: Option<Spanned<String>>,
    etc: Option<Spanned<String>>,
    #[serde(default)]
    tier: Tier,
}

/// A scenario file while it is read.
struct Reading<'t> {
    path: &'t Path,
    text: &'t str,
    matrix: Matrix,
    steps: Vec<Raw<'t>>,
    invariants: Vec<Raw<'t>>,
    labs: BTreeMap<String, Option<Arc<LabFile>>>,
    diagnostics: Diagnostics,
}

/// A step or an invariant as it stands in the file, with variables.
struct Raw<'t> {
    value: Spanned<DeValue<'t>>,
    /// Whether it has the shape of one.
    good: bool,
    /// Whether some case has it.
    used: bool,
}

impl Scenario {
    /// Reads and checks a scenario file; its lab is `labs/<name>.toml` beside it, or stands in it as `[topology]`.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        Self::parse(path, &bounded::read_text(path, diagnostic::LARGEST)?)
    }

    /// The same with the text of the file, which need not be there; what it names is.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ScenarioError> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut diagnostics = Diagnostics::default();
        for error in errors {
            diagnostics.push(error);
        }
        if !diagnostics.is_empty() {
            return Ok(diagnostics.or_value(None, path, text)?);
        }
        let mut reading = Reading {
            path,
            text,
            matrix: Matrix::default(),
            steps: Vec::new(),
            invariants: Vec::new(),
            labs: BTreeMap::new(),
            diagnostics,
        };
        let scenario = reading.scenario(table)?;
        Ok(reading.diagnostics.or_value(scenario, path, text)?)
    }
}

impl Scenario {
    /// The files of scenarios, or of labs, in a directory; sorted.
    pub fn files_in(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs_err::read_dir(directory)? {
            let path = entry?.path();
            // The package of the runner has its manifest there.
            let manifest = path.file_name().is_some_and(|name| name == "Cargo.toml");
            if path.extension().is_some_and(|extension| extension == "toml") && !manifest {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

impl<'t> Reading<'t> {
    fn scenario(&mut self, mut table: Spanned<DeTable<'t>>) -> Result<Option<Scenario>, ScenarioError> {
        let own = table.get_mut();
        if let Some(matrix) = own.remove("matrix") {
            self.matrix = Matrix::read(matrix, &mut self.diagnostics);
        }
        if !own.contains_key("step") {
            self.diagnostics
                .push(Diagnostic::new("there is no step", None).with_help("a scenario has at least one [[step]]"));
        }
        self.steps = self.raw(own.remove("step"), "step", &schema::STEP);
        self.invariants = self.raw(own.remove("invariant"), "invariant", &schema::INVARIANT);
        let topology = own.remove("topology");
        let good = Shape::of(&schema::HEADER).check_table(own, None, &mut self.diagnostics);
        // Where the rest is wrong, the lab is still good for finding mistakes in the steps.
        let lab = own.get("lab").and_then(|lab| Some(Spanned::new(lab.span(), lab.get_ref().as_str()?.to_owned())));
        let header: Option<Header> = if good {
            self.diagnostics.take(Deserialize::deserialize(toml::de::Deserializer::from(table)))
        } else {
            None
        };
        let header = header.unwrap_or_else(|| Header { lab, ..Header::default() });
        self.topology(topology, header.lab.as_ref());
        let mut cases = Vec::new();
        for combination in self.matrix.combinations() {
            let lab = self.lab(header.lab.as_ref(), &combination)?;
            let (steps, invariants) = self.steps_of(&combination, lab.as_deref());
            let etc = self.etc(header.etc.as_ref(), &combination)?;
            if let Some(lab) = lab {
                cases.extend(self.cases(&combination, header.tier, &lab, etc.as_ref(), steps, &invariants));
            }
        }
        self.check_unused(cases.first().map(|case: &Case| &*case.lab));
        self.check_symptoms(&cases);
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let breaks = self.text.match_indices('\n').map(|(place, _)| place + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        Ok(Some(Scenario { name, file: self.path.to_owned(), summary: header.summary, cases, lines }))
    }

    fn raw(&mut self, list: Option<Spanned<DeValue<'t>>>, name: &str, schema: &serde_json::Value) -> Vec<Raw<'t>> {
        let values = lab_file::steps(list, name, &mut self.diagnostics);
        let shaped = values.into_iter().map(|value| {
            let good = Shape::of(schema).check(&value, &mut self.diagnostics);
            Raw { value, good, used: false }
        });
        shaped.collect()
    }

    /// A lab that stands in the file itself, under the name of the file.
    fn topology(&mut self, topology: Option<Spanned<DeValue<'t>>>, lab: Option<&Spanned<String>>) {
        match (topology, lab) {
            (None, Some(_)) => {}
            (None, None) => {
                let diagnostic = Diagnostic::new("there is no lab", None);
                self.diagnostics
                    .push(diagnostic.with_help("name one as in lab = \"mail-lan\", or describe it in [topology]"));
            }
            (Some(_), Some(lab)) => {
                self.diagnostics.push(Diagnostic::new("there are two labs: this one, and [topology]", lab.span()));
            }
            (Some(topology), None) => {
                let span = topology.span();
                let lab = if let DeValue::Table(table) = topology.into_inner() {
                    let name = self.path.file_stem().unwrap_or_default().to_string_lossy();
                    LabFile::from_table(&name, Spanned::new(span.clone(), table), Some(&span), &mut self.diagnostics)
                } else {
                    self.diagnostics.push(Diagnostic::new("`topology` must be a table", span));
                    None
                };
                self.labs.insert(String::new(), lab.map(Arc::new));
            }
        }
    }

    /// The lab of a case. A lab with mistakes of its own is an error of another file.
    fn lab(
        &mut self,
        name: Option<&Spanned<String>>,
        combination: &Combination,
    ) -> Result<Option<Arc<LabFile>>, ScenarioError> {
        let Some(name) = name else { return Ok(self.labs.get("").cloned().flatten()) };
        let span = name.span();
        let mut value = Spanned::new(span.clone(), DeValue::String(DeString::Borrowed(name.get_ref())));
        let before = self.diagnostics.len();
        fill_in(&mut value, combination, self.text, &mut self.diagnostics);
        if self.diagnostics.len() > before {
            return Ok(None);
        }
        let name = value.get_ref().as_str().unwrap_or_default().to_owned();
        if let Some(known) = self.labs.get(&name) {
            return Ok(known.clone());
        }
        let directory = self.path.with_file_name("labs");
        let path = directory.join(format!("{name}.toml"));
        let lab = if path.is_file() {
            Some(Arc::new(LabFile::load(&path)?))
        } else {
            let known = names_in(&directory);
            let diagnostic =
                Diagnostic::unknown(format!("there is no lab `{name}`"), span, &name, known.iter().map(String::as_str));
            // A scenario of somebody's own lies elsewhere, and has its labs beside it.
            let elsewhere = format!("a scenario's lab is a file in {}, where there is none", directory.display());
            self.diagnostics.push(if known.is_empty() { diagnostic.with_help(elsewhere) } else { diagnostic });
            None
        };
        self.labs.insert(name, lab.clone());
        Ok(lab)
    }

    /// The configuration of a case that is not the lab's own. What is wrong in it is an error of another file.
    fn etc(
        &mut self,
        named: Option<&Spanned<String>>,
        combination: &Combination,
    ) -> Result<Option<Arc<OwnEtc>>, ScenarioError> {
        let Some(named) = named else { return Ok(None) };
        let mut value = Spanned::new(named.span(), DeValue::String(DeString::Borrowed(named.get_ref())));
        let before = self.diagnostics.len();
        fill_in(&mut value, combination, self.text, &mut self.diagnostics);
        if self.diagnostics.len() > before {
            return Ok(None);
        }
        let directory = self.path.with_file_name(value.get_ref().as_str().unwrap_or_default());
        if !directory.is_dir() {
            let diagnostic = Diagnostic::new(format!("there is no directory {}", directory.display()), named.span());
            self.diagnostics.push(diagnostic.with_help("it is relative to this file"));
            return Ok(None);
        }
        Ok(Some(Arc::new(OwnEtc::load(&directory)?)))
    }

    /// The steps and the invariants of a case, with values for their variables.
    fn steps_of(&mut self, combination: &Combination, lab: Option<&LabFile>) -> (Vec<Step>, Vec<Step>) {
        let mut raw = std::mem::take(&mut self.steps);
        let steps: Vec<Step> = raw.iter_mut().filter_map(|raw| self.step::<Step>(raw, combination, lab)).collect();
        self.steps = raw;
        let mut raw = std::mem::take(&mut self.invariants);
        let invariants: Vec<Step> =
            raw.iter_mut().filter_map(|raw| self.step::<Invariant>(raw, combination, lab)).collect();
        self.invariants = raw;
        // A name that stands in a step with mistakes is no name that is missing.
        if self.steps.iter().chain(&self.invariants).all(|raw| raw.good) {
            check_checkpoints(&steps, &mut self.diagnostics);
            check_captures(steps.iter(), &mut self.diagnostics);
            check_captures(steps.iter().filter(|step| !step.fault), &mut self.diagnostics);
            check_power(steps.iter(), &mut self.diagnostics);
            check_power(steps.iter().filter(|step| !step.fault), &mut self.diagnostics);
            check_invariants(&steps, &invariants, &mut self.diagnostics);
        }
        (steps, invariants)
    }

    /// One step or invariant of a case, if the case has it.
    fn step<T: Deserialize<'t> + Into<Step>>(
        &mut self,
        raw: &mut Raw<'t>,
        combination: &Combination,
        lab: Option<&LabFile>,
    ) -> Option<Step> {
        if !self.is_there(&raw.value, combination) {
            return None;
        }
        raw.used = true;
        self.filled::<T>(raw, combination, lab)
    }

    fn filled<T: Deserialize<'t> + Into<Step>>(
        &mut self,
        raw: &Raw<'t>,
        combination: &Combination,
        lab: Option<&LabFile>,
    ) -> Option<Step> {
        let mut value = raw.value.clone();
        fill_in(&mut value, combination, self.text, &mut self.diagnostics);
        if !raw.good {
            return None;
        }
        let step: Step = self.diagnostics.take(T::deserialize(ValueDeserializer::from(value)))?.into();
        step.check(lab.map(|lab| &lab.topology), &mut self.diagnostics);
        Some(step)
    }

    /// What no case has is a mistake, and may have more of them.
    fn check_unused(&mut self, lab: Option<&LabFile>) {
        let Some(combination) = self.matrix.combinations().into_iter().next() else { return };
        for raw in std::mem::take(&mut self.steps).iter().filter(|raw| !raw.used) {
            let when = raw.value.get_ref().as_table().and_then(|step| step.get("when")).map(Spanned::span);
            if !self.diagnostics.are_in(when.clone()) {
                self.diagnostics.push(Diagnostic::new("no case has this step", when));
            }
            self.filled::<Step>(raw, &combination, lab);
        }
    }

    /// Whether a step's `when` admits it to a case.
    fn is_there(&mut self, step: &Spanned<DeValue<'t>>, combination: &Combination) -> bool {
        let when = step.get_ref().as_table().and_then(|step| step.get("when"));
        let Some(when) = when else { return true };
        // Its shape was looked at with the step's.
        let Ok(when) = Selection::deserialize(ValueDeserializer::from(when.clone())) else { return false };
        when.check(&self.matrix, &mut self.diagnostics);
        when.selects(combination)
    }

    /// A combination with faults has a control beside it, unless the matrix names its controls.
    fn cases(
        &self,
        combination: &Combination,
        tier: Tier,
        lab: &Arc<LabFile>,
        etc: Option<&Arc<OwnEtc>>,
        steps: Vec<Step>,
        invariants: &[Step],
    ) -> Vec<Case> {
        let tier = if self.matrix.is_full(combination) { Tier::Full } else { tier };
        let values = combination.to_string();
        let case = |name, kind, steps| Case {
            name,
            kind,
            tier,
            lab: lab.clone(),
            etc: etc.cloned(),
            steps,
            invariants: invariants.to_vec(),
        };
        let named = |kind: Kind| if values.is_empty() { kind.to_string() } else { format!("{values},{kind}") };
        match self.matrix.is_control(combination) {
            Some(true) => vec![case(values, Kind::Control, steps)],
            Some(false) => vec![case(values, Kind::Fault, steps)],
            None if steps.iter().any(|step| step.fault) => vec![
                case(named(Kind::Fault), Kind::Fault, steps.clone()),
                case(named(Kind::Control), Kind::Control, steps),
            ],
            None if values.is_empty() => vec![case(named(Kind::Main), Kind::Main, steps)],
            None => vec![case(values, Kind::Main, steps)],
        }
    }

    /// Where a step is called a symptom, something must be able to show that it can fail.
    fn check_symptoms(&mut self, cases: &[Case]) {
        for case in cases.iter().filter(|case| case.kind == Kind::Main) {
            for step in case.steps.iter().filter(|step| step.symptom && step.action.expects()) {
                let diagnostic =
                    Diagnostic::new("a symptom, and no control in which it must not show", step.name.span());
                let help = "mark the step that breaks something with `fault = true`, or name a control in [matrix]";
                self.diagnostics.push(diagnostic.with_help(help));
            }
        }
    }
}

/// A step disturbs invariants that there are, restores what was disturbed, and an invariant only looks.
fn check_invariants(steps: &[Step], invariants: &[Step], diagnostics: &mut Diagnostics) {
    let names: Vec<&str> = invariants.iter().map(|invariant| invariant.name.get_ref().as_str()).collect();
    for (index, invariant) in invariants.iter().enumerate() {
        if names[..index].contains(&names[index]) {
            diagnostics.push(Diagnostic::new("another invariant has this name", invariant.name.span()));
        }
        if !invariant.action.can_be_repeated() {
            let diagnostic =
                Diagnostic::new("an invariant only looks, and this verb does something", invariant.name.span());
            diagnostics.push(diagnostic);
        }
    }
    let mut disturbed: Vec<&str> = Vec::new();
    for step in steps {
        for name in &step.disturbs {
            if !names.contains(&name.get_ref().as_str()) {
                let message = format!("there is no invariant `{}`", name.get_ref());
                diagnostics.push(Diagnostic::unknown(message, name.span(), name.get_ref(), names.iter().copied()));
            }
            disturbed.push(name.get_ref());
        }
        for name in step.restores.iter().filter(|name| !disturbed.contains(&name.get_ref().as_str())) {
            let message = format!("no earlier step disturbs `{}`", name.get_ref());
            diagnostics.push(Diagnostic::unknown(message, name.span(), name.get_ref(), disturbed.iter().copied()));
        }
    }
}

/// A machine is switched on when it was off, off when it was on, and a lab is kept with all its machines on.
/// The same holds for the control, which leaves faults out.
fn check_power<'s>(steps: impl Iterator<Item = &'s Step>, diagnostics: &mut Diagnostics) {
    let mut off: Vec<&str> = Vec::new();
    for step in steps {
        let (machine, place) = (step.machine(), step.name.span());
        let is_off = off.contains(&machine);
        match &step.action {
            Action::Power(Power::On) if !is_off => {
                let diagnostic = Diagnostic::new(format!("no earlier step switches {machine} off"), place);
                diagnostics
                    .push(diagnostic.with_help(
                        "the control leaves faults out: where one is undone, mark both with `fault = true`",
                    ));
            }
            Action::Power(Power::On) => off.retain(|name| *name != machine),
            Action::Checkpoint(_) if !off.is_empty() => {
                let diagnostic =
                    Diagnostic::new(format!("{} is off: the state of the lab cannot be kept", off[0]), place);
                diagnostics.push(diagnostic.with_help("switch it on before with `do.power = \"on\"`"));
            }
            Action::Rewind(_) => off.clear(),
            _ if is_off => {
                let diagnostic = Diagnostic::new(format!("{machine} is off since an earlier step"), place);
                diagnostics.push(diagnostic.with_help("switch it on before with `do.power = \"on\"`"));
            }
            Action::Power(_) => off.push(machine),
            Action::Reboot(reboot) if reboot.expect == Return::Away => off.push(machine),
            _ => {}
        }
    }
}

/// Names of checkpoints are new, and a rewind goes to one that an earlier step made.
fn check_checkpoints(steps: &[Step], diagnostics: &mut Diagnostics) {
    let mut made: Vec<&str> = Vec::new();
    for step in steps {
        match &step.action {
            Action::Checkpoint(checkpoint) if made.contains(&checkpoint.name.get_ref().as_str()) => {
                diagnostics.push(Diagnostic::new("an earlier checkpoint has this name", checkpoint.name.span()));
            }
            Action::Checkpoint(checkpoint) => made.push(checkpoint.name.get_ref()),
            Action::Rewind(rewind) if !made.contains(&rewind.to.get_ref().as_str()) => {
                let name = rewind.to.get_ref();
                let message = format!("no earlier step makes a checkpoint `{name}`");
                diagnostics.push(Diagnostic::unknown(message, rewind.to.span(), name, made.iter().copied()));
            }
            _ => {}
        }
    }
}

/// Names of the labs in a directory.
fn names_in(directory: &Path) -> Vec<String> {
    let files = Scenario::files_in(directory).unwrap_or_default();
    files.iter().filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect()
}

/// Reads anything as a scenario in the directory `place`.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(place: &Path, text: &str) {
    if let Err(error) = Scenario::parse(&place.join("fuzzed.toml"), text) {
        let _ = crate::diagnostic::plain_text(&error);
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
