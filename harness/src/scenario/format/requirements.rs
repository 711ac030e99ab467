//! The rows of the specification: the systems and events that scenarios cover.

use crate::diagnostic::{Diagnostic, Diagnostics};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use toml::Spanned;

/// The list that stands in the repository.
const TEXT: &str = include_str!("../../../../docs/requirements.toml");

/// Rows that belong together.
#[derive(Debug, Deserialize)]
pub struct Chapter {
    /// What they are about.
    pub title: String,
    #[serde(flatten)]
    sentences: BTreeMap<String, String>,
}

static CHAPTERS: LazyLock<Vec<Chapter>> = LazyLock::new(|| {
    let chapters: BTreeMap<Spanned<String>, Chapter> = toml::from_str(TEXT).expect("a test has read it");
    let mut chapters: Vec<_> = chapters.into_iter().collect();
    chapters.sort_by_key(|(name, _)| name.span().start);
    chapters.into_iter().map(|(_, chapter)| chapter).collect()
});

impl Chapter {
    /// Its rows in order: identifier and sentence.
    #[must_use]
    pub fn rows(&self) -> Vec<(&str, &str)> {
        let mut rows: Vec<_> = self.sentences.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        rows.sort_by_key(|(id, _)| (id.len(), *id));
        rows
    }
}

/// All rows, by chapter.
#[must_use]
pub fn chapters() -> &'static [Chapter] {
    &CHAPTERS
}

/// `row` is one of them.
pub(crate) fn check(row: &Spanned<String>, diagnostics: &mut Diagnostics) {
    let rows = || CHAPTERS.iter().flat_map(Chapter::rows).map(|(id, _)| id);
    if !rows().any(|known| known == row.get_ref()) {
        let message = format!("the specification has no row `{}`", row.get_ref());
        let help = "docs/requirements.toml has them all, from M1 to C14";
        diagnostics.push(Diagnostic::new(message, row.span()).with_help(help));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_are_there_in_order() {
        let counts: Vec<_> = chapters().iter().map(|chapter| chapter.rows().len()).collect();
        assert_eq!(counts, [11, 10, 11, 14]);
        let rows = chapters()[0].rows();
        let first: Vec<_> = rows.iter().map(|(id, _)| *id).collect();
        assert_eq!(first, ["M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8", "M9", "M10", "M14"]);
    }
}
