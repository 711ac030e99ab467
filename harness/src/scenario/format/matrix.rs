//! The matrix of a scenario: named lists of values, of which every combination is a case of its own.

use crate::diagnostic::{Diagnostic, Diagnostics};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// Values of some axes; it selects a combination that has one of them on each axis.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Selection(
    #[schemars(with = "BTreeMap<String, Vec<String>>")] BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
);

/// The table `[matrix]`: each key is the name of a variable with its list of values, but for these.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it is read key by key, as the other keys are names of variables")]
pub(crate) struct Table {
    /// Combinations that are left out.
    exclude: Option<Vec<Selection>>,
    /// Combinations that are added, each with one value for every variable; it may be a value of its own.
    include: Option<Vec<BTreeMap<String, String>>>,
    /// With these values nothing is broken: no symptom may hold, and steps marked `fault` are left out. Without it a
    /// scenario with faults runs twice with each combination.
    control: Option<Selection>,
    /// Combinations for full runs only.
    full: Option<Vec<Selection>>,
    #[serde(flatten)]
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    variables: (),
}

/// One value for each axis, in the order of the axes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Combination(Vec<(String, String)>);

/// Nobody runs more labs than this for one scenario; the product of a few lists soon has more than there is memory.
const MOST: usize = 10_000;

/// Combinations, and what is special about some.
#[derive(Debug, Default)]
pub(crate) struct Matrix {
    axes: Vec<Axis>,
    combinations: Vec<Combination>,
    control: Option<Selection>,
    full: Vec<Selection>,
}

#[derive(Debug)]
struct Axis {
    name: String,
    values: Vec<String>,
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
        f.write_str(&words.join(","))
    }
}

impl Combination {
    /// The value of a variable.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(axis, _)| axis == name).map(|(_, value)| value.as_str())
    }

    /// The variables that there are.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(axis, _)| axis.as_str())
    }

    #[cfg(test)]
    pub(crate) fn of(values: &[(&str, &str)]) -> Self {
        Self(values.iter().map(|(axis, value)| ((*axis).to_owned(), (*value).to_owned())).collect())
    }
}

impl Selection {
    /// Whether it selects `combination`.
    pub(crate) fn selects(&self, combination: &Combination) -> bool {
        self.0.iter().all(|(axis, values)| {
            combination.value(axis.get_ref()).is_some_and(|own| values.iter().any(|value| value.get_ref() == own))
        })
    }

    /// Every axis and value is one of the matrix.
    pub(crate) fn check(&self, matrix: &Matrix, diagnostics: &mut Diagnostics) {
        for (name, values) in &self.0 {
            let Some(axis) = matrix.axes.iter().find(|axis| axis.name == *name.get_ref()) else {
                let known = matrix.axes.iter().map(|axis| axis.name.as_str());
                let message = format!("the matrix has no `{}`", name.get_ref());
                diagnostics.push(Diagnostic::unknown(message, name.span(), name.get_ref(), known));
                continue;
            };
            for value in values.iter().filter(|value| !axis.values.contains(value.get_ref())) {
                let message = format!("`{}` has no value `{}`", axis.name, value.get_ref());
                let known = axis.values.iter().map(String::as_str);
                diagnostics.push(Diagnostic::unknown(message, value.span(), value.get_ref(), known));
            }
        }
    }
}

