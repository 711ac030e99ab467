use super::*;
use crate::host::raw::tie_to_thread;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

const TOTAL: u32 = 1000;

fn turn(ledger: &SharedBudget, ask: &mut Ask) -> Turn {
    ledger.turn(ask, || TOTAL).unwrap()
}

fn shares(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == SHARE)).count()
}

#[test]
fn nobody_is_given_what_another_has() {
    let directory = tempfile::tempdir().unwrap();
    // As in two processes: what they have in common is the directory.
    let [one, other] = [(); 2].map(|()| SharedBudget::open(directory.path().join("memory")).unwrap());
    let mut first = one.ask(600).unwrap();
    assert_eq!(turn(&one, &mut first), Turn::Given);
    let mut second = other.ask(500).unwrap();
    assert_eq!(turn(&other, &mut second), Turn::Later { left: 400, total: TOTAL });
    let mut third = one.ask(100).unwrap();
    // There is room for it. But who asked before might never have its turn then.
    assert_eq!(turn(&one, &mut third), Turn::Later { left: 400, total: TOTAL });
    drop(first);
    assert_eq!(turn(&one, &mut third), Turn::Later { left: TOTAL, total: TOTAL });
    assert_eq!(turn(&other, &mut second), Turn::Given);
    assert_eq!(turn(&one, &mut third), Turn::Given);
    drop((second, third));
    assert_eq!(shares(one.directory()), 0);
}

#[test]
fn who_gives_up_is_no_longer_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = SharedBudget::open(directory.path().to_owned()).unwrap();
    let mut asks = [600, 900, 100].map(|amount| ledger.ask(amount).unwrap()).into_iter();
    let (mut has, waits, mut last) = (asks.next().unwrap(), asks.next().unwrap(), asks.next().unwrap());
    assert_eq!(turn(&ledger, &mut has), Turn::Given);
    assert_ne!(turn(&ledger, &mut last), Turn::Given);
    drop(waits);
    assert_eq!(turn(&ledger, &mut last), Turn::Given);
}

#[test]
fn what_there_is_is_measured_when_nobody_has_anything() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = SharedBudget::open(directory.path().to_owned()).unwrap();
    let mut first = ledger.ask(600).unwrap();
    assert_eq!(ledger.turn(&mut first, || 2000).unwrap(), Turn::Given);
    // Guests of the first use half of theirs already; it is not taken away from the others once more.
    let mut second = ledger.ask(700).unwrap();
    assert_eq!(ledger.turn(&mut second, || 1700).unwrap(), Turn::Given);
    // Programs that know nothing of this have taken the rest.
    let mut third = ledger.ask(500).unwrap();
    assert_eq!(ledger.turn(&mut third, || 300).unwrap(), Turn::Later { left: 300, total: 2000 });
    let mut never = ledger.ask(2001).unwrap();
    assert_eq!(ledger.turn(&mut never, || 1700).unwrap(), Turn::Never { total: 2000 });
    drop((first, second, third));
    assert_eq!(ledger.turn(&mut never, || 3000).unwrap(), Turn::Given);
}

#[test]
fn a_share_that_another_version_wrote_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = SharedBudget::open(directory.path().to_owned()).unwrap();
    let foreign = ledger.ask(1).unwrap();
    std::fs::write(&foreign.path, "600 MiB, please\n").unwrap();
    let error = ledger.turn(&mut ledger.ask(1).unwrap(), || TOTAL).unwrap_err().to_string();
    assert!(error.contains("000000000000.share is not what this version writes"), "{error}");
}

const LEDGER_VARIABLE: &str = "REHEARSAL_TEST_LEDGER";

/// Not a test by itself: a process that takes 700 of what there is, for the next tests. Without the variable it has nothing to do.
#[test]
fn process_that_takes_its_share() {
    let Some(directory) = std::env::var_os(LEDGER_VARIABLE) else { return };
    let ledger = SharedBudget::open(PathBuf::from(directory)).unwrap();
    let mut ask = ledger.ask(700).unwrap();
    println!("asked as {}", ask.number);
    while turn(&ledger, &mut ask) != Turn::Given {
        std::thread::yield_now();
    }
    println!("given");
    // Until the test ends us, in one way or another.
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn process(directory: &Path) -> (Child, impl Iterator<Item = String>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "lab::shared_budget::tests::process_that_takes_its_share", "--nocapture"]);
    command.env(LEDGER_VARIABLE, directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = tie_to_thread(&mut command).spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    (process, lines)
}

/// Waits until a process says this, and tells what it says behind it.
fn says(lines: &mut impl Iterator<Item = String>, word: &str) -> String {
    let rest = lines.find_map(|line| Some(line.split_once(word)?.1.trim().to_owned()));
    rest.unwrap_or_else(|| panic!("the process does not say `{word}`"))
}

/// Killed while it has its share, and while it waits for one: neither is missing to anybody.
#[test]
fn what_a_killed_process_had_is_given_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = SharedBudget::open(directory.path().to_owned()).unwrap();
    let (mut holder, mut lines) = process(directory.path());
    says(&mut lines, "given");
    let (mut waiter, mut words) = process(directory.path());
    says(&mut words, "asked");
    let mut ask = ledger.ask(400).unwrap();
    assert_eq!(turn(&ledger, &mut ask), Turn::Later { left: 300, total: TOTAL });
    waiter.kill().unwrap();
    waiter.wait().unwrap();
    assert_eq!(turn(&ledger, &mut ask), Turn::Later { left: 300, total: TOTAL });
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(turn(&ledger, &mut ask), Turn::Given);
    assert_eq!(shares(directory.path()), 1);
}

/// Many processes at once: whatever they do, no more is given than there is.
#[test]
fn processes_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = SharedBudget::open(directory.path().to_owned()).unwrap();
    let running: Vec<_> = (0..4).map(|_| process(directory.path())).collect();
    // Which one asks first is not ours to say.
    let mut running: BTreeMap<u64, _> = running
        .into_iter()
        .map(|(child, mut lines)| (says(&mut lines, "asked as").parse().unwrap(), (child, lines)))
        .collect();
    let mut own = ledger.ask(700).unwrap();
    let given = || {
        let _looking = ledger.lock().unwrap();
        ledger
            .others(&own)
            .unwrap()
            .into_iter()
            .filter(|other| other.given)
            .map(|other| other.number)
            .collect::<Vec<_>>()
    };
    // Each of them wants more than half: one at a time has it, in the order of asking.
    for number in 0..4 {
        while given().is_empty() {
            std::thread::yield_now();
        }
        let has: [u64; 1] = given().try_into().unwrap();
        assert_eq!(has, [number]);
        let (mut child, mut lines) = running.remove(&number).unwrap();
        says(&mut lines, "given");
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(turn(&ledger, &mut own), Turn::Given);
}
