//! One step of a scenario, as types: what it does, and what it expects.

use super::matrix::Selection;
use super::requirements;
use super::span::TimeSpan;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lab::Topology;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

pub(crate) use super::action::Action;
pub(crate) use crate::scenario::verbs::configuration::keys::*;
pub(crate) use crate::scenario::verbs::diagnosis::keys::*;
pub(crate) use crate::scenario::verbs::guest::file_keys::*;
pub(crate) use crate::scenario::verbs::guest::keys::*;
pub(crate) use crate::scenario::verbs::load::keys::{Arrival, Load};
pub(crate) use crate::scenario::verbs::machine::impairment::*;
pub(crate) use crate::scenario::verbs::machine::keys::*;
pub(crate) use crate::scenario::verbs::mail::keys::*;
pub(crate) use crate::scenario::verbs::mailbox::keys::*;
pub(crate) use crate::scenario::verbs::secrecy::keys::*;
pub(crate) use crate::scenario::verbs::storage::keys::*;
pub(crate) use crate::scenario::verbs::traffic::keys::{Capture, Egress, FilterCounter, FilterLog, FlowsSince};
pub(crate) use crate::scenario::verbs::upgrade::keys::*;

/// One step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A sentence: what is true when it passes.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// The machine that it is about; none for what concerns the whole lab.
    #[schemars(with = "Option<String>")]
    pub on: Option<Spanned<String>>,
    /// A heading: a new phase of the scenario begins with this step.
    pub phase: Option<String>,
    /// Rows of the specification that it drives (`docs/requirements.toml`).
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub covers: Vec<Spanned<String>>,
    /// It breaks something: left out of the control.
    #[serde(default)]
    pub fault: bool,
    /// It expects what is true only after a fault: must not hold in the control.
    #[serde(default)]
    pub symptom: bool,
    /// What it shows is compared with its snapshot, which `cargo xtask record` makes.
    #[serde(default)]
    pub record: bool,
    /// It is there only in cases with these values of the matrix.
    pub when: Option<Selection>,
    /// What it expects must come true within this time. Like every time in a scenario it is meant for a host with
    /// working KVM, and stretched on others.
    #[schemars(with = "Option<TimeSpan>")]
    pub within: Option<Spanned<TimeSpan>>,
    /// What it expects must be true all this time, whenever one looks.
    #[schemars(with = "Option<TimeSpan>")]
    pub always: Option<Spanned<TimeSpan>>,
    /// What it describes must not come true in all this time.
    #[schemars(with = "Option<TimeSpan>")]
    pub never: Option<Spanned<TimeSpan>>,
    /// Invariants that this step may break: from here on they are not checked.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub disturbs: Vec<Spanned<String>>,
    /// Disturbed invariants that hold again after this step, and from here on.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub restores: Vec<Spanned<String>>,
    /// What is done and expected: one verb.
    #[serde(rename = "do")]
    pub action: Action,
}

/// A step as an ingredient of cache keys: all that changes what happens in a lab, or what is told of it.
#[derive(Debug, Serialize)]
pub(crate) struct StepKey<'a> {
    name: &'a Spanned<String>,
    on: &'a Option<Spanned<String>>,
    phase: &'a Option<String>,
    fault: bool,
    symptom: bool,
    within: &'a Option<Spanned<TimeSpan>>,
    always: &'a Option<Spanned<TimeSpan>>,
    never: &'a Option<Spanned<TimeSpan>>,
    disturbs: &'a [Spanned<String>],
    restores: &'a [Spanned<String>],
    action: &'a Action,
}

/// What must be true before the first step and after every step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Invariant {
    /// A sentence: what is always true.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// The machine that it is about.
    #[schemars(with = "String")]
    pub on: Spanned<String>,
    /// It is there only in cases with these values of the matrix.
    pub when: Option<Selection>,
    /// How long it may take after a step until it is true again.
    #[schemars(with = "Option<TimeSpan>")]
    pub within: Option<Spanned<TimeSpan>>,
    /// What is expected: a verb that only looks.
    #[serde(rename = "do")]
    pub action: Action,
}

/// How often a step looks, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looking {
    /// Once.
    Once,
    /// Until it is so.
    Within(TimeSpan),
    /// Again and again: it must be so each time.
    Always(TimeSpan),
    /// Again and again: it must not be so once.
    Never(TimeSpan),
}

/// Whom an action concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Concern {
    /// What runs in one machine.
    Guest,
    /// A machine as a whole: it stops running, or starts.
    Machine,
    /// The whole lab: another one takes its place.
    Lab,
}

impl Step {
    /// Every machine and account that it names is in the lab, if that is known, and its marks go together.
    pub(crate) fn check(&self, lab: Option<&Topology>, diagnostics: &mut Diagnostics) {
        match (self.action.concern(), &self.on) {
            (Concern::Lab, None) => {}
            (Concern::Lab, Some(on)) => {
                diagnostics.push(Diagnostic::new("this step concerns the whole lab, and has no `on`", on.span()));
            }
            (_, Some(on)) => {
                check_machine(on, lab, diagnostics);
                self.check_reach(on, lab, diagnostics);
            }
            (_, None) if self.action.can_concern_all() => {}
            (_, None) => diagnostics.push(Diagnostic::new(
                format!("step \"{}\" needs `on`, the machine that it is about", self.name.get_ref()),
                self.name.span(),
            )),
        }
        self.action.check(lab, diagnostics);
        self.check_marks(diagnostics);
        for row in &self.covers {
            requirements::check(row, diagnostics);
        }
    }

