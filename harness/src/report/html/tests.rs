use super::super::model::samples::{case, mixed, report, step};
use super::*;
use crate::results::{Part, StepOutcome, StepResult};

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = render(&mixed());
    for word in ["http:", "https:", "=\"//", "@import", "url(", "<link", "<img", "<iframe"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_body_of_a_page_reads_well() {
    let page = render(&mixed());
    let main = page.split_once("<main").unwrap().1.split_once("</main>").unwrap().0;
    insta::assert_snapshot!(main.replace("><", ">\n<"));
}

#[test]
fn what_a_guest_says_is_neither_markup_nor_steering() {
    let said = "NO </pre><script>alert(1)</script>\u{1b}[31m\u{202e}\"'><img src=x onerror=alert(2)>";
    let hostile = StepResult {
        name: said.into(),
        machine: said.into(),
        asked: said.into(),
        transcript: Some(format!("S: {said}\nC: {said}")),
        files: vec![format!("{said}/../javascript:alert(3)")],
        phase: Some(said.into()),
        part: Part::Symptom,
        ..step(2, StepOutcome::Failed, said)
    };
    let mut one = case("fault", Verdict::Failed, Some(said), vec![step(1, StepOutcome::Passed, "OK"), hostile]);
    one.result.summary = said.into();
    one.result.covers = vec![said.into()];
    one.files = vec![super::super::model::LogFile { path: format!("a/{said}"), bytes: 1 }];
    let page = render(&report(vec![one]));
    let body = page.split_once("<body").unwrap().1.split_once("<script>").unwrap().0;
    assert!(body.contains("&lt;script&gt;alert(1)"), "it is shown");
    for harm in ["<script", "<img", "\u{1b}", "\u{202e}", "href=\"javascript", "\"'>"] {
        assert!(!body.contains(harm), "{harm:?}");
    }
    assert_eq!(page.matches("<script>").count(), 1);
}

#[rstest::rstest]
#[case(mixed(), "1 of 2 cases failed")]
#[case(report(Vec::new()), "No case ran")]
#[case(report(vec![case("main", Verdict::Passed, None, Vec::new())]), "The case passed")]
fn the_title_is_the_verdict(#[case] report: Report, #[case] words: &str) {
    assert_eq!(title(&report), words);
    assert!(render(&report).contains(words));
}
