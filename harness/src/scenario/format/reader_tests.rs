use super::*;
use crate::diagnostic::plain_text;

/// A scenario in the project's own lab.
fn load(text: &str) -> Result<Scenario, ScenarioError> {
    let directory = tempfile::tempdir().unwrap();
    let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/labs/mail-lan.toml");
    std::fs::create_dir(directory.path().join("labs")).unwrap();
    std::fs::copy(labs, directory.path().join("labs/mail-lan.toml")).unwrap();
    let path = directory.path().join("x.toml");
    std::fs::write(&path, text).unwrap();
    Scenario::load(&path)
}

fn in_lab(rest: &str) -> String {
    format!("summary = \"x\"\nlab = \"mail-lan\"\n{rest}\n")
}

fn message(text: &str) -> String {
    plain_text(&load(text).unwrap_err())
}

#[rstest::rstest]
#[case::machine("name = \"a\"\non = \"mial\"\ndo.units = { active = [] }", "did you mean `mail`", "line 5")]
#[case::account(
    "name = \"a\"\non = \"mail\"\ndo.imap = { user = \"eve\", expect = \"accepted\" }",
    "no account `eve`",
    "line 6"
)]
#[case::key(
    "name = \"a\"\non = \"mail\"\ndo.imap = { user = \"alice\", expects = \"accepted\" }",
    "did you mean `expect`?",
    "line 6"
)]
#[case::no_machine("name = \"a\"\ndo.units = { active = [] }", "needs `on`", "line 4")]
#[case::machine_for_the_lab(
    "name = \"a\"\non = \"mail\"\ndo.checkpoint = { name = \"x\" }",
    "concerns the whole lab",
    "line 5"
)]
#[case::no_checkpoint("name = \"a\"\ndo.rewind = { to = \"x\" }", "no earlier step makes a checkpoint `x`", "line 5")]
#[case::verb("name = \"a\"\non = \"mail\"\ndo.imaap = { user = \"alice\" }", "unknown verb `imaap`", "line 6")]
#[case::answer(
    "name = \"a\"\non = \"mail\"\ndo.imap = { user = \"alice\", expect = \"yes\" }",
    "`yes` is no value",
    "line 6"
)]
#[case::because_of_a_refusal(
    "name = \"a\"\non = \"mail\"\ndo.imap = { user = \"alice\", expect = \"refused\", because = \"expired\" }",
    "goes with `expect = \"untrusted\"`",
    "line 6"
)]
#[case::because_of_what(
    "name = \"a\"\non = \"mail\"\ndo.smtp = { user = \"alice\", expect = \"untrusted\", because = \"old\" }",
    "`old` is no value",
    "line 6"
)]
#[case::untrusted_by_ssh(
    "name = \"a\"\non = \"mail\"\ndo.ssh = { user = \"alice\", expect = \"untrusted\" }",
    "expect \"accepted\" or \"refused\"",
    "line 6"
)]
#[case::accepted_and_seen_nowhere(
    "name = \"a\"\non = \"mail\"\ndo.deliver = { to = \"alice\" }",
    "write `seen = \"imap\"`",
    "line 6"
)]
#[case::refused_and_seen(
    "name = \"a\"\non = \"mail\"\ndo.deliver = { to = \"alice\", seen = \"spool\", expect = \"refused\" }",
    "leave `seen` out",
    "line 6"
)]
#[case::tls_of_a_user(
    "name = \"a\"\non = \"mail\"\ndo.deliver = { from = \"bob\", to = \"alice\", seen = \"imap\", tls = \"none\" }",
    "leave out `tls`, or `from`",
    "line 6"
)]
#[case::clock_of_nobody(
    "name = \"a\"\non = \"mail\"\ndo.deliver = { to = \"alice\", seen = \"spool\", clock = \"guest\" }",
    "with `tls = \"verified\"`",
    "line 6"
)]
#[case::untrusted_by_nobody(
    "name = \"a\"\non = \"mail\"\ndo.deliver = { to = \"alice\", expect = \"untrusted\" }",
    "takes any certificate",
    "line 6"
)]
#[case::symptom_without_control(
    "name = \"a\"\non = \"mail\"\nsymptom = true\ndo.units = { active = [] }",
    "no control in which it must not show",
    "line 4"
)]
#[case::two_times(
    "name = \"a\"\non = \"mail\"\nwithin = \"3 s\"\nnever = \"3 s\"\ndo.units = { active = [] }",
    "only one of",
    "line 7"
)]
#[case::repeated_deed(
    "name = \"a\"\non = \"mail\"\nwithin = \"3 s\"\ndo.delete = { paths = [\"/x\"] }",
    "is done once",
    "line 6"
)]
#[case::no_time(
    "name = \"a\"\non = \"mail\"\nwithin = \"soon\"\ndo.units = { active = [] }",
    "as in \"30 s\"",
    "line 6"
)]
#[case::unknown_row(
    "name = \"a\"\non = \"mail\"\ncovers = [\"U11\"]\ndo.units = { active = [] }",
    "no row `U11`",
    "line 6"
)]
#[case::two_verbs(
    "name = \"a\"\non = \"mail\"\ndo = { units = { active = [] }, link = \"cut\" }",
    "2 verbs in one step",
    "line 6"
)]
#[case::relative_path("name = \"a\"\non = \"mail\"\ndo.delete = { paths = [\"etc\"] }", "no absolute path", "line 6")]
#[case::mode(
    "name = \"a\"\non = \"mail\"\ndo.write = { path = \"/x\", content = \"\", mode = \"rw\" }",
    "no permissions",
    "line 6"
)]
#[case::wrong_kind(
    "name = \"a\"\non = \"mail\"\nfault = \"yes\"\ndo.link = \"cut\"",
    "expected true or false, found a text",
    "line 6"
)]
#[case::symptom_of_a_deed(
    "name = \"a\"\non = \"mail\"\nsymptom = true\ndo.link = \"cut\"",
    "nothing that could be a symptom",
    "line 4"
)]
#[case::no_invariant(
    "name = \"a\"\non = \"mail\"\ndisturbs = [\"x\"]\ndo.link = \"cut\"",
    "no invariant `x`",
    "line 6"
)]
#[case::on_without_off("name = \"a\"\non = \"mail\"\ndo.power = \"on\"", "no earlier step switches mail off", "line 4")]
#[case::asked_while_off(
    "name = \"a\"\non = \"mail\"\ndo.power = \"cut\"\n[[step]]\nname = \"b\"\non = \"mail\"\ndo.run = { command = \"true\" }",
    "mail is off since",
    "line 8"
)]
fn mistakes_have_a_place(#[case] step: &str, #[case] words: &str, #[case] place: &str) {
    let message = message(&in_lab(&format!("[[step]]\n{step}")));
    assert!(message.contains(words) && message.contains(place), "{message}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let step = "[[step]]\nname = \"a\"\non = \"mial\"\ndo.units = { active = [] }\n";
    let other = "[[step]]\nname = \"a\"\non = \"mail\"\ndo.units = { actve = [] }\n";
    let message = message(&in_lab(&format!("{step}{other}{step}")));
    assert!(message.contains("3 mistakes"), "{message}");
}

const VARIANTS: &str = r#"
tier = "full"
[matrix]
service = ["imap", "smtp"]
variant = ["dropped", "kept"]
exclude = [{ service = ["smtp"], variant = ["dropped"] }]
control = { variant = ["kept"] }
[[step]]
name = "the file of ${service} is ${variant}"
on = "mail"
do.run = { command = "rm /etc/pam.d/${service}; echo $${HOME}" }
when = { variant = ["dropped"] }
[[step]]
name = "alice is refused"
on = "mail"
symptom = true
do.imap = { user = "alice", expect = "refused" }
"#;

#[test]
fn a_matrix_gives_cases_with_values_and_controls() {
    let scenario = load(&in_lab(VARIANTS)).unwrap();
    let cases: Vec<_> =
        scenario.cases.iter().map(|case| (case.name.as_str(), case.kind, case.tier, case.steps.len())).collect();
    assert_eq!(
        cases,
        [
            ("service=imap,variant=dropped", Kind::Fault, Tier::Full, 2),
            ("service=imap,variant=kept", Kind::Control, Tier::Full, 1),
            ("service=smtp,variant=kept", Kind::Control, Tier::Full, 1),
        ]
    );
    let step = &scenario.cases[0].steps[0];
    assert_eq!(step.name.get_ref(), "the file of imap is dropped");
    assert!(matches!(&step.action, Action::Run(run) if run.command == "rm /etc/pam.d/imap; echo ${HOME}"));
}

#[test]
fn faults_have_controls_for_each_combination() {
    let text = VARIANTS.replace("control = { variant = [\"kept\"] }\n", "").replace("symptom = true", "fault = true");
    let scenario = load(&in_lab(&text)).unwrap();
    let names: Vec<_> = scenario.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names[..2], ["service=imap,variant=dropped,fault", "service=imap,variant=dropped,control"]);
    assert_eq!(names.len(), 6);
}

