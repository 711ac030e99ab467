//! The shape of a document against the schema that editors use, too: unknown and missing keys, values of a wrong kind.
//!
//! serde stops at the first mistake that it meets. This walk goes on, so a person sees all of them at once, each with what
//! would be right. It knows the part of JSON Schema that the types of this room become.

use super::renamed;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use serde_json::Value;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A schema, with the definitions that it refers to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'s> {
    root: &'s Value,
    here: &'s Value,
}

impl<'s> Shape<'s> {
    /// Of a whole schema.
    pub(crate) fn of(root: &'s Value) -> Self {
        Self { root, here: root }.resolved()
    }

    /// Adds the diagnostics of a value, and says whether there were none.
    pub(crate) fn check(self, value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics) -> bool {
        let before = diagnostics.len();
        self.value(value, diagnostics);
        diagnostics.len() == before
    }

    /// Adds the diagnostics of a table, and says whether there were none.
    pub(crate) fn check_table(
        self,
        table: &DeTable<'_>,
        place: Option<&Range<usize>>,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let before = diagnostics.len();
        self.table(table, place, diagnostics);
        diagnostics.len() == before
    }

    fn at(self, here: &'s Value) -> Self {
        Self { here, ..self }.resolved()
    }

    /// Follows references, and takes what is there of what may be there.
    fn resolved(self) -> Self {
        if let Some(path) = self.here["$ref"].as_str() {
            let here = self.root.pointer(path.trim_start_matches('#')).unwrap_or(&Value::Null);
            return Self { here, ..self }.resolved();
        }
        let something = |schema: &&Value| schema["type"] != "null";
        match self.here["anyOf"].as_array().and_then(|schemas| schemas.iter().find(something)) {
            Some(here) => Self { here, ..self }.resolved(),
            None => self,
        }
    }

    fn value(self, value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics) {
        let span = value.span();
        if let Some(choices) = self.here["oneOf"].as_array() {
            return self.choice(choices, value, diagnostics);
        }
        if let Some(wanted) = self.kind()
            && !fits(wanted, value.get_ref())
        {
            let message = format!("expected {}, found {}", kind_words(wanted), words(value.get_ref()));
            return diagnostics.push(Diagnostic::new(message, span).with_help(self.description()));
        }
        match value.get_ref() {
            DeValue::String(text) => {
                if let Some(choices) = self.here["enum"].as_array() {
                    let choices: Vec<_> = choices.iter().filter_map(Value::as_str).collect();
                    known(&choices, text, span, diagnostics);
                }
            }
            DeValue::Integer(_) => self.number(value, diagnostics),
            DeValue::Array(items) => {
                let shape = self.at(&self.here["items"]);
                for item in items {
                    shape.value(item, diagnostics);
                }
            }
            DeValue::Table(table) => self.table(table, Some(&span), diagnostics),
            _ => {}
        }
    }

