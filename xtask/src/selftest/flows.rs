//! Flows, as tshark counts them: captures that QEMU wrote are read by another program, which comes to the same numbers and times.

use super::{Outcome, Report};
use crate::exit::{End, HostLacks};
use crate::workbench::{project, results};
use anyhow::Context as _;
use harness::host::tools::which;
use harness::network::flows::{FlowsOfLab, FlowsOfMachine, Protocol, record};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What is compared: TCP and UDP, but not what a message of ICMP quotes of them, DHCP, and the lab's own pulses.
const FILTER: &str = "(tcp or udp) and not icmp and not icmpv6 and not dhcp and not dhcpv6 and not data.data contains \"rehearsal pulse \"";

/// The lab's own pulses.
const PULSES: &str = "data.data contains \"rehearsal pulse \"";

/// How it is told that a packet bears another time than the host's.
const AHEAD: &str = "µs ahead";

/// A line for each packet: both addresses and ports, of whatever kind they are, and its length.
const FIELDS: [&str; 9] = [
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "udp.srcport",
    "tcp.dstport",
    "udp.dstport",
    "frame.len",
];

type Socket = (IpAddr, u16);

/// Packets and bytes of a conversation, by its protocol and its ends in order.
type Counts = BTreeMap<(Protocol, Socket, Socket), (u64, u64)>;

/// Runs the command.
pub(super) fn run(directory: Option<&Path>) -> anyhow::Result<ExitCode> {
    let tshark = which("tshark").ok_or_else(|| {
        HostLacks("skipped, because there is no tshark here: `cargo xtask setup --all` installs it".into())
    })?;
    let mut report = Report::default();
    let sample = project("xtask/samples/flows");
    let latest = directory.map_or_else(|| results().join("latest"), Path::to_owned);
    let cases = [vec![sample.clone()], cases_in(&latest)?].concat();
    for case in &cases {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        report.row(&format!("flows: tshark counts the same, {name}"), || compare(&tshark, case));
    }
    report.row("flows: a capture that was altered is found out", || control(&tshark, &sample));
    for case in cases.iter().skip(1) {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        report.row(&format!("flows: packets bear the host's times, {name}"), || on_time(&tshark, case));
    }
    report.row("flows: packets with QEMU's times are found out", || {
        let told = on_time(&tshark, &sample).err().context("they are not found out")?.to_string();
        anyhow::ensure!(told.ends_with(AHEAD), "they are not found out, but: {told}");
        Ok(Outcome::Passed(told))
    });
    report.close();
    Ok(if report.failed == 0 { ExitCode::SUCCESS } else { End::Failed.into() })
}

/// The cases of a run that have captured something.
fn cases_in(run: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !run.is_dir() {
        return Ok(Vec::new());
    }
    let mut cases = Vec::new();
    for entry in fs_err::read_dir(run)? {
        let case = entry?.path();
        if case.join(record::FILE).is_file() {
            cases.push(case);
        }
    }
    cases.sort();
    Ok(cases)
}

fn compare(tshark: &Path, case: &Path) -> anyhow::Result<Outcome> {
    let flows: FlowsOfLab = serde_json::from_slice(&fs_err::read(case.join(record::FILE))?)?;
    let mut seen = Vec::new();
    for machine in &flows.machines {
        let (theirs, ours) = (counted_by(tshark, case, machine)?, counted_by_us(machine));
        let differs = difference(&ours, &theirs);
        anyhow::ensure!(differs.is_none(), "{}: {}", machine.machine, differs.unwrap_or_default());
        let packets: u64 = ours.values().map(|(packets, _)| packets).sum();
        seen.push(format!("{}: {} conversations with {packets} packets", machine.machine, ours.len()));
    }
    anyhow::ensure!(!seen.is_empty(), "nothing was captured");
    Ok(Outcome::Passed(seen.join("\n")))
}

/// One packet less must be seen.
fn control(tshark: &Path, sample: &Path) -> anyhow::Result<Outcome> {
    let flows: FlowsOfLab = serde_json::from_slice(&fs_err::read(sample.join(record::FILE))?)?;
    let machine = flows.machines.iter().find(|machine| machine.machine == "mail").context("the sample has no mail")?;
    let (mut theirs, ours) = (counted_by(tshark, sample, machine)?, counted_by_us(machine));
    if let Some((packets, _)) = theirs.values_mut().next() {
        *packets -= 1;
    }
    let told = difference(&ours, &theirs).context("it is not found out")?;
    Ok(Outcome::Passed(told))
}

/// Each pulse tells the time that its packet bears.
fn on_time(tshark: &Path, case: &Path) -> anyhow::Result<Outcome> {
    let flows: FlowsOfLab = serde_json::from_slice(&fs_err::read(case.join(record::FILE))?)?;
    let mut pulses = 0;
    for file in flows.machines.iter().flat_map(|machine| &machine.captures) {
        let mut command = Command::new(tshark);
        command.args(["-n", "-o", "data.show_as_text:TRUE", "-Y", PULSES, "-T", "fields"]);
        command.args(["-e", "frame.time_epoch", "-e", "data.text"]).arg("-r").arg(case.join(file));
        for line in said_by(command)?.lines() {
            let (borne, told) = times(line).with_context(|| format!("tshark says `{line}`"))?;
            let ahead = borne - told;
            anyhow::ensure!(ahead == 0, "{file}: a pulse of {told} µs bears a time that is {ahead} {AHEAD}");
            pulses += 1;
        }
    }
    anyhow::ensure!(pulses > 0, "there is no pulse");
    Ok(Outcome::Passed(format!("{pulses} pulses")))
}