#[test]
fn unknown_variables_and_values_are_mistakes() {
    let message = message(&in_lab(
        &VARIANTS.replace("pam.d/${service}", "pam.d/${servise}").replace("[\"dropped\"] }\n[[", "[\"droped\"] }\n[["),
    ));
    assert!(message.contains("did you mean `service`?") && message.contains("did you mean `dropped`?"), "{message}");
}

const INVARIANT: &str = r#"
[[invariant]]
name = "alice can log in"
on = "mail"
do.imap = { user = "alice", expect = "accepted" }
[[step]]
name = "the cable is pulled"
on = "mail"
disturbs = ["alice can log in"]
do.link = "cut"
[[step]]
name = "and plugged in"
on = "mail"
restores = ["alice can log in"]
do.link = "restored"
"#;

#[test]
fn invariants_are_in_every_case() {
    let scenario = load(&in_lab(INVARIANT)).unwrap();
    assert_eq!(scenario.cases[0].invariants[0].name.get_ref(), "alice can log in");
}

#[rstest::rstest]
#[case::misspelt(
    "disturbs = [\"alice can log in\"]",
    "disturbs = [\"alice can login\"]",
    "did you mean `alice can log in`?"
)]
#[case::not_disturbed("disturbs = [\"alice can log in\"]\n", "", "no earlier step disturbs")]
#[case::a_deed("do.imap = { user = \"alice\", expect = \"accepted\" }", "do.link = \"cut\"", "an invariant only looks")]
#[case::no_fault("do.imap =", "fault = true\ndo.imap =", "unknown key `fault`")]
fn mistakes_about_invariants(#[case] good: &str, #[case] bad: &str, #[case] words: &str) {
    let message = message(&in_lab(&INVARIANT.replace(good, bad)));
    assert!(message.contains(words), "{message}");
}

#[test]
fn a_lab_may_stand_in_the_scenario() {
    let text = r#"
summary = "x"
[topology]
domain = "lan.test"
accounts = ["alice"]
[[topology.segment]]
name = "lan"
prefix = "10.20.0.0/24"
[[topology.machine]]
name = "mail"
image = "mail"
role = "mail"
segment = "lan"
address = "10.20.0.10"
memory_mib = 1024
processors = 2
[[step]]
name = "it answers"
on = "mail"
do.run = { command = "true" }
"#;
    let scenario = load(text).unwrap();
    assert_eq!(scenario.cases[0].lab.topology.name, "x");
    let message = message(&text.replace("[topology]", "lab = \"mail-lan\"\n[topology]"));
    assert!(message.contains("two labs"), "{message}");
}

#[test]
fn the_projects_own_scenarios_are_good() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let scenario = Scenario::load(&directory.join("pam-loss.toml")).unwrap();
    let cases: Vec<_> = scenario.cases.iter().map(|case| (case.name.as_str(), case.kind)).collect();
    assert_eq!(cases, [("fault", Kind::Fault), ("control", Kind::Control)]);
    assert!(scenario.covers().iter().any(|row| row == "U3"));
}
