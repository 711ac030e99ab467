//! Scriptlets of the shell, by the idioms that packages have: what is said of a file must be what they do to it.
//!
//! They run in the root that rpm upgrades, so that gets a shell and the programs that they call.

use super::cases::{Packaged, Thing};
use super::packages::{Recipe, Releases, Script, look, put};
use super::{Manner, Outcome, Report, SUFFIXES, UpgradePrediction};
use anyhow::{Context as _, ensure};
use harness::host::tools;
use harness::predict::fate::Fate;
use std::path::Path;
use std::process::Command;

/// What the scriptlets call.
const PROGRAMS: [&str; 13] =
    ["sh", "mv", "cp", "rm", "ln", "sed", "find", "ls", "cat", "basename", "dirname", "xargs", "grep"];

/// A file, what packages do with it, and what is said of that.
struct Idiom {
    name: &'static str,
    /// How the old package has the file; none if it belongs to nobody.
    old: Option<&'static str>,
    /// How the new one has it.
    new: Option<&'static str>,
    /// Whether a copy of an earlier upgrade lies there.
    has_older_copy: bool,
    /// Scriptlets of the new package: the kind, and the text, with `@` for the file's path below `/etc`.
    scripts: &'static [(&'static str, &'static str)],
    /// A scriptlet of the old package.
    old_script: Option<(&'static str, &'static str)>,
    expected: Fate,
}

const NOREPLACE: Option<&str> = Some("%config(noreplace)");

const DROPPED: Idiom = Idiom {
    name: "",
    old: NOREPLACE,
    new: None,
    has_older_copy: false,
    scripts: &[],
    old_script: None,
    expected: Fate::Restored,
};

const SET_OLDER_ASIDE: (&str, &str) =
    ("%pre", "for i in @ ; do\n  test -f /etc/${i}.rpmsave && mv -v /etc/${i}.rpmsave /etc/${i}.rpmsave.old ||:\ndone");
const RESTORE_IN_A_LOOP: &str =
    "for i in @ ; do\n  test -f /etc/${i}.rpmsave && mv -v /etc/${i}.rpmsave /etc/${i} ||:\ndone";

