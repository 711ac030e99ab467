//! The file formats as JSON schemas (draft 2020-12), made from the types that read them: for editors, for the reference
//! page, and for the check that finds all mistakes at once.

use super::matrix::Table;
use super::scenario::Tier;
use super::step::{Invariant, Step};
use schemars::{JsonSchema, Schema, schema_for};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Of a scenario's file without its lists, which are read step by step.
pub(crate) static HEADER: LazyLock<Value> = LazyLock::new(|| without(schema_for!(ScenarioFile), "step"));
pub(crate) static STEP: LazyLock<Value> = LazyLock::new(|| schema_for!(Step).to_value());
pub(crate) static INVARIANT: LazyLock<Value> = LazyLock::new(|| schema_for!(Invariant).to_value());
/// Of a lab's file; its steps `[[ready]]` are read one by one.
pub(crate) static LAB_HEADER: LazyLock<Value> = LazyLock::new(|| schema_for!(LabFile).to_value());

/// A schema in which one key need not be there.
fn without(schema: Schema, key: &str) -> Value {
    let mut schema = schema.to_value();
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| name != key);
    }
    schema
}

/// A scenario: what is done to a lab, and what is expected of it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read part by part; this is what the parts make")]
struct ScenarioFile {
    /// One line for people.
    summary: String,
    /// The lab that it runs in: a file in `labs/` beside it, without its ending. It may use variables.
    lab: Option<String>,
    /// The lab itself, if no other scenario needs it.
    topology: Option<LabFile>,
    /// A directory like `/etc` with somebody's own configuration, relative to this file: it is laid over the mail machine before the
    /// first step. It may use variables.
    etc: Option<String>,
    /// Which runs it belongs to.
    tier: Option<Tier>,
    /// Lists of values; the scenario runs with each combination of them.
    matrix: Option<Table>,
    /// What must be true before the first step and after every step.
    invariant: Option<Vec<Invariant>>,
    /// What is done and expected, in order.
    step: Vec<Step>,
}

/// A lab: machines in networks, and how they show that they are ready.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read part by part; this is what the parts make")]
struct LabFile {
    /// One line for people.
    summary: Option<String>,
    /// The DNS domain of all machines.
    domain: String,
    /// Accounts that passwords are made for.
    accounts: Vec<String>,
    /// Its networks.
    segment: Vec<crate::network::Segment>,
    /// Its machines.
    machine: Vec<crate::lab::topology::Definition>,
    /// Steps that must hold before a scenario starts; each is repeated until it does.
    ready: Option<Vec<Step>>,
}

/// Whom a schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// Editors, which see variables and not their values: where certain texts are wanted, a text with a variable is
    /// right, too.
    Editors,
    /// People, as the reference page.
    People,
}

/// The schema of scenario files.
#[must_use]
pub fn scenario(whom: For) -> Value {
    made_for(whom, schema_for!(ScenarioFile).to_value())
}

/// The schema of labs' files.
#[must_use]
pub fn lab(whom: For) -> Value {
    made_for(whom, schema_for!(LabFile).to_value())
}

fn made_for(whom: For, mut schema: Value) -> Value {
    if whom == For::Editors {
        admit_variables(&mut schema);
    }
    schema
}

fn admit_variables(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(admit_variables),
        Value::Object(entries) => {
            entries.values_mut().for_each(admit_variables);
            let variable = json!({ "type": "string", "pattern": "\\$\\{" });
            if let Some(Value::Array(choices)) = entries.get_mut("oneOf")
                && choices.iter().any(|choice| choice.get("const").is_some_and(Value::is_string))
            {
                choices.push(variable);
            } else if entries.contains_key("enum") && entries.get("type") == Some(&json!("string")) {
                let texts = json!({ "type": "string", "enum": entries.remove("enum") });
                entries.remove("type");
                entries.insert("oneOf".into(), json!([texts, variable]));
            } else if entries.get("type") == Some(&json!("string"))
                && let Some(pattern) = entries.get_mut("pattern").filter(|pattern| *pattern != &json!("\\$\\{"))
            {
                *pattern = json!(format!("{}|\\$\\{{", pattern.as_str().unwrap_or_default()));
            }
        }
        _ => {}
    }
}
