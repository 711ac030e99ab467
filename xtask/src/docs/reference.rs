//! The reference page of scenario files, from their schema.

use serde_json::{Map, Value};
use std::fmt::Write as _;

const BEGIN: &str = "\
# Scenario files

This page is made from the types that read the files: `cargo xtask docs` writes it, and a test says when it is not current.
To begin, read [Write your first scenario](first-scenario.md).

A scenario is a file in `scenarios/`. `cargo xtask check` says within a second whether it is right, and where it is not. Editors
with Even Better TOML (or any other client of taplo) do so while you write: `.taplo.toml` tells them which schema belongs to which file.
";

const VARIABLES: &str = "\
Texts of steps, of invariants and of `lab` may use the matrix: `${variant}` stands for the value of `variant` in a case. There are no other
variables; `$${HOME}` is `${HOME}` for a shell, and `$HOME` is as it stands. Cases are named by their values, as in
`pam-loss::variant=dropped`. A step with `when = { variant = [\"dropped\", \"moved\"] }` is there only in cases with one of these values.
";

const MARKS: &str = "\
A file with a step marked `fault` runs twice: in `fault` all steps are done, in `control` those steps are left out, and every step
marked `symptom` must *not* hold. So each file carries the proof that its expectations can fail. `control` in the matrix does
the same with values: `control = { variant = [\"kept\"] }`. In a control only a sound answer shows that a symptom is absent: where a login is
to be refused, the user must be let in; a server that is unavailable, or refuses for another reason, fails the control.

A login, or a message that is handed over, ends in one way of a list, and `expect` names it. Of a server that is `untrusted`, `because` says
what is wrong with its certificate: that, and nothing else. `clock = \"guest\"` lets the machine's clock verify it, for a machine whose clock
was moved.
";

const INVARIANTS: &str = "\
Invariants are looked at before the first step and after every step. The one that does not hold is told with the step that it broke
at. A step that breaks one on purpose says `disturbs = [\"its name\"]`; a later one that cures it says `restores = [\"its name\"]`.
";

/// The page.
pub(super) fn page(scenario: &Value, lab: &Value) -> String {
    let mut page = Page { text: BEGIN.to_owned(), root: scenario };
    page.heading("The file", &scenario["description"]);
    page.keys(scenario);
    page.section("`[matrix]`", "Table", VARIABLES);
    page.section("`[[step]]`", "Step", MARKS);
    page.section("`[[invariant]]`", "Invariant", INVARIANTS);
    page.verbs();
    page.heading("Layers of storage", &scenario["$defs"]["Layer"]["description"]);
    page.text += "Each is a table of one key, as in `{ raid10 = {} }`.\n\n";
    page.alternatives("Layer", "");
    let mut labs = Page { text: page.text, root: lab };
    labs.heading("Labs", &lab["description"]);
    labs.text += "A lab is a file in `scenarios/labs/`, or the table `[topology]` of a scenario.\n\n";
    labs.keys(lab);
    for (title, name) in
        [("`[[segment]]`", "Segment"), ("`[[machine]]`", "Definition"), ("`[[machine.card]]`", "FurtherCard")]
    {
        let definition = &lab["$defs"][name];
        let _ = write!(labs.text, "### {title}\n\n{}\n\n", words(&definition["description"]));
        labs.keys(definition);
    }
    labs.text.replace("\n\n\n", "\n\n").trim_end().to_owned() + "\n"
}

struct Page<'s> {
    text: String,
    root: &'s Value,
}