const IDIOMS: [Idiom; 27] = [
    Idiom { name: "loop", scripts: &[SET_OLDER_ASIDE, ("%posttrans", RESTORE_IN_A_LOOP)], ..DROPPED },
    Idiom {
        name: "loop-older-copy",
        has_older_copy: true,
        scripts: &[SET_OLDER_ASIDE, ("%posttrans", RESTORE_IN_A_LOOP)],
        ..DROPPED
    },
    Idiom {
        name: "literal",
        scripts: &[("%posttrans", "[ ! -e /etc/@ ] && [ -e /etc/@.rpmsave ] && mv /etc/@.rpmsave /etc/@ || :")],
        ..DROPPED
    },
    Idiom {
        name: "variable",
        scripts: &[(
            "%posttrans",
            "file=\"/etc/@\"\nsaved=\"${file}.rpmsave\"\nif [ -f \"$saved\" ] && [ ! -e \"$file\" ] && [ ! -L \"$file\" ]; then\n  cp -p -- \"$saved\" \"$file\" || :\nfi",
        )],
        ..DROPPED
    },
    Idiom {
        name: "here-document",
        scripts: &[("%posttrans", "while read file; do\n  mv /etc/$file.rpmsave /etc/$file || :\ndone <<EOF\n@\nEOF")],
        ..DROPPED
    },
    Idiom {
        name: "find",
        scripts: &[(
            "%posttrans",
            "find /etc/fate-idioms -name 'find.rpmsave' | while read saved; do mv \"$saved\" \"${saved%.rpmsave}\"; done",
        )],
        ..DROPPED
    },
    Idiom {
        name: "names",
        scripts: &[(
            "%posttrans",
            "cd /etc/fate-idioms || exit 0\nfor saved in name*.rpmsave; do\n  file=${saved##*/}\n  mv $saved `basename $file .rpmsave`\ndone",
        )],
        ..DROPPED
    },
    Idiom {
        name: "function",
        scripts: &[(
            "%posttrans",
            "restore() {\n  [ -f \"$1.rpmsave\" ] || return 0\n  mv \"$1.rpmsave\" \"$1\"\n}\nrestore /etc/@\nrestore /etc/nothing",
        )],
        ..DROPPED
    },
    Idiom {
        name: "too-early",
        scripts: &[("%post", RESTORE_IN_A_LOOP)],
        expected: Fate::RemovedWithRpmsave,
        ..DROPPED
    },
    Idiom {
        name: "older-copy-restored",
        new: NOREPLACE,
        has_older_copy: true,
        scripts: &[("%posttrans", RESTORE_IN_A_LOOP)],
        expected: Fate::OverwrittenWithoutBackup,
        ..DROPPED
    },
    Idiom {
        name: "copy-deleted",
        scripts: &[("%posttrans", "rm -f /etc/@.rpmsave")],
        expected: Fate::DeletedWithoutBackup,
        ..DROPPED
    },
    Idiom {
        name: "new-one-put-in-force",
        new: NOREPLACE,
        scripts: &[("%posttrans", "new=/etc/@.rpmnew\n[ -e $new ] && mv -f $new ${new%.rpmnew} || :")],
        expected: Fate::OverwrittenWithoutBackup,
        ..DROPPED
    },
    Idiom {
        name: "sed-in-a-loop",
        new: NOREPLACE,
        scripts: &[("%posttrans", "for file in /etc/fate-idioms/sed*; do\n  sed -i s/the/an/ \"$file\"\ndone")],
        expected: Fate::Edited,
        ..DROPPED
    },
    Idiom {
        name: "sed-of-own",
        old: None,
        scripts: &[("%post", "sed -i -e s/the/an/ -e s/x/y/ /etc/@ || :")],
        expected: Fate::Edited,
        ..DROPPED
    },
    Idiom {
        name: "deleted-by-variable",
        old: None,
        scripts: &[("%post", "stale=/etc/@\nif [ -e $stale ]; then rm -f $stale; fi")],
        expected: Fate::DeletedWithoutBackup,
        ..DROPPED
    },
    Idiom {
        name: "deleted-before",
        old: None,
        scripts: &[("%pretrans", "rm -f /etc/@")],
        expected: Fate::DeletedWithoutBackup,
        ..DROPPED
    },
    Idiom {
        name: "only-at-first",
        old: None,
        scripts: &[("%post", "if [ $1 -eq 1 ]; then rm -f /etc/@; fi")],
        expected: Fate::Kept,
        ..DROPPED
    },
    Idiom {
        name: "only-at-last",
        old: None,
        old_script: Some(("%postun", "if [ $1 = 0 ]; then rm -f /etc/@; fi")),
        expected: Fate::Kept,
        ..DROPPED
    },
    Idiom {
        name: "without-a-look",
        old: None,
        old_script: Some(("%postun", "rm -f /etc/@")),
        expected: Fate::DeletedWithoutBackup,
        ..DROPPED
    },
    Idiom {
        name: "moved-away",
        old: None,
        scripts: &[("%post", "mv /etc/@ /etc/@.old")],
        expected: Fate::Moved,
        ..DROPPED
    },
    Idiom {
        name: "written-by-new",
        old: None,
        scripts: &[("%post", "(echo made; echo here) > /etc/@")],
        expected: Fate::OverwrittenWithoutBackup,
        ..DROPPED
    },
    Idiom {
        name: "written-by-both",
        old: None,
        old_script: Some(("%post", "echo made > /etc/@")),
        scripts: &[("%post", "(echo made; echo here) > /etc/@")],
        expected: Fate::Rewritten,
        ..DROPPED
    },
    Idiom {
        name: "by-content",
        scripts: &[("%posttrans", "if grep -q the /etc/@.rpmsave; then mv /etc/@.rpmsave /etc/@; fi")],
        expected: Fate::Unknown,
        ..DROPPED
    },
    Idiom {
        name: "not-installed",
        scripts: &[("%pre", "test -f /etc/fate-idioms/nothing && mv /etc/fate-idioms/nothing /etc/fate-idioms/else")],
        expected: Fate::Unknown,
        ..DROPPED
    },
    Idiom {
        name: "ends-on-failure",
        old: None,
        scripts: &[("%post", "set -e\nrm -f /etc/@")],
        expected: Fate::Unknown,
        ..DROPPED
    },
    Idiom {
        name: "in-lua",
        scripts: &[("%posttrans -p <lua>", "os.rename(\"/etc/@.rpmsave\", \"/etc/@\")")],
        expected: Fate::Unknown,
        ..DROPPED
    },
    Idiom {
        name: "moved-before-it-is-set-aside",
        new: NOREPLACE,
        scripts: &[("%pre", "mv /etc/@ /etc/@.old")],
        expected: Fate::Moved,
        ..DROPPED
    },
];

impl Idiom {
    fn path(&self) -> String {
        format!("/etc/fate-idioms/{}", self.name)
    }

