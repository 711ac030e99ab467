use super::*;
use rstest::rstest;

fn control(text: &str) -> Control {
    Control::parse(&format!("Version: 1\nArchitecture: amd64\n{text}\n")).unwrap()
}

/// The relations of the first of these packages, in a release of all of them.
fn first(packages: &[&str]) -> Relations {
    let controls: Vec<_> = packages.iter().map(|text| control(text)).collect();
    Members::of(&controls).translate(&controls[0])
}

fn texts(needs: &[Need]) -> Vec<String> {
    needs.iter().map(ToString::to_string).collect()
}

#[rstest]
#[case::a_release_that_is_left_open("b (>> 2.36)", "b >= 2.36")]
#[case::with_a_release("b (>> 2.36-9)", "b > 2.36-9")]
#[case::earlier("b (<< 2.36-9~)", "b < 2.36-9~")]
#[case::equal_with_an_epoch("b (= 1:2-1)", "b = 1:2-1")]
#[case::a_qualifier("b:any (>= 2)", "b >= 2")]
fn versions_are_compared_as_debian_means_it(#[case] debian: &str, #[case] rpm: &str) {
    let relations = first(&[&format!("Package: a\nDepends: {debian}"), "Package: b"]);
    assert_eq!(texts(&relations.requires), [rpm]);
}

#[rstest]
#[case::the_first_that_is_there("c | b", "b")]
#[case::a_package_before_a_name("name | b", "b")]
#[case::a_name_if_no_package_is_there("name | c", "name")]
fn of_alternatives_the_one_that_is_there_is_taken(#[case] debian: &str, #[case] rpm: &str) {
    let relations = first(&[&format!("Package: a\nDepends: {debian}"), "Package: b", "Package: d\nProvides: name"]);
    assert_eq!(texts(&relations.requires), [rpm]);
}

#[test]
fn what_is_not_there_is_not_required() {
    assert_eq!(first(&["Package: a\nDepends: c | d"]), Relations::default());
}

/// A plain requirement does not order packages of a ring; without the order programs run before their C library.
#[test]
fn the_c_library_comes_first() {
    let relations = first(&[
        "Package: a\nPre-Depends: b\nDepends: libc6 (>= 2.38), c",
        "Package: b",
        "Package: c",
        "Package: libc6",
    ]);
    assert_eq!(texts(&relations.requires_before), ["b", "libc6 >= 2.38"]);
    assert_eq!(texts(&relations.requires), ["b", "libc6 >= 2.38", "c"]);
}

#[test]
fn the_ring_of_the_c_library_is_broken_at_one_place() {
    let packages = ["Package: libc6\nDepends: libgcc-s1", "Package: libgcc-s1\nDepends: libc6"];
    assert_eq!(first(&packages), Relations::default());
    let [library, compiler] = packages;
    assert_eq!(texts(&first(&[compiler, library]).requires_before), ["libc6"]);
}

/// They would bind packages of one release in rings, and are true anyway.
#[test]
fn members_of_a_release_do_not_break_each_other() {
    let relations = first(&["Package: libc6\nBreaks: dash (<< 0.5.12)", "Package: dash"]);
    assert_eq!(relations, Relations::default());
}

/// As of libssl3 and libssl3t64: the old one must not go before the new one comes.
#[test]
fn a_renamed_library_takes_the_place_of_the_old_one() {
    let new = "Package: libssl3t64\nProvides: libssl3 (= 3.5)\nBreaks: libssl3 (<< 3.1)\nReplaces: libssl3";
    let relations = first(&[new]);
    assert_eq!(texts(&relations.obsoletes), ["libssl3 < 3.1"]);
    assert!(relations.conflicts.is_empty());
    assert_eq!(texts(&relations.provides), ["libssl3 = 3.5"]);
}

/// In rpm a name without a version matches every relation with one; in Debian none.
#[test]
fn a_name_without_a_version_is_not_excluded_by_version() {
    let packages = ["Package: a\nConflicts: name (<< 2)", "Package: b\nProvides: name"];
    assert_eq!(first(&packages), Relations::default());
}

#[test]
fn what_is_outside_of_the_release_is_excluded() {
    let relations = first(&["Package: a\nBreaks: old-tool (<< 2)"]);
    assert_eq!(texts(&relations.conflicts), ["old-tool < 2"]);
}

/// A mail server conflicts with all others, by a name that it provides itself.
#[test]
fn a_package_may_exclude_others_of_its_kind() {
    let mta = "Package: postfix\nProvides: mail-transport-agent\nConflicts: mail-transport-agent\nReplaces: mail-transport-agent";
    let relations = first(&[mta]);
    assert_eq!(texts(&relations.conflicts), ["mail-transport-agent"]);
    assert!(relations.obsoletes.is_empty());
}

#[test]
fn interpreters_are_provided_by_their_path() {
    assert_eq!(texts(&first(&["Package: dash"]).provides), ["/bin/sh"]);
}
