//! Scripts, and what is at `/etc/a` and its neighbours after them.

use super::*;
use crate::predict::disk::OnDisk;
use crate::predict::dump::System;
use crate::predict::scriptlet::{Kind, Scriptlet};
use proptest::prelude::*;
use rstest::rstest;
use std::collections::HashMap;

/// The state of each path that a script changes, as a line.
fn after(text: &str) -> String {
    let mut system = System::default();
    for directory in ["/etc", "/etc/d"] {
        system.disk.insert(directory.into(), OnDisk::Directory);
    }
    for file in ["/etc/a", "/etc/a.rpmsave", "/etc/b", "/etc/d/x", "/etc/d/y"] {
        system.disk.insert(file.into(), OnDisk::Regular(Vec::new()));
    }
    system.disk.insert("/etc/link".into(), OnDisk::Link("a".into()));
    let facts = Facts { system: &system, brought: HashMap::new() };
    let mut world = World::new(&facts);
    let scriptlet = Scriptlet { kind: Kind::Post, program: None, text: text.to_owned() };
    let followed = follow(&mut world, "p-2-1", &scriptlet, Some(2));
    let mut lines: Vec<String> = world
        .changed()
        .filter(|(path, state, _)| **state != State::Was((*path).clone()))
        .map(|(path, state, _)| {
            format!(
                "{path} {}",
                match state {
                    State::Was(from) => format!("is {from}"),
                    State::Edited(_) => "edited".into(),
                    other => format!("{other:?}").to_lowercase(),
                }
            )
        })
        .collect();
    lines.extend(followed.blind.iter().map(|line| format!("blind: {line}")));
    lines.extend((!followed.named.is_empty()).then(|| "not followed".to_owned()));
    lines.join(", ")
}

const BACK: &str = "/etc/a is /etc/a.rpmsave, /etc/a.rpmsave missing";

#[rstest]
#[case::literal("test -f /etc/a.rpmsave && mv -f /etc/a.rpmsave /etc/a || :", BACK)]
#[case::brackets("if [ -f /etc/a.rpmsave ]; then mv /etc/a.rpmsave /etc/a; fi", BACK)]
#[case::double_brackets("[[ -e /etc/a.rpmsave && ! -e /etc/zz ]] && mv /etc/a.rpmsave /etc/a", BACK)]
#[case::variable("c=\"/etc/a\"\ns=${c}.rpmsave\n[ -f \"$s\" ] && mv -- \"$s\" \"$c\"", BACK)]
#[case::for_loop("for f in a zz ; do\n  test -f /etc/$f.rpmsave && mv -v /etc/${f}.rpmsave /etc/${f} ||:\ndone", BACK)]
#[case::list_in_a_variable(
    "LIST='zz a'\nfor f in $LIST; do [ ! -e /etc/$f.rpmsave ] || mv /etc/$f.rpmsave /etc/$f; done",
    BACK
)]
#[case::pattern("for s in /etc/*.rpmsave; do mv \"$s\" \"${s%.rpmsave}\"; done", BACK)]
#[case::basename("for s in /etc/*.rpmsave; do n=`basename $s .rpmsave`; mv $s /etc/$n; done", BACK)]
#[case::cut_in_front("for s in /etc/*.rpmsave; do n=${s##*/}; mv $s \"$(dirname \"$s\")/${n%.rpmsave}\"; done", BACK)]
#[case::here_document("while read f; do\n mv /etc/$f.rpmsave /etc/$f\ndone <<EOF\na\nEOF\n", BACK)]
#[case::literal_here_document("cat <<'EOF' | while read -r f; do mv /etc/$f.rpmsave /etc/$f; done\na\nEOF\n", BACK)]
#[case::here_document_in_a_list("for f in $(cat <<-EOF\n\ta\n\tEOF\n); do mv /etc/$f.rpmsave /etc/$f; done", BACK)]
#[case::find("find /etc -name '*.rpmsave' | while read s; do mv \"$s\" \"${s%.rpmsave}\"; done", BACK)]
#[case::find_exec("find /etc -maxdepth 1 -name '*.rpmsave' -exec sh -c 'mv \"$1\" \"${1%.rpmsave}\"' sh {} \\;", BACK)]
#[case::xargs("echo a | xargs -I@ mv /etc/@.rpmsave /etc/@", BACK)]
#[case::function(
    "restore() { [ -f \"$1.rpmsave\" ] && mv \"$1.rpmsave\" \"$1\"; }\nrestore /etc/a; restore /etc/zz",
    BACK
)]
#[case::directory("cd /etc && for f in a; do test -f $f.rpmsave && mv $f.rpmsave $f; done", BACK)]
#[case::argument("if [ \"$1\" -gt 1 ]; then mv /etc/a.rpmsave /etc/a; fi", BACK)]
#[case::case_("case \"$1\" in 1) rm /etc/a;; [2-9]*) mv /etc/a.rpmsave /etc/a;; esac", BACK)]
#[case::positional("set -- a zz\nfor f; do [ -f /etc/$f.rpmsave ] && mv /etc/$f.rpmsave /etc/$f; done", BACK)]
#[case::printf("printf '%s\\n' a | while read f; do mv /etc/$f.rpmsave /etc/$f; done", BACK)]
#[case::braces("mv /etc/{a.rpmsave,a}", BACK)]
#[case::whole_path("/bin/mv /etc/a.rpmsave /etc/a", BACK)]
#[case::copied("cp -p /etc/a.rpmsave /etc/a", "/etc/a is /etc/a.rpmsave")]
#[case::into_a_directory("mv /etc/a /etc/d/", "/etc/a missing, /etc/d/a is /etc/a")]
#[case::set_aside(
    "mv /etc/a.rpmsave /etc/a.rpmsave.old",
    "/etc/a.rpmsave missing, /etc/a.rpmsave.old is /etc/a.rpmsave"
)]
#[case::no_clobber("mv -n /etc/a.rpmsave /etc/a", "")]
#[case::nothing_to_do("[ -f /etc/zz.rpmsave ] && mv /etc/zz.rpmsave /etc/a || :", "")]
#[case::first_install("if [ $1 -eq 1 ]; then rm -f /etc/a; fi", "")]
#[case::ends_before("exit 0\nrm /etc/a", "")]
#[case::printed_only("echo rm /etc/a", "")]
#[case::commented("# rm /etc/a", "")]
#[case::quoted_star("rm -f '/etc/*'", "")]
#[case::deleted("rm -f /etc/a /etc/zz", "/etc/a missing")]
#[case::deleted_with_its_directory("rm -rf /etc/d", "/etc/d missing, /etc/d/x missing, /etc/d/y missing")]
#[case::found_and_deleted("find /etc/d -type f -delete", "/etc/d/x missing, /etc/d/y missing")]
#[case::written("echo x > /etc/a", "/etc/a written")]
#[case::appended("echo x >> /etc/a", "/etc/a edited")]
#[case::teed("echo x | tee /etc/a >/dev/null", "/etc/a written")]
#[case::sed("for f in /etc/d/*; do sed -i s/o/n/ \"$f\"; done", "/etc/d/x edited, /etc/d/y edited")]
#[case::sed_of_several("sed -i -e 's/o/n/' -e s/p/q/ /etc/d/x /etc/zz", "/etc/d/x edited")]
#[case::sed_with_a_copy("sed -i.bak s/o/n/ /etc/a", "/etc/a edited, /etc/a.bak is /etc/a")]
#[case::sed_that_prints("sed s/o/n/ /etc/a", "")]
#[case::replaced_by_a_link("ln -sf /usr/share/a /etc/a", "/etc/a written")]
fn what_is_certain_is_done(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(after(text), expected);
}