    /// In a machine inside another one there is no agent of the lab.
    fn check_reach(&self, on: &Spanned<String>, lab: Option<&Topology>, diagnostics: &mut Diagnostics) {
        let inside = lab.and_then(|lab| lab.machine(on.get_ref())?.inside.as_ref());
        if let (Some(host), true) = (inside, self.action.needs_control()) {
            let message = format!(
                "machine `{}` runs inside `{}`, and this step cannot reach it there",
                on.get_ref(),
                host.get_ref()
            );
            let help = "by IMAP and SMTP it can be logged in to, and mail can be delivered; all else is done on the machine that runs it";
            diagnostics.push(Diagnostic::new(message, on.span()).with_help(help));
        }
    }

    fn check_marks(&self, diagnostics: &mut Diagnostics) {
        let span = self.name.span();
        if self.fault && self.symptom {
            let diagnostic = Diagnostic::new("a step that breaks something is no symptom of it", span.clone());
            diagnostics.push(
                diagnostic.with_help("make two steps of it: one with `fault = true`, then one with `symptom = true`"),
            );
        }
        if self.record && self.action.concern() != Concern::Guest {
            diagnostics.push(Diagnostic::new("this step shows nothing that could be recorded", span.clone()));
        }
        if self.record && matches!(self.action, Action::Egress(_)) {
            let diagnostic =
                Diagnostic::new("what this step shows has other times and numbers in each run", span.clone());
            diagnostics.push(diagnostic.with_help("`do.flows`, with the same `since`, shows what can be recorded"));
        }
        if self.symptom && !self.action.expects() {
            let diagnostic = Diagnostic::new("this step expects nothing that could be a symptom", span);
            diagnostics.push(diagnostic.with_help("a symptom is a login, a command or another look at what is there"));
        }
        let times: Vec<_> = [&self.within, &self.always, &self.never].into_iter().flatten().collect();
        if let [_, second, ..] = times.as_slice() {
            diagnostics.push(Diagnostic::new("only one of `within`, `always` and `never` makes sense", second.span()));
        }
        if let (Some(time), false) = (times.first(), self.action.can_be_repeated()) {
            let diagnostic = Diagnostic::new("this step does something, and is done once", time.span());
            diagnostics.push(diagnostic.with_help("`within`, `always` and `never` are for steps that only look"));
        }
    }

    /// What cache keys have of it. A new field has to be named here, or left out on purpose.
    pub(crate) fn cache_key(&self) -> StepKey<'_> {
        let Self {
            name,
            on,
            phase,
            covers: _,
            fault,
            symptom,
            record: _,
            when: _,
            within,
            always,
            never,
            disturbs,
            restores,
            action,
        } = self;
        let (fault, symptom) = (*fault, *symptom);
        StepKey { name, on, phase, fault, symptom, within, always, never, disturbs, restores, action }
    }

    /// How often it looks.
    pub(crate) fn looking(&self) -> Looking {
        let span = |time: &Option<Spanned<TimeSpan>>| time.as_ref().map(|time| *time.get_ref());
        let within = span(&self.within).map(Looking::Within);
        let always = || span(&self.always).map(Looking::Always);
        let never = || span(&self.never).map(Looking::Never);
        within.or_else(always).or_else(never).unwrap_or(Looking::Once)
    }

    /// The machine that it is about, or the lab.
    pub(crate) fn machine(&self) -> &str {
        self.on.as_ref().map_or("lab", |on| on.get_ref())
    }
}

impl From<Invariant> for Step {
    fn from(invariant: Invariant) -> Self {
        Self {
            name: invariant.name,
            on: Some(invariant.on),
            phase: None,
            covers: Vec::new(),
            fault: false,
            symptom: false,
            record: false,
            when: invariant.when,
            within: invariant.within,
            always: None,
            never: None,
            disturbs: Vec::new(),
            restores: Vec::new(),
            action: invariant.action,
        }
    }
}

/// `name` is a machine of the lab.
pub(crate) fn check_machine(name: &Spanned<String>, lab: Option<&Topology>, diagnostics: &mut Diagnostics) {
    let Some(lab) = lab else { return };
    if lab.machine(name.get_ref()).is_none() {
        let message = format!("there is no machine `{}` in lab `{}`", name.get_ref(), lab.name);
        let known = lab.machines.iter().map(|machine| machine.name.get_ref().as_str());
        diagnostics.push(Diagnostic::unknown(message, name.span(), name.get_ref(), known));
    }
}

/// `name` is an account of the lab.
pub(crate) fn check_account(name: &Spanned<String>, lab: Option<&Topology>, diagnostics: &mut Diagnostics) {
    let Some(lab) = lab else { return };
    if !lab.accounts.contains(name.get_ref()) {
        let message = format!("there is no account `{}` in lab `{}`", name.get_ref(), lab.name);
        diagnostics.push(Diagnostic::unknown(
            message,
            name.span(),
            name.get_ref(),
            lab.accounts.iter().map(String::as_str),
        ));
    }
}

#[cfg(test)]
#[path = "step_key_tests.rs"]
pub(crate) mod key_tests;
