//! What a run shows to the outside, and what its guests can reach of it: this host listens, and hears nothing.

use super::super::runs::Stage;
use super::super::{Outcome, Report};
use super::scenario;
use anyhow::{Context as _, ensure};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

pub(super) fn run(stage: &Stage, report: &mut Report) {
    report.row("faults: a guest tries to reach this host", || reaches_nothing(stage));
    report.row("faults: a run listens to nobody, and tells no secret by its arguments or environment", || {
        is_closed(stage)
    });
}

/// The addresses of this host that others can reach.
fn addresses() -> anyhow::Result<Vec<IpAddr>> {
    let output = Command::new("ip").args(["-json", "address", "show", "scope", "global"]).output()?;
    let links: serde_json::Value = serde_json::from_slice(&output.stdout).context("ip tells no addresses")?;
    let infos =
        links.as_array().into_iter().flatten().flat_map(|link| link["addr_info"].as_array().into_iter().flatten());
    let found: Vec<_> = infos.filter_map(|info| info["local"].as_str()?.parse().ok()).collect();
    Ok(found)
}

fn reaches_nothing(stage: &Stage) -> anyhow::Result<Outcome> {
    let addresses = addresses()?;
    if addresses.is_empty() {
        return Ok(Outcome::Skipped("this host has no address that others could reach".into()));
    }
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let tcp = TcpListener::bind(any)?;
    let udp = UdpSocket::bind(any)?;
    tcp.set_nonblocking(true)?;
    udp.set_nonblocking(true)?;
    let (tcp_port, udp_port) = (tcp.local_addr()?.port(), udp.local_addr()?.port());
    // Ourselves it hears: so it would hear others.
    for address in &addresses {
        drop(TcpStream::connect_timeout(&(*address, tcp_port).into(), Duration::from_secs(5))?);
        UdpSocket::bind(SocketAddr::new(if address.is_ipv6() { any.ip() } else { [0, 0, 0, 0].into() }, 0))?
            .send_to(b"ourselves", (*address, udp_port))?;
    }
    let heard_ourselves = heard(&tcp, &udp);
    ensure!(heard_ourselves == 2 * addresses.len(), "of ourselves it heard {heard_ourselves}");
    let mut probes =
        "ip route replace default via 10.20.0.1 dev eth0; ip -6 route replace default via fe80::1 dev eth0\n"
            .to_owned();
    for address in &addresses {
        writeln!(probes, "timeout 4 bash -c 'echo hello > /dev/tcp/{address}/{tcp_port}' && echo REACHED")?;
        writeln!(probes, "timeout 4 bash -c 'echo hello > /dev/udp/{address}/{udp_port}'")?;
    }
    probes.push_str("exit 0");
    let ended = stage.start_file(&scenario(&[("it tries", &probes)]), &[])?.end()?;
    ended.succeeded()?;
    let step = fs_err::read_to_string(stage.results().join("latest/bad-day::main/step-01.txt"))?;
    ensure!(!step.contains("REACHED"), "{step}");
    let heard = heard(&tcp, &udp);
    ensure!(heard == 0, "{heard} times somebody was heard");
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(format!("{} by TCP and UDP: nothing came; what we sent ourselves did", words(&addresses))))
}

fn words(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// How many connections and datagrams have come since somebody asked last.
fn heard(tcp: &TcpListener, udp: &UdpSocket) -> usize {
    let connections = std::iter::from_fn(|| tcp.accept().ok()).count();
    let mut buffer = [0; 64];
    connections + std::iter::from_fn(|| udp.recv(&mut buffer).ok()).count()
}

fn is_closed(stage: &Stage) -> anyhow::Result<Outcome> {
    let run = stage.in_endless_step()?;
    let secret = fs_err::read(stage.site.cache().secret())?;
    let hexadecimal: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let listening = listening()?;
    let processes = stage.site.processes();
    ensure!(processes.len() > 1, "only {processes:?} run");
    let mut sandboxed = 0;
    for (process, name) in &processes {
        for file in ["cmdline", "environ"] {
            let bytes = fs_err::read(format!("/proc/{process}/{file}"))?;
            let text = String::from_utf8_lossy(&bytes);
            ensure!(!text.contains(&hexadecimal), "{name}: the secret of the cache is in its {file}");
            ensure!(!bytes.windows(secret.len()).any(|window| window == secret), "{name}: the secret is in its {file}");
            // Nothing that is said to be a password, a token or a key has a value there.
            let told = text.split('\0').find(|word| {
                let word = word.to_ascii_lowercase();
                ["passw", "passwd=", "authtok", "private key"].iter().any(|part| word.contains(part))
            });
            let told = told.filter(|_| file == "cmdline");
            ensure!(told.is_none(), "{name}: {told:?} is in its {file}");
            if file == "cmdline" && text.contains("-sandbox\0on,") {
                // 2 is a filter (proc(5), `Seccomp`).
                let status = fs_err::read_to_string(format!("/proc/{process}/status"))?;
                ensure!(status.contains("\nSeccomp:\t2\n"), "{name} has no seccomp filter");
                sandboxed += 1;
            }
        }
        for descriptor in fs_err::read_dir(format!("/proc/{process}/fd"))?.filter_map(Result::ok) {
            let target = std::fs::read_link(descriptor.path()).unwrap_or_default();
            let target = target.display().to_string();
            let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            ensure!(!inode.is_some_and(|inode| listening.contains(inode)), "{name} listens: {target}");
        }
    }
    ensure!(sandboxed == 1, "{sandboxed} of one QEMU are in a sandbox");
    for directory in [stage.results().join("latest"), stage.site.cache().labs()] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs_err::metadata(&directory)?.permissions()) & 0o777;
        ensure!(mode == 0o700, "{} has the mode {mode:o}", directory.display());
    }
    run.kill()?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(format!("{} processes; QEMU is in its sandbox, directories are 0700", processes.len())))
}

/// The TCP sockets that listen in this host's own namespace, by inode (proc(5), `/proc/net/tcp`; state 0A).
fn listening() -> anyhow::Result<BTreeSet<String>> {
    let mut inodes = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs_err::read_to_string(table)?;
        inodes.extend(text.lines().skip(1).filter_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            (*fields.get(3)? == "0A").then(|| fields.get(9).map(ToString::to_string))?
        }));
    }
    Ok(inodes)
}
