//! The page that lists all mutants, made from their files.

use super::definition::Mutants;
use std::fmt::Write as _;

const BEGIN: &str = "\
# Mutants of the labs

This page is made from `scenarios/mutants/*.toml`: `cargo xtask docs` writes it, and a test says when it is not current.

A check that cannot fail proves nothing. A *mutant* breaks a lab on purpose, by one command in one machine, and names the step that must
fail for it, and why. `cargo xtask selftest mutants` applies each to a freshly thawed lab, runs its case up to that step, and demands just
that failure. CI tries a sixteenth of those of quick cases in each run, another part each day.

## Adding one

A mutant stands in the file of the role that it breaks, `scenarios/mutants/<role>.toml`:

```toml
[[mutant]]
name = \"ssh-takes-no-passwords\"
breaks = \"sshd takes no passwords at all\"
story = \"logins\"                    # or upgrade, egress, encryption
case = \"logins::main\"               # the quickest case that must notice
on = \"mail\"
command = \"…\"                       # breaks the machine, as root
probe = \"…\"                         # fails in a sound machine, and succeeds in the broken one
noticed_by = \"a local account's password is accepted by ssh\"
answer_contains = \"refused\"         # why that step fails
```

- `before = \"the name of a step\"` applies it there; without it, before the first step. Kept checkpoints from before that step are used,
  and none of a broken lab is kept.
- The probe is run before the command, and must fail there; after it, and must succeed. So a mutant that breaks nothing is an error of its own.
- The step that is to notice waits 3 s, at most, stretched by the host's pace, whatever its `within` says.
- Try it alone: `cargo xtask selftest mutants --only NAME`. If it survives, narrow the step's expectation, or add a step.
- `cargo xtask docs` puts it into the list below.

## All of them
";

/// The page.
pub(crate) fn page(mutants: &Mutants) -> anyhow::Result<String> {
    let mut text = BEGIN.to_owned();
    let mut role = "";
    for placed in &mutants.mutants {
        let mutant = &placed.mutant;
        if placed.role != role {
            role = &placed.role;
            write!(
                text,
                "\n### {role}\n\n| what is broken | story | case | the step that notices |\n|---|---|---|---|\n"
            )?;
        }
        let full = if mutants.is_full(mutant)? { " (full)" } else { "" };
        writeln!(
            text,
            "| `{}`: {} | {} | `{}`{full} | {} |",
            mutant.name,
            case(&mutant.breaks),
            mutant.story,
            case(&mutant.case),
            case(&mutant.noticed_by)
        )?;
    }
    Ok(text)
}

/// A text as it may stand in a table.
fn case(text: &str) -> String {
    text.replace('|', "\\|")
}