impl Matrix {
    /// Reads it.
    pub(crate) fn read(table: Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics) -> Self {
        let span = table.span();
        let DeValue::Table(mut table) = table.into_inner() else {
            diagnostics.push(
                Diagnostic::new("`matrix` must be a table", span).with_help("write [matrix], and below it a list"),
            );
            return Self::default();
        };
        let exclude: Vec<Selection> = keyword(&mut table, "exclude", diagnostics).unwrap_or_default();
        let include: Vec<BTreeMap<Spanned<String>, Spanned<String>>> =
            keyword(&mut table, "include", diagnostics).unwrap_or_default();
        let control: Option<Spanned<Selection>> = keyword(&mut table, "control", diagnostics);
        let full: Vec<Selection> = keyword(&mut table, "full", diagnostics).unwrap_or_default();
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let axes = entries.into_iter().filter_map(|(name, values)| Axis::read(&name, values, diagnostics)).collect();
        let mut matrix = Self { axes, ..Self::default() };
        if matrix.axes.is_empty() {
            diagnostics.push(
                Diagnostic::new("a matrix without a list", span.clone())
                    .with_help("write name = [\"value\", \"value\"]"),
            );
        }
        for selection in &exclude {
            selection.check(&matrix, diagnostics);
        }
        let cases = matrix.axes.iter().try_fold(1_usize, |cases, axis| cases.checked_mul(axis.values.len()));
        if cases.is_none_or(|cases| cases > MOST) {
            let diagnostic = Diagnostic::new(format!("the matrix has more than {MOST} combinations"), span);
            diagnostics.push(diagnostic.with_help("each is a run in a lab of its own: make several scenarios of it"));
            return Self::default();
        }
        matrix.combinations = matrix.product();
        matrix.combinations.retain(|combination| !exclude.iter().any(|selection| selection.selects(combination)));
        for values in include {
            matrix.include(&values, diagnostics);
        }
        for selection in &full {
            selection.check(&matrix, diagnostics);
        }
        matrix.full = full;
        if let Some(control) = control {
            matrix.take_control(control, diagnostics);
        }
        matrix
    }

    /// Every combination; the one without values, where there is no matrix.
    pub(crate) fn combinations(&self) -> Vec<Combination> {
        if self.axes.is_empty() { vec![Combination::default()] } else { self.combinations.clone() }
    }

    /// Whether `combination` is a control; nothing, if the matrix has none.
    pub(crate) fn is_control(&self, combination: &Combination) -> Option<bool> {
        self.control.as_ref().map(|control| control.selects(combination))
    }

    /// Whether `combination` is for full runs only.
    pub(crate) fn is_full(&self, combination: &Combination) -> bool {
        self.full.iter().any(|selection| selection.selects(combination))
    }

    fn product(&self) -> Vec<Combination> {
        self.axes.iter().fold(vec![Combination::default()], |combinations, axis| {
            let with = |combination: &Combination, value: &String| {
                let mut longer = combination.clone();
                longer.0.push((axis.name.clone(), value.clone()));
                longer
            };
            combinations
                .iter()
                .flat_map(|combination| axis.values.iter().map(move |value| with(combination, value)))
                .collect()
        })
    }

    /// One more combination, which may have values of its own.
    fn include(&mut self, values: &BTreeMap<Spanned<String>, Spanned<String>>, diagnostics: &mut Diagnostics) {
        for name in values.keys().filter(|name| self.axes.iter().all(|axis| axis.name != *name.get_ref())) {
            let known = self.axes.iter().map(|axis| axis.name.as_str());
            let message = format!("the matrix has no `{}`", name.get_ref());
            diagnostics.push(Diagnostic::unknown(message, name.span(), name.get_ref(), known));
        }
        let span = values.iter().next().map(|(name, value)| name.span().start..value.span().end);
        let mut combination = Combination::default();
        for axis in &mut self.axes {
            let Some(value) = values.get(axis.name.as_str()) else {
                let diagnostic = Diagnostic::new(format!("this combination has no value for `{}`", axis.name), span);
                return diagnostics
                    .push(diagnostic.with_help("one that is included has a value for each name of the matrix"));
            };
            check_value(value, diagnostics);
            if !axis.values.contains(value.get_ref()) {
                axis.values.push(value.get_ref().clone());
            }
            combination.0.push((axis.name.clone(), value.get_ref().clone()));
        }
        if self.combinations.contains(&combination) {
            return diagnostics.push(Diagnostic::new("this combination is there already", span));
        }
        self.combinations.push(combination);
    }

