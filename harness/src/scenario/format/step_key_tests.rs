//! Every key of every verb counts in the key of a checkpoint: what the verbs are told is made from their schema.

use crate::scenario::format::schema;
use crate::scenario::format::step::Step;
use serde_json::{Map, Value, json};

/// A place in a verb, and two values for the verb that differ in nothing else.
struct Pair {
    place: String,
    one: Value,
    other: Value,
}

impl Pair {
    fn inside(self, place: &str, put: impl Fn(Value) -> Value) -> Self {
        Self { place: format!("{place}{}", self.place), one: put(self.one), other: put(self.other) }
    }
}

pub(crate) fn resolved(here: &Value) -> &Value {
    match here["$ref"].as_str() {
        Some(name) => resolved(schema::STEP.pointer(name.trim_start_matches('#')).expect("a definition")),
        None => here,
    }
}

/// The forms that a value can have.
pub(crate) fn forms(here: &Value) -> Vec<&Value> {
    let here = resolved(here);
    let several = ["oneOf", "anyOf"].iter().find_map(|key| here[key].as_array());
    let is_null = |form: &&Value| form["type"] == "null";
    several
        .map_or_else(|| vec![here], |forms| forms.iter().filter(|form| !is_null(form)).flat_map(self::forms).collect())
}

/// The type of a form; that it may be missing does not matter.
pub(crate) fn kind(form: &Value) -> &str {
    let of_several = || form["type"].as_array()?.iter().filter_map(Value::as_str).find(|name| *name != "null");
    form["type"].as_str().or_else(of_several).unwrap_or_default()
}

/// A smallest value.
fn least(here: &Value) -> Value {
    let form = forms(here)[0];
    if let Some(only) = form.get("const").or_else(|| form["enum"].get(0)) {
        return only.clone();
    }
    match kind(form) {
        "boolean" => json!(false),
        "integer" | "number" => form.get("minimum").cloned().unwrap_or(json!(1)),
        "string" if form.get("pattern").is_some() => json!("1 s"),
        "string" => json!("a"),
        "array" => json!([]),
        "object" => Value::Object(required(form)),
        other => panic!("a value of type {other:?} is not known here: {form}"),
    }
}

fn required(form: &Value) -> Map<String, Value> {
    let names = form["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    names.map(|name| (name.to_owned(), least(&form["properties"][name]))).collect()
}

/// Pairs for all that a value can be told.
fn pairs(here: &Value) -> Vec<Pair> {
    let forms = forms(here);
    let first = least(here);
    let of_forms = forms[1..].iter().map(|form| Pair { place: String::new(), one: first.clone(), other: least(form) });
    of_forms.chain(forms.iter().flat_map(|form| pairs_within(form))).collect()
}

fn pairs_within(form: &Value) -> Vec<Pair> {
    let differ = |one: Value, other: Value| vec![Pair { place: String::new(), one, other }];
    if let Some(names) = form["enum"].as_array() {
        let others =
            names[1..].iter().map(|other| Pair { place: String::new(), one: names[0].clone(), other: other.clone() });
        return others.collect();
    }
    if form.get("const").is_some() {
        return Vec::new();
    }
    match kind(form) {
        "boolean" => differ(json!(false), json!(true)),
        "integer" | "number" => {
            let least = form["minimum"].as_u64().unwrap_or(1);
            differ(json!(least), json!(least + 1))
        }
        "string" if form.get("pattern").is_some() => differ(json!("1 s"), json!("2 s")),
        "string" => differ(json!("a"), json!("b")),
        "array" => {
            let item = &form["items"];
            let more = differ(json!([least(item)]), json!([least(item), least(item)]));
            pairs(item).into_iter().map(|pair| pair.inside("[]", |value| json!([value]))).chain(more).collect()
        }
        "object" => {
            let base = required(form);
            let properties = form["properties"].as_object().into_iter().flatten();
            let of_one = |(name, here): (&String, &Value)| {
                let put = |value| {
                    let mut all = base.clone();
                    all.insert(name.clone(), value);
                    Value::Object(all)
                };
                let name = format!(".{name}");
                pairs(here).into_iter().map(|pair| pair.inside(&name, put)).collect::<Vec<_>>()
            };
            properties.flat_map(of_one).collect()
        }
        other => panic!("a value of type {other:?} is not known here: {form}"),
    }
}

/// The key of a step that does this.
fn key(action: &Value) -> String {
    let step = json!({ "name": "n", "on": "mail", "do": action });
    let text = toml::to_string(&step).unwrap();
    let step: Step = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    serde_json::to_string(&step.cache_key()).unwrap()
}

#[test]
fn every_key_of_every_verb_counts() {
    let verbs = forms(&schema::STEP["properties"]["do"]);
    assert!(verbs.len() > 30, "{}", verbs.len());
    for verb in verbs {
        let pairs = pairs_within(verb);
        assert!(!pairs.is_empty(), "{verb}");
        for Pair { place, one, other } in pairs {
            assert_ne!(key(&one), key(&other), "do{place} changes no key: {one} and {other}");
        }
    }
}

#[test]
fn two_verbs_have_two_keys() {
    let [backup, delete] = ["backup", "delete"].map(|verb| key(&json!({ verb: { "paths": ["/a"] } })));
    assert_ne!(backup, delete);
}