#[rstest]
#[case::content("grep -q x /etc/a && rm -f /etc/a", "/etc/a unknown")]
#[case::one_of_two(
    "if grep -q x /etc/a; then rm -f /etc/a; else mv /etc/a /etc/c; fi",
    "/etc/a missing, /etc/c unknown"
)]
#[case::elsewhere("[ -e /var/lib/stamp ] || rm -f /etc/a", "/etc/a unknown")]
#[case::environment(
    "rm -f /etc/$WHICH",
    "/etc/a unknown, /etc/a.rpmsave unknown, /etc/b unknown, /etc/d/x unknown, /etc/d/y unknown, /etc/link unknown"
)]
#[case::known_suffix(
    "for f in $(cat /var/list); do mv $f.rpmsave $f; done",
    "/etc/a.rpmsave unknown, blind: for f in $(cat /var/list); do mv $f.rpmsave $f; done"
)]
#[case::blind("rm -f \"$FILE\"", "blind: rm -f \"$FILE\"")]
#[case::other_program("migrate --config=/etc/a /etc/b", "/etc/a unknown, /etc/b unknown")]
#[case::by_a_script("/usr/lib/tool /etc/d/*", "/etc/d/x unknown, /etc/d/y unknown")]
#[case::ended_perhaps("[ -x /usr/bin/tool ] || exit 0\nrm -f /etc/a", "/etc/a unknown")]
#[case::sourced(
    ". /usr/lib/functions\nmv /etc/$x /etc/c",
    "/etc/a unknown, /etc/a.rpmsave unknown, /etc/b unknown, /etc/d/x unknown, /etc/d/y unknown, /etc/link unknown"
)]
#[case::any_number("while some_tool; do rm -f /etc/a; done", "/etc/a unknown")]
#[case::errexit("set -e\nrm -f /etc/a", "/etc/a unknown, not followed")]
#[case::array("f=(a b)\nrm -f /etc/${f[0]}", "/etc/a unknown, /etc/b unknown, not followed")]
#[case::unread("for f in a; do rm /etc/$f", "/etc/a unknown, not followed")]
#[case::unread_and_blind("f=(a b)\nrm -f $f", "blind: rm -f $f")]
#[case::endless("while :; do rm -f /etc/a; done", "/etc/a unknown, not followed")]
#[case::link("cp /etc/b /etc/link", "/etc/link unknown")]
#[case::appended_variable("f=/etc/z\nf+=z\nrm -f $f /etc/a", "/etc/a unknown, blind: rm -f $f /etc/a")]
fn what_is_not_certain_is_unknown(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(after(text), expected);
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let deep = format!("{}rm /etc/a{}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(after(&deep), "/etc/a unknown, not followed");
    let deep = format!("echo {}", "$(echo ".repeat(5000));
    assert_eq!(after(&deep), "");
}

proptest! {
    /// Whatever the text is, there is an answer.
    #[test]
    fn any_text_is_an_answer(words in proptest::collection::vec(
        prop_oneof![
            Just("if"), Just("then"), Just("fi"), Just("for"), Just("do"), Just("done"), Just("rm"), Just("/etc/a"), Just(";"),
            Just("\n"), Just("$("), Just(")"), Just("`"), Just("${a%"), Just("}"), Just("{"), Just("\""), Just("'"), Just("<<E"),
            Just("E"), Just("|"), Just("&&"), Just("*"), Just("["), Just("]"), Just("case"), Just("in"), Just("esac"), Just(";;"),
            Just("while"), Just("read"), Just("x"), Just("\\"), Just("#"), Just(">"), Just("$1"), Just("ü"),
        ], 0..40))
    {
        let _ = after(&words.join(" "));
        let _ = after(&words.concat());
    }
}