impl Page<'_> {
    fn heading(&mut self, title: &str, description: &Value) {
        let _ = write!(self.text, "\n## {title}\n\n{}\n\n", words(description));
    }

    fn section(&mut self, title: &str, definition: &str, prose: &str) {
        let definition = &self.root["$defs"][definition];
        self.heading(title, &definition["description"]);
        let _ = writeln!(self.text, "{prose}");
        self.keys(definition);
    }

    /// A table of the keys of an object.
    fn keys(&mut self, object: &Value) {
        let empty = Map::new();
        let properties = object["properties"].as_object().unwrap_or(&empty);
        if properties.is_empty() && object["additionalProperties"] == Value::Bool(false) {
            self.text += "It has no keys: write `{}`.\n\n";
            return;
        }
        self.text += "| key | value | |\n|---|---|---|\n";
        for (name, schema) in properties {
            let required =
                object["required"].as_array().is_some_and(|names| names.contains(&Value::from(name.as_str())));
            let default = match &schema["default"] {
                _ if required => "required".to_owned(),
                Value::Null | Value::Bool(false) => "optional".to_owned(),
                Value::Array(items) if items.is_empty() => "optional".to_owned(),
                other => format!("`{other}` if not given"),
            };
            let meaning = words(&schema["description"]);
            let _ = writeln!(self.text, "| `{name}` | {} | {meaning} *({default})* |", self.kind(schema));
        }
        let others = &object["additionalProperties"];
        if others.is_object() {
            let _ =
                writeln!(self.text, "| any other | {} | The values of the variable of this name. |", self.kind(others));
        }
        self.text += "\n";
    }

    fn verbs(&mut self) {
        self.text += "\n## Verbs\n\nA step does one thing: `do.` and one of these.\n\n";
        self.alternatives("Action", "do.");
    }

    /// What can stand in the place of a type that is a table of one key, each with its own keys.
    fn alternatives(&mut self, definition: &str, before: &str) {
        let alternatives = self.root["$defs"][definition]["oneOf"].as_array().cloned().unwrap_or_default();
        for alternative in &alternatives {
            let Some((name, schema)) =
                alternative["properties"].as_object().and_then(|properties| properties.iter().next())
            else {
                continue;
            };
            let definition = self.resolved(schema);
            let _ = write!(self.text, "### `{before}{name}`\n\n{}", words(&alternative["description"]));
            if definition["properties"].is_object() || definition["type"] == "object" {
                self.text += "\n\n";
                self.keys(&definition);
            } else if definition["oneOf"][0]["properties"].is_object() {
                self.text += " It has one of these keys.\n\n";
                self.one_key(&definition);
            } else {
                let _ = write!(self.text, " Its value is {}.\n\n", self.kind(schema));
            }
        }
    }

    /// A table of keys of which a value has just one.
    fn one_key(&mut self, definition: &Value) {
        self.text += "| key | value | |\n|---|---|---|\n";
        for way in definition["oneOf"].as_array().into_iter().flatten() {
            for (name, schema) in way["properties"].as_object().into_iter().flatten() {
                let _ = writeln!(self.text, "| `{name}` | {} | {} |", self.kind(schema), words(&way["description"]));
            }
        }
        self.text += "\n";
    }

    fn resolved(&self, schema: &Value) -> Value {
        let path = schema["$ref"].as_str().map(|path| path.trim_start_matches('#'));
        let something = || schema["anyOf"].as_array()?.iter().find(|schema| schema["type"] != "null");
        match (path, something()) {
            (Some(path), _) => self.root.pointer(path).map_or(Value::Null, |schema| self.resolved(schema)),
            (None, Some(schema)) => self.resolved(schema),
            (None, None) => schema.clone(),
        }
    }

    /// What can stand there, in words.
    fn kind(&self, schema: &Value) -> String {
        let named = schema["$ref"].as_str().or_else(|| schema["anyOf"][0]["$ref"].as_str());
        match named.and_then(|path| path.rsplit('/').next()) {
            Some("Action") => return "a verb, see below".into(),
            Some("TimeSpan") => return "a time, as in `\"30 s\"`".into(),
            Some("Selection") => return "`{ variable = [\"value\", …] }`".into(),
            Some("Table") => return "a table, see below".into(),
            Some("LabFile") => return "a table, see [Labs](#labs)".into(),
            _ => {}
        }
        let schema = self.resolved(schema);
        if let Some(choices) = schema["oneOf"].as_array() {
            return choices.iter().flat_map(texts).collect::<Vec<_>>().join(", ");
        }
        if schema["enum"].is_array() {
            return texts(&schema).join(", ");
        }
        let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
        match kind {
            Some("string") => "text".into(),
            Some("boolean") => "`true` or `false`".into(),
            Some("integer") => "a number".into(),
            Some("array") => match schema["items"]["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
                Some("Step" | "Invariant" | "Segment" | "Definition" | "FurtherCard") => "tables, see below".into(),
                Some("Selection") => "a list of `{ variable = [\"value\", …] }`".into(),
                Some("Layer") => "tables, see [Layers of storage](#layers-of-storage)".into(),
                Some(_) if self.resolved(&schema["items"])["properties"].is_object() => {
                    format!("tables, each {}", self.table(&self.resolved(&schema["items"])))
                }
                _ if schema["items"]["type"] == "object" => "a list of `{ variable = \"value\", … }`".into(),
                _ if schema["items"]["type"] == "integer" => "a list of numbers".into(),
                _ => "a list of texts".into(),
            },
            Some("object") if schema["properties"].is_object() => self.table(&schema),
            Some("object") => "a table".into(),
            _ => "any".into(),
        }
    }

    /// A table that is small enough to stand in a cell, with its keys.
    fn table(&self, object: &Value) -> String {
        let keys = object["properties"].as_object().into_iter().flatten();
        let keys: Vec<_> = keys.map(|(name, schema)| format!("`{name}` ({})", self.kind(schema))).collect();
        format!("a table of {}", keys.join(", "))
    }
}

/// The texts that a part of a schema admits, each with its meaning.
fn texts(choice: &Value) -> Vec<String> {
    let values = choice["enum"].as_array().into_iter().flatten().chain(choice.get("const"));
    let meaning = words(&choice["description"]);
    let meaning = meaning.trim_end_matches('.');
    values
        .filter_map(Value::as_str)
        .map(|text| if meaning.is_empty() { format!("`\"{text}\"`") } else { format!("`\"{text}\"` ({meaning})") })
        .collect()
}

/// A description in one line, as part of a table.
fn words(description: &Value) -> String {
    let text = description.as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