    /// `integer`, `string` and so on; of several the one that is not `null`.
    fn kind(self) -> Option<&'s str> {
        let kind = &self.here["type"];
        let several = || kind.as_array()?.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
        kind.as_str().or_else(several)
    }

    fn number(self, value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics) {
        let Some(number) = value.get_ref().as_integer() else { return };
        let Ok(found) = i64::from_str_radix(number.as_str(), number.radix()) else { return };
        let too_small = self.here["minimum"].as_i64().is_some_and(|least| found < least);
        let too_large = self.here["maximum"].as_i64().is_some_and(|most| found > most);
        if too_small || too_large {
            let bound = if too_small { "small" } else { "large" };
            diagnostics
                .push(Diagnostic::new(format!("{found} is too {bound}"), value.span()).with_help(self.description()));
        }
    }

    /// One of several texts, or a table with one of several keys.
    fn choice(self, choices: &'s [Value], value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics) {
        let choices: Vec<_> = choices.iter().map(|choice| self.at(choice)).collect();
        let texts = choices.iter().flat_map(|choice| {
            let several = choice.here["enum"].as_array().into_iter().flatten();
            several.chain(choice.here.get("const")).filter_map(Value::as_str)
        });
        let texts: Vec<_> = texts.collect();
        let keyed =
            |choice: &&Self| choice.here["properties"].as_object().is_some_and(|properties| properties.len() == 1);
        let verbs: Vec<_> = choices.iter().filter(keyed).collect();
        match value.get_ref() {
            DeValue::String(text) if !texts.is_empty() => known(&texts, text, value.span(), diagnostics),
            DeValue::Table(table) if !verbs.is_empty() => Self::verb(&verbs, table, value.span(), diagnostics),
            other => {
                let wanted = if texts.is_empty() { "a table" } else { "a text" };
                let message = format!("expected {wanted}, found {}", words(other));
                let help =
                    if texts.is_empty() { "write one verb, as in do.run = { … }".into() } else { there_are(&texts) };
                diagnostics.push(Diagnostic::new(message, value.span()).with_help(help));
            }
        }
    }

    fn verb(verbs: &[&Self], table: &DeTable<'_>, span: Range<usize>, diagnostics: &mut Diagnostics) {
        if table.len() != 1 {
            let message =
                if table.is_empty() { "there is no verb".into() } else { format!("{} verbs in one step", table.len()) };
            diagnostics
                .push(Diagnostic::new(message, span).with_help("a step does one thing: make several steps of it"));
        }
        let shape = |name: &str| {
            let properties = verbs.iter().find_map(|verb| Some(verb.at(verb.here["properties"].get(name)?)));
            properties.ok_or_else(|| verbs.iter().filter_map(|verb| verb.here["properties"].as_object()?.keys().next()))
        };
        for (key, value) in table {
            match shape(key.get_ref()) {
                Ok(shape) => shape.value(value, diagnostics),
                Err(known) => {
                    let known: Vec<_> = known.map(String::as_str).collect();
                    diagnostics.push(unknown("verb", key, &known));
                }
            }
        }
    }

    fn table(self, table: &DeTable<'_>, place: Option<&Range<usize>>, diagnostics: &mut Diagnostics) {
        let properties = self.here["properties"].as_object();
        let names: Vec<&str> =
            properties.into_iter().flat_map(|properties| properties.keys()).map(String::as_str).collect();
        let mut meant = Vec::new();
        for (key, value) in table {
            let name: &str = key.get_ref();
            if let Some(schema) = properties.and_then(|properties| properties.get(name)) {
                self.at(schema).value(value, diagnostics);
            } else if self.here["additionalProperties"].is_object() {
                self.at(&self.here["additionalProperties"]).value(value, diagnostics);
            } else {
                meant.extend(renamed::name(name, &names).or_else(|| nearest(name, &names)));
                diagnostics.push(unknown("key", key, &names));
            }
        }
        let required = self.here["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for name in required.filter(|name| !table.contains_key(*name) && !meant.contains(name)) {
            let schema = &self.here["properties"][name];
            let help = self.at(schema).description_of(schema);
            diagnostics.push(Diagnostic::new(format!("`{name}` is missing"), place.cloned()).with_help(help));
        }
    }

    fn description(self) -> String {
        self.description_of(self.here)
    }

    fn description_of(self, schema: &Value) -> String {
        let text =
            schema["description"].as_str().or_else(|| self.here["description"].as_str()).unwrap_or("see the reference");
        text.lines().collect::<Vec<_>>().join(" ")
    }
}

/// A key or verb that cannot stand here, perhaps because it has another name now.
fn unknown(kind: &str, key: &Spanned<std::borrow::Cow<'_, str>>, known: &[&str]) -> Diagnostic {
    let name: &str = key.get_ref();
    match renamed::name(name, known) {
        Some(new) => {
            let message = format!("the {kind} `{name}` is called `{new}` now");
            Diagnostic::new(message, key.span()).with_help(format!("write `{new}`"))
        }
        None => Diagnostic::unknown(format!("unknown {kind} `{name}`"), key.span(), name, known.iter().copied()),
    }
}

/// A text with a variable has its value only in a case.
fn known(choices: &[&str], text: &str, span: Range<usize>, diagnostics: &mut Diagnostics) {
    if choices.contains(&text) || text.contains("${") {
        return;
    }
    let message = format!("`{text}` is no value that can stand here");
    diagnostics.push(match renamed::value(text, choices) {
        Some(instead) => Diagnostic::new(message, span).with_help(instead),
        None => Diagnostic::unknown(message, span, text, choices.iter().copied()),
    });
}

fn there_are(texts: &[&str]) -> String {
    format!("there are: {}", texts.join(", "))
}

fn fits(kind: &str, value: &DeValue<'_>) -> bool {
    match kind {
        "string" => value.is_str(),
        "integer" => value.is_integer(),
        "number" => value.is_integer() || value.is_float(),
        "boolean" => value.is_bool(),
        "array" => value.is_array(),
        "object" => value.is_table(),
        _ => true,
    }
}

fn kind_words(kind: &str) -> &str {
    match kind {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        other => other,
    }
}

fn words(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
