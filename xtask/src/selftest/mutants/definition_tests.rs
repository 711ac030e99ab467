use super::*;
use rstest::rstest;

const MUTANT: &str = r#"
[[mutant]]
name = "deaf"
breaks = "postfix does not run"
story = "logins"
case = "logins::main"
on = "mail"
command = "systemctl stop postfix"
probe = "! systemctl is-active postfix"
noticed_by = "every unit is active"
answer_contains = "postfix is inactive"
"#;

fn load(role: &str, text: &str) -> anyhow::Result<Mutants> {
    let directory = tempfile::tempdir()?;
    fs_err::write(directory.path().join(format!("{role}.toml")), text)?;
    Mutants::load_from(directory.path())
}

#[test]
fn reads_a_mutant_and_finds_its_step() {
    let mutants = load("mail", MUTANT).unwrap();
    let mutation = mutants.mutants[0].mutation();
    assert_eq!((mutation.before, mutation.noticed_by), (0, 0));
}

#[rstest]
#[case::no_case("mail", "logins::main", "logins", "names no case")]
#[case::unknown_case("mail", "logins::main", "logins::other", "no such case")]
#[case::unknown_scenario("mail", "logins::main", "nowhere::main", "there is no scenario `nowhere`")]
#[case::unknown_step("mail", "every unit is active", "nobody says so", "has no step \"nobody says so\"")]
#[case::unknown_machine("mail", "on = \"mail\"", "on = \"edge\"", "its lab has no machine `edge`")]
#[case::another_role("directory", "deaf", "deaf", "belongs into mail.toml")]
#[case::no_reason("mail", "\"postfix is inactive\"", "\" \"", "`answer_contains` is empty")]
#[case::unknown_key("mail", "story", "colour = 1\nstory", "unknown field `colour`")]
#[case::too_late(
    "mail",
    "story",
    "before = \"alice logs in by SMTP\"\nstory",
    "it comes after step \"every unit is active\""
)]
fn refuses_what_is_not_there(#[case] role: &str, #[case] from: &str, #[case] to: &str, #[case] words: &str) {
    let error = load(role, &MUTANT.replacen(from, to, 1)).err().unwrap();
    let text = format!("{error:#}");
    assert!(text.contains(words) && text.contains(&format!("{role}.toml")), "{text}");
}

#[test]
fn refuses_two_of_the_same_name() {
    let error = load("mail", &[MUTANT, MUTANT].concat()).err().unwrap();
    assert!(error.to_string().contains("another mutant has this name"), "{error}");
}

#[test]
fn refuses_a_step_that_the_control_leaves_out() {
    let text = MUTANT.replace("logins::main", "pam-loss::control");
    let text = text.replace("every unit is active", "both files vanish without a backup");
    let error = load("mail", &text).err().unwrap();
    assert!(error.to_string().contains("the case leaves out the step"), "{error}");
}

#[test]
fn refuses_a_machine_inside_another() {
    let text = MUTANT.replace("logins::main", "encrypted-close::main");
    let text = text.replace("every unit is active", "the administrator makes the mailbox");
    let error = load("mail", &text).err().unwrap();
    assert!(error.to_string().contains("break the machine that runs it"), "{error}");
}

#[test]
fn the_projects_mutants_cover_all_roles_and_stories() {
    let mutants = Mutants::load().unwrap().mutants;
    assert!(mutants.len() >= 40, "there are {} mutants", mutants.len());
    let roles: BTreeSet<_> = mutants.iter().map(|placed| placed.role.as_str()).collect();
    let missing: Vec<_> = roles_of_the_project().into_iter().filter(|role| !roles.contains(role.as_str())).collect();
    assert!(missing.is_empty(), "no mutant breaks a machine with the role {missing:?}");
    for story in [Story::Logins, Story::Upgrade, Story::Egress, Story::Encryption] {
        assert!(mutants.iter().any(|placed| placed.mutant.story == story), "no mutant belongs to the story {story}");
    }
}

fn roles_of_the_project() -> Vec<String> {
    let entries = fs_err::read_dir(project("cloud-init")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
