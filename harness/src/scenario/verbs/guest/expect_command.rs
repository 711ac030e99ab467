//! What a command printed, and how it ended.

use crate::scenario::format::step::{OutputLine, Run};
use crate::scenario::verbs::expectation::Instead::Sound;
use crate::scenario::verbs::expectation::Judged;

/// Characters of a command's last line that the verdict on it shows; the results have all of it.
const SHOWN: usize = 160;

/// The end of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printed<'a> {
    /// Its exit status.
    pub(crate) status: i64,
    /// What it printed on standard output.
    pub(crate) stdout: &'a str,
    /// What it printed on standard error.
    pub(crate) stderr: &'a str,
}

impl Printed<'_> {
    /// All that it printed.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.stdout.lines().chain(self.stderr.lines()).map(str::trim)
    }
}

impl Run {
    /// Holds what a command printed against the expectation.
    pub(crate) fn judge(&self, printed: Printed<'_>) -> Judged {
        let said = printed.text();
        let mut judged = Judged::new(format!("status {}", printed.status));
        judged.expect("status", printed.status == self.status, Sound, String::new);
        for text in &self.output_contains {
            judged.expect("output_contains", said.contains(text), Sound, || format!("lacks `{text}`"));
        }
        for text in &self.output_lacks {
            judged.expect("output_lacks", !said.contains(text), Sound, || format!("has `{text}`"));
        }
        if let Some(text) = &self.output_is {
            judged.expect("output_is", said.trim() == text.trim(), Sound, || format!("is not `{}`", text.trim()));
        }
        for line in &self.output_lines {
            let line = line.get_ref();
            let times = printed.lines().filter(|printed| line.is_about(printed)).count();
            judged.expect("output_lines", line.met_by(times), Sound, || {
                format!("{times} lines {line}, not {}", line.wanted())
            });
        }
        if !judged.is_met()
            && let Some(last) = last_words(&said)
        {
            judged.observed += &last;
        }
        judged
    }
}

impl OutputLine {
    /// Whether a printed line, without blanks at its ends, is one of these.
    fn is_about(&self, printed: &str) -> bool {
        self.is.as_ref().is_none_or(|text| printed == text.trim())
            && self.begins.as_ref().is_none_or(|text| printed.starts_with(text.trim_start()))
            && self.contains.as_ref().is_none_or(|text| printed.contains(text))
    }

    fn met_by(&self, times: usize) -> bool {
        self.times.map_or(times > 0, |wanted| times == wanted)
    }

    fn wanted(&self) -> String {
        self.times.map_or_else(|| "one or more".into(), |times| times.to_string())
    }
}

impl std::fmt::Display for OutputLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [("are", &self.is), ("begin with", &self.begins), ("contain", &self.contains)];
        let parts = parts.iter().filter_map(|(verb, text)| text.as_ref().map(|text| format!("{verb} `{text}`")));
        f.write_str(&parts.collect::<Vec<_>>().join(" and "))
    }
}

/// The last line that a command printed, for the verdict on it.
fn last_words(said: &str) -> Option<String> {
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    let shown: String = line.chars().take(SHOWN).collect();
    Some(format!("; last it said `{shown}{}`", if shown.len() < line.len() { "…" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct File {
        run: Run,
    }

    fn judged(keys: &str, status: i64, stdout: &str, stderr: &str) -> Judged {
        let File { run } = toml::from_str(&format!("run = {{ command = 'x'{keys} }}")).unwrap();
        run.judge(Printed { status, stdout, stderr })
    }

    #[rstest::rstest]
    #[case::nothing("", None)]
    #[case::blank("\n \n", None)]
    #[case::the_last("one\ntwo\n\n", Some("; last it said `two`"))]
    fn what_a_command_said_last(#[case] said: &str, #[case] expected: Option<&str>) {
        assert_eq!(last_words(said).as_deref(), expected);
    }

    #[test]
    fn a_long_line_is_cut() {
        let words = last_words(&"é".repeat(SHOWN + 1)).unwrap();
        assert_eq!(words, format!("; last it said `{}…`", "é".repeat(SHOWN)));
    }

    #[rstest::rstest]
    #[case::status(", status = 3", 0, "a\n", "status 0; last it said `a`")]
    #[case::contains(", output_contains = ['a', 'b']", 0, "a\n", "status 0; last it said `a`; lacks `b`")]
    #[case::lacks(", output_lacks = ['b', 'a']", 0, "a\n", "status 0; last it said `a`; has `a`")]
    #[case::a_number_is_no_part_of_one(", output_is = '2'", 0, "12\n", "status 0; last it said `12`; is not `2`")]
    #[case::words_elsewhere(
        ", output_lines = [{ begins = 'active' }]",
        0,
        "inactive\n",
        "status 0; last it said `inactive`; 0 lines begin with `active`, not one or more"
    )]
    #[case::too_many(
        ", output_lines = [{ is = 'a', times = 1 }]",
        0,
        "a\nb\n a \n",
        "status 0; last it said `a`; 2 lines are `a`, not 1"
    )]
    #[case::not_one_line_has_both(
        ", output_lines = [{ begins = 'a', contains = 'b' }]",
        0,
        "a\nb\n",
        "status 0; last it said `b`; 0 lines begin with `a` and contain `b`, not one or more"
    )]
    fn what_is_not_met_is_told(#[case] keys: &str, #[case] status: i64, #[case] stdout: &str, #[case] expected: &str) {
        let judged = judged(keys, status, stdout, "");
        assert_eq!((judged.answered().as_str(), judged.is_met()), (expected, false));
    }

    #[rstest::rstest]
    #[case::plain("", 0, "", "")]
    #[case::failing_as_it_should(", status = 1", 1, "", "")]
    #[case::both_streams(", output_contains = ['a', 'b'], output_lacks = ['c']", 0, "a", "b")]
    #[case::exactly(", output_is = '2'", 0, " 2\n", "")]
    #[case::printing_nothing(", output_is = ''", 0, "\n", "")]
    #[case::a_line_of_many(", output_lines = [{ is = 'a' }, { begins = 'b', times = 2 }]", 0, "x\na\nb1", "b2")]
    #[case::none_of_these(", output_lines = [{ contains = 'z', times = 0 }]", 0, "x\n", "")]
    fn what_is_met(#[case] keys: &str, #[case] status: i64, #[case] stdout: &str, #[case] stderr: &str) {
        let judged = judged(keys, status, stdout, stderr);
        assert!(judged.is_met(), "{judged:?}");
    }
}
