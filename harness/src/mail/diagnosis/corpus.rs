//! Evidence of broken and of healthy servers, and what must be said of each: the score of the rules.
//!
//! `corpus/*.toml` holds what distinguishes a case from `corpus/healthy.txt`. The table of all of them is in docs/diagnose.md.

use super::{Diagnosis, Evidence, Login, RootCause, Service, diagnose};
use serde::Deserialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// A server, and what must be said of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What is wrong there, in words.
    name: String,
    user: Option<String>,
    /// Sections that are not there.
    #[serde(default)]
    drop: Vec<String>,
    /// Sections that replace those of the same kind and path, or are added.
    #[serde(default)]
    set: Vec<(String, String)>,
    /// The answers of the directory's servers, instead of the healthy ones.
    #[serde(default)]
    servers: Option<Vec<(String, String)>>,
    /// Lines of the log, without date and host.
    #[serde(default)]
    log: String,
    /// The cause and its certainty.
    imap: String,
    smtp: String,
    /// Words that the answer must have.
    #[serde(default)]
    shows: Vec<String>,
    /// Words that it must not have.
    #[serde(default)]
    lacks: Vec<String>,
}

impl Case {
    fn evidence(&self, healthy: &str) -> Evidence {
        let mut sections = sections(healthy);
        let user = self.user.as_deref().unwrap_or("erin");
        put(&mut sections, &format!("user {user}"), "");
        sections.retain(|(head, _)| !self.drop.iter().any(|drop| head.starts_with(drop.as_str())));
        for (head, text) in &self.set {
            put(&mut sections, head, text);
        }
        if let Some(servers) = &self.servers {
            let at = sections
                .iter()
                .position(|(head, _)| head.starts_with("name "))
                .expect("the healthy one has a directory");
            sections.retain(|(head, _)| !["name", "connect", "tls", "entry"].contains(&kind(head)));
            let answers = servers.iter().map(|(head, text)| (head.clone(), text.lines().map(str::to_owned).collect()));
            sections.splice(at..at, answers);
        }
        let log: String =
            self.log.lines().map(|line| format!("2026-03-02T{}\n", line.replacen(' ', "+0000 post ", 1))).collect();
        put(&mut sections, "log", &log);
        let mut text = "@rehearsal-evidence 1 post post.sea.test\n".to_owned();
        for (head, lines) in &sections {
            writeln!(text, "@{head}").unwrap();
            for line in lines {
                writeln!(text, "|{line}").unwrap();
            }
        }
        Evidence::read(&(text + "@end\n")).unwrap()
    }

    fn diagnoses(&self, healthy: &str) -> [(Diagnosis, &str); 2] {
        let evidence = self.evidence(healthy);
        [(Service::Imap, &self.imap), (Service::Smtp, &self.smtp)].map(|(service, expected)| {
            (diagnose(Login { user: evidence.user(), service }, &evidence, None), expected.as_str())
        })
    }
}

fn kind(head: &str) -> &str {
    head.split(' ').next().unwrap_or(head)
}

fn sections(text: &str) -> Vec<(String, Vec<String>)> {
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix('@'), line.strip_prefix('|')) {
            (Some(head), _) => sections.push((head.trim().to_owned(), Vec::new())),
            (_, Some(line)) => sections.last_mut().unwrap().1.push(line.to_owned()),
            _ => {}
        }
    }
    sections
}