    fn take_control(&mut self, control: Spanned<Selection>, diagnostics: &mut Diagnostics) {
        let (span, control) = (control.span(), control.into_inner());
        let before = diagnostics.len();
        control.check(self, diagnostics);
        let selected = self.combinations.iter().filter(|combination| control.selects(combination)).count();
        if diagnostics.len() == before && (selected == 0 || selected == self.combinations.len()) {
            let message = if selected == 0 { "no combination is a control" } else { "every combination is a control" };
            diagnostics.push(Diagnostic::new(message, span).with_help("name the values with which nothing is broken"));
        }
        self.control = Some(control);
    }
}

impl Axis {
    fn read(
        name: &Spanned<std::borrow::Cow<'_, str>>,
        values: Spanned<DeValue<'_>>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let span = values.span();
        let values: Vec<Spanned<String>> =
            diagnostics.take(Deserialize::deserialize(ValueDeserializer::from(values)))?;
        if values.is_empty() {
            diagnostics.push(Diagnostic::new("a list without values", span));
        }
        let mut known: Vec<String> = Vec::new();
        for value in values {
            check_value(&value, diagnostics);
            if known.contains(value.get_ref()) {
                diagnostics.push(Diagnostic::new("this value is there already", value.span()));
            }
            known.push(value.into_inner());
        }
        let word = name.get_ref().chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if !word {
            diagnostics.push(Diagnostic::new("the name of a variable has letters, digits, _ and - only", name.span()));
        }
        Some(Self { name: name.get_ref().clone().into_owned(), values: known })
    }
}

/// Values are parts of names of cases, of directories and of filters.
fn check_value(value: &Spanned<String>, diagnostics: &mut Diagnostics) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    let text = value.get_ref();
    if text.is_empty() || text.starts_with('.') || !text.chars().all(plain) {
        let diagnostic = Diagnostic::new(format!("`{text}` cannot name a case"), value.span());
        diagnostics.push(
            diagnostic.with_help("a value has letters, digits, ., _, + and - only, and does not begin with a dot"),
        );
    }
}

