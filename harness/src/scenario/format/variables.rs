//! Variables in the texts of a scenario: `${name}` stands for the value that the matrix gives it in a case.

use super::matrix::Combination;
use crate::diagnostic::{Diagnostic, Diagnostics};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeValue};

/// Puts values in the place of variables, in every text below `value`. In `source`, the text of the file, a variable
/// that nobody has given a value is pointed at.
pub(crate) fn fill_in(
    value: &mut Spanned<DeValue<'_>>,
    given: &Combination,
    source: &str,
    diagnostics: &mut Diagnostics,
) {
    let span = value.span();
    match value.get_mut() {
        DeValue::String(text) if text.contains("${") => {
            *text = DeString::Owned(filled(text, given, |name| {
                diagnostics.push(unknown(name, span.clone(), given, source));
            }));
        }
        DeValue::Array(items) => items.iter_mut().for_each(|item| fill_in(item, given, source, diagnostics)),
        DeValue::Table(entries) => entries.iter_mut().for_each(|(_, entry)| fill_in(entry, given, source, diagnostics)),
        _ => {}
    }
}

/// `text` with its values. `$${` stands for `${`, as shells write it.
fn filled(text: &str, given: &Combination, mut unknown: impl FnMut(&str)) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = (&rest[..start], &rest[start + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            result += before;
            result += "${";
            rest = from;
            continue;
        }
        result += before;
        let (name, after) = from.split_once('}').unwrap_or((from, ""));
        match given.value(name) {
            Some(value) => result += value,
            None => unknown(name),
        }
        rest = after;
    }
    result + rest
}

fn unknown(name: &str, span: Range<usize>, given: &Combination, source: &str) -> Diagnostic {
    // Escapes of TOML do not occur in a variable: what stands in the file is what was read.
    let written = format!("${{{name}");
    let place = source.get(span.clone()).and_then(|text| text.find(&written));
    let span = place.map_or(span.clone(), |at| span.start + at..span.start + at + written.len() + 1);
    let diagnostic = Diagnostic::unknown(format!("the matrix has no `{name}`"), span, name, given.names());
    let help = diagnostic.help.clone().unwrap_or_default();
    diagnostic.with_help(format!("{help}; for a variable of the shell write ${name} or $${{{name}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::one("rm /etc/pam.d/${service}", "rm /etc/pam.d/imap")]
    #[case::two("${service}${variant}!", "imapmoved!")]
    #[case::of_the_shell("echo $HOME $${service} $service", "echo $HOME ${service} $service")]
    #[case::none("cost: 5 $", "cost: 5 $")]
    fn values_are_put_in(#[case] text: &str, #[case] expected: &str) {
        let given = Combination::of(&[("service", "imap"), ("variant", "moved")]);
        assert_eq!(filled(text, &given, |name| panic!("{name}")), expected);
    }

    #[test]
    fn an_unknown_one_is_pointed_at() {
        let source = "x = { command = \"ls ${varaint}\" }";
        let mut document = toml::de::DeTable::parse(source).unwrap().into_inner();
        let value = document.get_mut("x").unwrap();
        let mut diagnostics = Diagnostics::default();
        fill_in(value, &Combination::of(&[("variant", "moved")]), source, &mut diagnostics);
        let mistakes = diagnostics.or_value(Some(()), std::path::Path::new("x.toml"), source).unwrap_err();
        let text = crate::diagnostic::plain_text(&mistakes);
        assert!(text.contains("did you mean `variant`?") && text.contains("columns 21 to 30"), "{text}");
    }

    #[test]
    fn texts_in_lists_and_tables_are_filled_in_too() {
        let source = "x = { paths = [\"/etc/${service}\", \"/etc/a\"], number = 1 }";
        let mut document = toml::de::DeTable::parse(source).unwrap().into_inner();
        let mut diagnostics = Diagnostics::default();
        let value = document.get_mut("x").unwrap();
        fill_in(value, &Combination::of(&[("service", "imap")]), source, &mut diagnostics);
        let paths = value.get_ref().get("paths").unwrap();
        let texts: Vec<_> = (0..2).map(|index| paths.get_ref().get(index).unwrap().get_ref().as_str()).collect();
        assert_eq!((texts, diagnostics.is_empty()), (vec![Some("/etc/imap"), Some("/etc/a")], true));
    }
}