/// Replaces the section of the same kind and path, or adds one.
fn put(sections: &mut Vec<(String, Vec<String>)>, head: &str, text: &str) {
    let key = |head: &str| {
        let words = if ["file", "socket", "groups", "absent"].contains(&kind(head)) { 2 } else { 1 };
        head.split(' ').take(words).map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = text.lines().map(str::to_owned).collect();
    match sections.iter_mut().find(|(of, _)| key(of) == key(head)) {
        Some(section) => *section = (head.to_owned(), lines),
        None => sections.push((head.to_owned(), lines)),
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mail/diagnosis/corpus")
}

/// All cases by the file that they are in.
fn corpus() -> Vec<(String, Vec<Case>)> {
    let mut paths: Vec<_> = fs_err::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let tables = paths.iter().filter(|path| path.extension().is_some_and(|end| end == "toml"));
    tables
        .map(|path| {
            let file: File = toml::from_str(&fs_err::read_to_string(path).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.file_stem().unwrap().to_string_lossy().into_owned(), file.case)
        })
        .collect()
}

/// The cause and the certainty, as the corpus writes them.
fn answer(diagnosis: &Diagnosis) -> String {
    let cause = serde_json::to_value(diagnosis.cause()).unwrap();
    let certainty = diagnosis.findings.first().map(|finding| format!(" {}", finding.certainty)).unwrap_or_default();
    format!("{}{certainty}", cause.as_str().unwrap())
}

/// How an answer compares with the expected one. Only what names another cause, or none beside a refusal, is wrong.
fn score(diagnosis: &Diagnosis, expected: &str) -> &'static str {
    let (given, wanted) = (answer(diagnosis), expected.split(' ').next().unwrap_or_default());
    match diagnosis.cause() {
        _ if given.split(' ').next() == Some(wanted) => "right",
        RootCause::Unexplained if wanted != "nothing" => "unexplained",
        _ => "wrong",
    }
}

fn healthy() -> String {
    fs_err::read_to_string(directory().join("healthy.txt")).unwrap()
}

#[test]
fn every_case_has_its_answer() {
    let healthy = healthy();
    let mut mistakes = Vec::new();
    for (file, cases) in corpus() {
        for case in cases {
            let diagnoses = case.diagnoses(&healthy);
            let text = diagnoses.each_ref().map(|(diagnosis, _)| diagnosis.to_string()).join("\n");
            let as_expected = diagnoses.iter().all(|(diagnosis, expected)| answer(diagnosis) == *expected);
            let shown = case.shows.iter().all(|words| text.contains(words.as_str()));
            let hidden = !case.lacks.iter().any(|words| text.contains(words.as_str()));
            if !(as_expected && shown && hidden) {
                let expected = format!(
                    "imap = {}, smtp = {}, shows {:?}, lacks {:?}",
                    case.imap, case.smtp, case.shows, case.lacks
                );
                mistakes.push(format!("{file}: {}\nexpected {expected}\n{text}\n", case.name));
            }
        }
    }
    assert!(mistakes.is_empty(), "{} cases:\n\n{}", mistakes.len(), mistakes.join("\n"));
}

#[test]
fn no_finding_is_without_evidence_and_cure() {
    let healthy = healthy();
    for (diagnosis, _) in corpus().iter().flat_map(|(_, cases)| cases).flat_map(|case| case.diagnoses(&healthy)) {
        assert!(
            diagnosis.findings.iter().all(|finding| !finding.evidence.is_empty() && !finding.cure.is_empty()),
            "{diagnosis}"
        );
        assert!(diagnosis.cause() != RootCause::Unexplained || !diagnosis.unexplained.is_empty(), "{diagnosis}");
    }
}

/// The table of docs/diagnose.md. `REHEARSAL_SCORE=write` writes it anew.
#[test]
fn the_score_in_the_documentation_is_the_real_one() {
    let healthy = healthy();
    let (mut table, mut counts) =
        (String::from("| part | what is wrong | IMAP | SMTP | score |\n|---|---|---|---|---|\n"), [0; 3]);
    for (file, cases) in corpus() {
        for case in cases {
            let diagnoses = case.diagnoses(&healthy);
            let scores = diagnoses.each_ref().map(|(diagnosis, expected)| score(diagnosis, expected));
            let names = ["right", "unexplained", "wrong"];
            let worst =
                scores.iter().filter_map(|score| names.iter().position(|name| name == score)).max().unwrap_or_default();
            counts[worst] += 1;
            let [imap, smtp] = diagnoses.each_ref().map(|(diagnosis, _)| answer(diagnosis));
            writeln!(table, "| {file} | {} | {imap} | {smtp} | {} |", case.name, names[worst]).unwrap();
        }
    }
    let [right, unexplained, wrong] = counts;
    assert_eq!(wrong, 0, "{table}");
    let total = right + unexplained + wrong;
    let text = format!(
        "<!-- score -->\n{total} cases: {right} right, {unexplained} unexplained, {wrong} wrong.\n\n{table}<!-- end -->"
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/diagnose.md");
    let page = fs_err::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- score -->").expect("the page has a place for the score");
    let (_, after) = rest.split_once("<!-- end -->").expect("the place ends");
    let wanted = format!("{before}{text}{after}");
    if std::env::var("REHEARSAL_SCORE").is_ok_and(|word| word == "write") {
        fs_err::write(&path, &wanted).unwrap();
    } else {
        assert_eq!(page, wanted, "REHEARSAL_SCORE=write cargo test -p rehearsal-harness score_in_the_documentation");
    }
}