fn keyword<'t, T: Deserialize<'t>>(table: &mut DeTable<'t>, name: &str, diagnostics: &mut Diagnostics) -> Option<T> {
    let value = table.remove(name)?;
    diagnostics.take(T::deserialize(ValueDeserializer::from(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{FileDiagnostics, plain_text};
    use proptest::prelude::*;

    fn read(matrix: &str) -> Result<Matrix, FileDiagnostics> {
        let text = format!("[matrix]\n{matrix}\n");
        let table = DeTable::parse(&text).unwrap().into_inner().remove("matrix").unwrap();
        let mut diagnostics = Diagnostics::default();
        let matrix = Matrix::read(table, &mut diagnostics);
        diagnostics.or_value(Some(matrix), std::path::Path::new("x.toml"), &text)
    }

    fn names(matrix: &Matrix) -> Vec<String> {
        matrix.combinations().iter().map(ToString::to_string).collect()
    }

    fn nine_lists_of_nine() -> String {
        (0..9).map(|axis| format!("v{axis} = ['1', '2', '3', '4', '5', '6', '7', '8', '9']\n")).collect()
    }

    #[test]
    fn it_is_the_product_in_the_order_of_the_file() {
        let matrix = read("variant = ['kept', 'moved']\nrelease = ['42.3', '15.0']").unwrap();
        let expected = [
            "variant=kept,release=42.3",
            "variant=kept,release=15.0",
            "variant=moved,release=42.3",
            "variant=moved,release=15.0",
        ];
        assert_eq!(names(&matrix), expected);
    }

    #[test]
    fn combinations_are_left_out_and_added() {
        let matrix = read(
            "v = ['a', 'b']\nr = ['1', '2']\nexclude = [{ v = ['b'], r = ['1', '2'] }]\ninclude = [{ v = 'c', r = '1' }]\nfull = [{ v = ['c'] }]\ncontrol = { r = ['2'] }",
        )
        .unwrap();
        assert_eq!(names(&matrix), ["v=a,r=1", "v=a,r=2", "v=c,r=1"]);
        let of = |test: &dyn Fn(&Combination) -> bool| matrix.combinations().iter().map(test).collect::<Vec<_>>();
        assert_eq!(of(&|combination| matrix.is_full(combination)), [false, false, true]);
        assert_eq!(of(&|combination| matrix.is_control(combination) == Some(true)), [false, true, false]);
    }

    proptest! {
        /// As many as the lengths multiply to, each once and none that is left out; a selection selects those with its value.
        #[test]
        fn the_product_is_whole(lengths in prop::collection::vec(1usize..5, 1..5), left_out: prop::sample::Index) {
            let values = |length: usize| (0..length).map(|value| format!("'x{value}'")).collect::<Vec<_>>().join(", ");
            let axes: String =
                lengths.iter().enumerate().map(|(axis, length)| format!("a{axis} = [{}]\n", values(*length))).collect();
            let gone = left_out.index(lengths[0]);
            let matrix = read(&format!("{axes}exclude = [{{ a0 = ['x{gone}'] }}]")).unwrap();
            let all = matrix.combinations();
            let rest: usize = lengths[1..].iter().product();
            prop_assert_eq!(all.len(), (lengths[0] - 1) * rest);
            let names: std::collections::BTreeSet<_> = all.iter().map(ToString::to_string).collect();
            prop_assert_eq!(names.len(), all.len());
            let whole = read(&axes).unwrap();
            prop_assert_eq!(whole.combinations().len(), lengths[0] * rest);
            let gone = format!("x{gone}");
            prop_assert!(all.iter().all(|combination| combination.value("a0") != Some(gone.as_str())));
        }
    }

    #[test]
    fn names_of_variables_may_have_both_kinds_of_dashes() {
        assert_eq!(names(&read("a_b-c = ['1']").unwrap()), ["a_b-c=1"]);
    }

    #[test]
    fn as_many_combinations_as_there_may_be_are_read() {
        let values = |count: usize| (0..count).map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ");
        let matrix = read(&format!("a = [{}]\nb = [{}]", values(MOST / 100), values(100))).unwrap();
        assert_eq!(matrix.combinations().len(), MOST);
    }

    #[rstest::rstest]
    #[case::unknown_axis("v = ['a', 'b']\nexclude = [{ w = ['a'] }]", "the matrix has no `w`")]
    #[case::unknown_value("v = ['kept', 'b']\ncontrol = { v = ['kpet'] }", "did you mean `kept`?")]
    #[case::no_control(
        "v = ['a', 'b']\nexclude = [{ v = ['b'] }]\ncontrol = { v = ['b'] }",
        "no combination is a control"
    )]
    #[case::all_controls("v = ['a']\ncontrol = { v = ['a'] }", "every combination is a control")]
    #[case::a_path("v = ['/etc']", "cannot name a case")]
    #[case::no_value("v = ['']", "cannot name a case")]
    #[case::hidden("v = ['.a']", "cannot name a case")]
    #[case::name_of_two_words("'v w' = ['a']", "the name of a variable")]
    #[case::included_under_an_unknown_name("v = ['a']\ninclude = [{ w = 'b' }]", "the matrix has no `w`")]
    #[case::twice("v = ['a', 'a']", "there already")]
    #[case::included_twice("v = ['a', 'b']\ninclude = [{ v = 'a' }]", "there already")]
    #[case::incomplete("v = ['a']\nw = ['a']\ninclude = [{ v = 'b' }]", "no value for `w`")]
    #[case::number("v = [1]", "expected a string")]
    #[case::empty("", "a matrix without a list")]
    #[case::a_product_beyond_all_bounds(&nine_lists_of_nine(), "more than 10000 combinations")]
    fn mistakes_are_found(#[case] matrix: &str, #[case] words: &str) {
        let text = plain_text(&read(matrix).unwrap_err());
        assert!(text.contains(words), "{text}");
    }
}