    fn script(&self, (kind, text): (&'static str, &str)) -> Script {
        Script { kind, text: text.replace('@', &format!("fate-idioms/{}", self.name)) }
    }

    fn recipe(&self, directive: Option<&'static str>, content: &str, scripts: Vec<Script>) -> Recipe {
        let file = |directive| Packaged { directive, thing: Thing::File(content.to_owned()), algorithm: 8 };
        Recipe {
            name: format!("idiom-{}", self.name),
            files: directive.map(|directive| (self.path(), file(directive))).into_iter().collect(),
            scripts,
            ..Recipe::default()
        }
    }
}

/// Files below `/usr` in directories of vendors: edited there, as nobody should, and what comes of it.
const VENDORS: [(&str, Option<&str>, Fate); 4] = [
    ("/usr/lib/pam.d/fate-again", Some("/usr/lib/pam.d/fate-again"), Fate::OverwrittenWithoutBackup),
    ("/usr/lib/pam.d/fate-gone", None, Fate::DeletedWithoutBackup),
    ("/usr/etc/fate-gone", None, Fate::DeletedWithoutBackup),
    // A file of the administrator's own, which the package's comes before.
    ("/usr/etc/pam.d/fate-own", Some("/usr/lib/pam.d/fate-own"), Fate::Shadowed),
];

/// Adds their packages.
pub(super) fn add(releases: &mut Releases) {
    for idiom in &IDIOMS {
        let old = idiom.old_script.map(|script| idiom.script(script));
        releases.old.push(idiom.recipe(idiom.old, "old\n", old.into_iter().collect()));
        let new = idiom.scripts.iter().map(|script| idiom.script(*script)).collect();
        releases.new.push(idiom.recipe(idiom.new, "new\n", new));
    }
    let packaged = |content: &str| Packaged { directive: "", thing: Thing::File(content.to_owned()), algorithm: 8 };
    let recipe = |files| Recipe { name: "vendor".into(), files, ..Recipe::default() };
    let old = VENDORS.iter().filter(|(.., fate)| *fate != Fate::Shadowed);
    releases.old.push(recipe(old.map(|(path, ..)| ((*path).to_owned(), packaged("old\n"))).collect()));
    let new = VENDORS.iter().filter_map(|(_, new, _)| Some(((*new)?.to_owned(), packaged("new\n"))));
    releases.new.push(recipe(new.collect()));
}

/// Puts a shell and its programs into a root, with the libraries that they load.
pub(super) fn furnish(root: &Path) -> anyhow::Result<()> {
    for program in PROGRAMS {
        let path = tools::which(program).with_context(|| format!("{program} is not on this host"))?;
        for place in ["bin", "usr/bin"] {
            copy(&path, &root.join(place).join(program))?;
        }
        let output = Command::new("ldd").arg(&path).output().context("failed to run ldd")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
            copy(Path::new(library), &root.join(library.trim_start_matches('/')))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs_err::create_dir_all(to.parent().context("a root has parents")?)?;
    if !to.exists() {
        fs_err::copy(from, to)?;
    }
    Ok(())
}

fn own() -> Thing {
    Thing::File("the administrator's\n".into())
}

/// Does what the administrator does.
pub(super) fn change(root: &Path) -> anyhow::Result<()> {
    for idiom in &IDIOMS {
        put(root, &idiom.path(), &own())?;
        if idiom.has_older_copy {
            put(root, &format!("{}.rpmsave", idiom.path()), &Thing::File("of an earlier upgrade\n".into()))?;
        }
    }
    VENDORS.iter().try_for_each(|(path, ..)| put(root, path, &own()))
}

/// Compares them.
pub(super) fn compare(manners: &[Manner], forecast: &UpgradePrediction, report: &mut Report) {
    let idioms = IDIOMS.iter().map(|idiom| (idiom.path(), idiom.expected));
    let vendors = VENDORS.iter().map(|(path, _, fate)| ((*path).to_owned(), *fate));
    for (path, expected) in idioms.chain(vendors) {
        for manner in manners {
            report.row(&format!("{path}, {}", manner.name), || {
                let said = forecast.files.iter().find(|file| file.path == path);
                let fate = said.map_or(Fate::Kept, |file| file.fate);
                let why = said.map(|file| file.why.clone()).unwrap_or_default();
                ensure!(fate == expected, "it was said to be {fate}, and not {expected}: {why}");
                let backup = said.and_then(|file| file.backup.as_deref());
                check(&manner.root, &path, fate, backup)?;
                Ok(Outcome::Passed(format!("{fate}: {why}")))
            });
        }
    }
}

/// Whether what was said came true.
fn check(root: &Path, path: &str, fate: Fate, backup: Option<&str>) -> anyhow::Result<()> {
    let found = look(root, path)?;
    let came_true = match fate {
        Fate::Unknown => true,
        Fate::DeletedWithoutBackup | Fate::Removed | Fate::RemovedWithRpmsave | Fate::Absent => found == Thing::Nothing,
        Fate::Moved => found != own(),
        Fate::Edited
        | Fate::Rewritten
        | Fate::OverwrittenWithoutBackup
        | Fate::ReplacedWithRpmsave
        | Fate::ReplacedWithRpmorig => found != own() && found != Thing::Nothing,
        Fate::Created | Fate::Updated => false,
        Fate::Restored | Fate::Kept | Fate::KeptWithRpmnew | Fate::Shadowed | Fate::LeftBehind | Fate::Blocked => {
            found == own()
        }
    };
    ensure!(came_true, "it was said to be {fate}, and is {found}");
    if let Some(backup) = backup.filter(|_| fate.keeps_copy()) {
        let found = look(root, backup)?;
        ensure!(found == own(), "its content was said to be at {backup}, and there is {found}");
    }
    for suffix in SUFFIXES.into_iter().filter(|_| fate.is_loss()) {
        ensure!(look(root, &format!("{path}{suffix}"))? != own(), "it was said to be lost, and is in {suffix}");
    }
    Ok(())
}
