//! A QEMU that its guest has taken over: what it can still reach of this host.

use super::super::runs::{EASY, Stage};
use super::super::{Given, Outcome, Report};
use super::{VICTIM, end_of};
use anyhow::Context as _;
use harness::cache::Kind;
use harness::host::confinement::{Kept, kept};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

pub(in crate::selftest) fn run(given: &Given, report: &mut Report) {
    report.row("hostile qemu: it reaches for files, processes and places of this host", || reaches(given));
}

/// It says what it got, and goes on as QEMU. Told `alone`, it only tries.
const TAKEN: &str = r#"#!/bin/bash
try() {
    local name=$1
    shift
    if "$@" > /dev/null 2>&1; then echo "reach: $name: got it" >&2; else echo "reach: $name: refused" >&2; fi
}
open() { : >> "$1"; }
try_all() {
    try "a file of this host" cat 'VICTIM'
    try "the secret of the cache" cat 'HOME/rehearsal/secret'
    try "an image, to write to it" open 'IMAGE'
    try "a new file" open 'HOME/new'
    try "what is in a directory" ls 'HOME'
    try "the environment of its parent" cat /proc/$PPID/environ
    try "its parent, by a signal" kill -0 $PPID
    try "what the run was told" test -n "$REHEARSAL_SCENARIOS"
    try "a program" cat /usr/bin/env
}
case " $* " in
    *" alone "*) try_all; exit;;
    *" -name directory"*) try_all;;
esac
exec qemu-system-x86_64 "$@"
"#;

/// How many things it reaches for that are not for it.
const REACHES: usize = 8;

fn reaches(given: &Given) -> anyhow::Result<Outcome> {
    match kept() {
        Kept::Whole => {}
        Kept::Partly => return Ok(Outcome::Skipped("this kernel's Landlock is older than 6.12".into())),
        Kept::Nothing => return Ok(Outcome::Skipped("this kernel has no Landlock, or it is switched off".into())),
    }
    let stage = Stage::new(given)?;
    // It makes the template, and the secret.
    stage.start("directory", &[EASY], &[])?.end()?.succeeded()?;
    let images = stage.site.cache().list(Kind::Image)?;
    let disk = images.first().context("the image is gone")?.directory.join("disk.qcow2");
    let script =
        TAKEN.replace("VICTIM", VICTIM).replace("HOME", text(&stage.site.home())?).replace("IMAGE", text(&disk)?);
    let program = stage.site.path().join("taken-qemu");
    fs_err::write(&program, script)?;
    fs_err::set_permissions(&program, Permissions::from_mode(0o700))?;

    let alone = end_of(Command::new(&program).arg("alone").env("REHEARSAL_SCENARIOS", stage.results()))?;
    anyhow::ensure!(count(&alone.said, "got it") == REACHES + 1, "unconfined it does not get all:\n{}", alone.said);

    let run = stage.start("directory", &[EASY], &[("REHEARSAL_QEMU", text(&program)?)])?.end()?;
    run.succeeded()?;
    let said = fs_err::read_to_string(stage.results().join("latest/bad-day::main/qemu-directory.log"))?;
    anyhow::ensure!(count(&said, "refused") == REACHES, "it is not refused all {REACHES}:\n{said}");
    anyhow::ensure!(said.contains("reach: a program: got it"), "it does not get what is for it:\n{said}");
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(format!("{REACHES} things that it gets unconfined are refused, and its guest runs")))
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the path of the cache is no text")
}

fn count(said: &str, outcome: &str) -> usize {
    said.lines().filter(|line| line.starts_with("reach: ") && line.ends_with(outcome)).count()
}