/// The time that a packet bears and the one that it tells, in microseconds: tshark's are in seconds with nine digits.
fn times(line: &str) -> Option<(i64, i64)> {
    let (borne, told) = line.split_once('\t')?;
    let (seconds, rest) = borne.split_once('.')?;
    let micros = seconds.parse::<i64>().ok()? * 1_000_000 + rest.get(..6)?.parse::<i64>().ok()?;
    let told: String = told.chars().filter(char::is_ascii_digit).collect();
    Some((micros, told.parse().ok()?))
}

/// The first conversation that is not the same.
fn difference(ours: &Counts, theirs: &Counts) -> Option<String> {
    let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    keys.into_iter().find(|key| ours.get(key) != theirs.get(key)).map(|key| {
        let told = |counts: &Counts| {
            counts.get(key).map_or("nothing".into(), |(packets, bytes)| format!("{packets} packets of {bytes} bytes"))
        };
        let (protocol, one, other) = key;
        format!(
            "{protocol} {}:{} – {}:{}: {} here, {} by tshark",
            one.0,
            one.1,
            other.0,
            other.1,
            told(ours),
            told(theirs)
        )
    })
}

fn counted_by_us(machine: &FlowsOfMachine) -> Counts {
    let mut counts = Counts::new();
    for flow in &machine.flows {
        if let (Some(from), Some(to)) = (flow.from.port, flow.to.port)
            && concerns(machine, flow.from.address, flow.to.address)
        {
            let (packets, bytes) = (flow.sent.packets + flow.received.packets, flow.sent.bytes + flow.received.bytes);
            add(&mut counts, flow.protocol, (flow.from.address, from), (flow.to.address, to), (packets, bytes));
        }
    }
    counts
}

fn counted_by(tshark: &Path, case: &Path, machine: &FlowsOfMachine) -> anyhow::Result<Counts> {
    let mut counts = Counts::new();
    for file in &machine.captures {
        let mut command = Command::new(tshark);
        command.args(["-n", "-T", "fields", "-Y", FILTER]).arg("-r").arg(case.join(file));
        // What came after the flows were written is not in them.
        match machine.frames.get(file) {
            Some(0) => continue,
            Some(frames) => drop(command.args(["-c", &frames.to_string()])),
            None => {}
        }
        for field in FIELDS {
            command.args(["-e", field]);
        }
        for line in said_by(command)?.lines() {
            let (protocol, from, to, bytes) = packet(line).with_context(|| format!("tshark says `{line}`"))?;
            if concerns(machine, from.0, to.0) {
                add(&mut counts, protocol, from, to, (1, bytes));
            }
        }
    }
    Ok(counts)
}

fn said_by(mut tshark: Command) -> anyhow::Result<String> {
    let output = tshark.output().context("failed to run tshark")?;
    anyhow::ensure!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A line of tshark's.
fn packet(line: &str) -> Option<(Protocol, Socket, Socket, u64)> {
    let fields: Vec<&str> = line.split('\t').collect();
    let either = |one: usize, other: usize| fields.get(one).filter(|text| !text.is_empty()).or(fields.get(other));
    let protocol = if fields.get(4)?.is_empty() { Protocol::Udp } else { Protocol::Tcp };
    let from = (either(0, 1)?.parse().ok()?, either(4, 5)?.parse().ok()?);
    let to = (either(2, 3)?.parse().ok()?, either(6, 7)?.parse().ok()?);
    Some((protocol, from, to, fields.get(8)?.parse().ok()?))
}

/// A card shows what is for others, too, while the network does not know where they are.
fn concerns(machine: &FlowsOfMachine, from: IpAddr, to: IpAddr) -> bool {
    [from, to].iter().any(|address| machine.addresses.contains(address))
}

fn add(counts: &mut Counts, protocol: Protocol, from: Socket, to: Socket, (packets, bytes): (u64, u64)) {
    let key = if from <= to { (protocol, from, to) } else { (protocol, to, from) };
    let count = counts.entry(key).or_default();
    *count = (count.0 + packets, count.1 + bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::of_tshark("1790000000.123456000\trehearsal pulse 1790000000123456\\n", Some((1_790_000_000_123_456, 1_790_000_000_123_456)))]
    #[case::without_text("1790000000.123456000\t", None)]
    fn times_of_a_pulse_are_read(#[case] line: &str, #[case] expected: Option<(i64, i64)>) {
        assert_eq!(times(line), expected);
    }

    #[rstest::rstest]
    #[case::tcp("10.20.0.10\t\t10.20.0.20\t\t40000\t\t636\t\t74", Some((Protocol::Tcp, 40000, 636, 74)))]
    #[case::udp("10.20.0.10\t\t10.20.0.20\t\t\t40000\t\t53\t80", Some((Protocol::Udp, 40000, 53, 80)))]
    #[case::ipv6("\tfe80::1\t\tff02::fb\t\t5353\t\t5353\t120", Some((Protocol::Udp, 5353, 5353, 120)))]
    #[case::something_else("10.20.0.10\t\t10.20.0.20", None)]
    fn lines_of_tshark_are_packets(#[case] line: &str, #[case] expected: Option<(Protocol, u16, u16, u64)>) {
        let found = packet(line).map(|(protocol, from, to, bytes)| (protocol, from.1, to.1, bytes));
        assert_eq!(found, expected);
    }
}
