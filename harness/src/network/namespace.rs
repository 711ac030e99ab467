//! A lab's network namespace with its bridges and taps.

use super::address::{MacAddress, Prefix, Segment, TapName};
use super::flows::clock;
use super::keeper::Keeper;
use crate::time::{Deadline, TimeoutScale};
use jiff::Timestamp;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Command, Stdio};

/// What can go wrong with a lab's network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The kernel refused a new network namespace.
    #[error(
        "the kernel refused a network namespace ({0}); as an ordinary user this needs unprivileged user namespaces: see `cargo xtask doctor`"
    )]
    Create(#[source] nix::Error),
    /// A thread could not enter the lab's namespace.
    #[error("failed to enter the lab's network namespace")]
    Enter(#[source] nix::Error),
    /// The namespace could not be opened.
    #[error("failed to open /proc/thread-self/ns/net")]
    Open(#[source] std::io::Error),
    /// No thread could be started.
    #[error("failed to start a thread")]
    Thread(#[source] std::io::Error),
    /// The thread that keeps the namespace has ended.
    #[error("the lab's network is gone: its keeper thread has ended")]
    KeeperGone,
    /// The lab could not broadcast.
    #[error("failed to broadcast into the lab's network")]
    Pulse(#[source] std::io::Error),
    /// `ip` is not installed or cannot run.
    #[error("failed to run `ip`; `cargo xtask setup` installs it")]
    Tool(#[source] std::io::Error),
    /// `ip` refused a command.
    #[error("`ip -batch` refused to build the lab's network: {stderr}\n{script}")]
    Refused {
        /// The commands.
        script: String,
        /// What it said.
        stderr: String,
    },
}

/// A network that nobody but the lab's guests and probes can reach.
#[derive(Debug)]
pub struct Namespace {
    keeper: Keeper,
    networks: Vec<Prefix>,
}

impl Namespace {
    /// Makes a namespace with a bridge for every segment and the given taps attached to them. On every bridge the lab
    /// itself has the segment's first address: that is where probes come from. A machine has no route for them that does not say its
    /// hardware address in three seconds, which are stretched by the `pace`.
    pub async fn create(
        segments: &[Segment],
        taps: &[(TapName, Segment)],
        pace: TimeoutScale,
    ) -> Result<Self, NetworkError> {
        let keeper = Keeper::start()?;
        let script = batch(segments, taps, pace);
        keeper.run(move || run_batch(script)).await??;
        let networks = segments.iter().map(|segment| segment.prefix).collect();
        Ok(Self { keeper, networks })
    }

    /// The networks of its segments.
    #[must_use]
    pub fn networks(&self) -> &[Prefix] {
        &self.networks
    }

    /// The thread on which the lab's guests are spawned.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// Broadcasts the time of now into every segment, for captures of what is there ([`super::flows::clock`]).
    pub async fn pulse(&self) -> Result<Timestamp, NetworkError> {
        let networks = self.networks.clone();
        let sent = self.keeper.visit(move || {
            let now = Timestamp::now();
            let text = clock::pulse(now);
            for network in networks {
                let socket = UdpSocket::bind((network.observer(), 0))?;
                socket.set_broadcast(true)?;
                socket.send_to(text.as_bytes(), (network.broadcast(), clock::PORT))?;
            }
            Ok(now)
        });
        sent.await?.map_err(NetworkError::Pulse)
    }

    /// Opens a TCP connection from inside the lab's network.
    pub async fn dial(&self, address: SocketAddr, deadline: Deadline) -> std::io::Result<tokio::net::TcpStream> {
        let stream = self
            .keeper
            .visit(move || {
                let patience = deadline.remaining();
                if patience.is_zero() {
                    return Err(std::io::Error::from(std::io::ErrorKind::TimedOut));
                }
                let stream = TcpStream::connect_timeout(&address, patience)?;
                stream.set_nonblocking(true)?;
                Ok(stream)
            })
            .await
            .map_err(std::io::Error::other)??;
        tokio::net::TcpStream::from_std(stream)
    }
}

/// The commands of ip(8) that build the network, for `ip -batch -`.
fn batch(segments: &[Segment], taps: &[(TapName, Segment)], pace: TimeoutScale) -> String {
    // The kernel asks three times, a second apart (arp(7), `mcast_solicit` and `ucast_solicit`).
    let probes = (3.0 * pace.factor()).ceil();
    let mut script = String::from("link set lo up\n");
    for (segment, index) in segments.iter().zip(0..) {
        let (bridge, prefix) = (segment.name.bridge(), segment.prefix);
        // A thawed guest knows its neighbours' hardware addresses from before: a bridge has the same in every copy.
        let address = MacAddress::of_bridge(index);
        // Without spanning tree and multicast snooping a bridge forwards at once.
        let _ = writeln!(
            script,
            "link add {bridge} address {address} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        );
        let _ = writeln!(script, "addr add {}/{} dev {bridge}", prefix.observer(), prefix.length());
        let table = format!("ntable change name arp_cache dev {bridge}");
        let _ = writeln!(script, "{table} mcast_probes {probes} ucast_probes {probes}");
        let _ = writeln!(script, "link set {bridge} up");
    }
    for (tap, segment) in taps {
        let _ = writeln!(script, "tuntap add dev {tap} mode tap vnet_hdr");
        let _ = writeln!(script, "link set {tap} master {} up", segment.name.bridge());
    }
    script
}

fn run_batch(script: String) -> Result<(), NetworkError> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(NetworkError::Tool)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A failed write means that `ip` has ended: its own words say why.
        let _ = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().map_err(NetworkError::Tool)?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(NetworkError::Refused { script, stderr })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lan() -> Segment {
        Segment { name: "lan".to_owned().try_into().unwrap(), prefix: "10.20.0.0/24".parse().unwrap() }
    }

    #[test]
    fn the_batch_builds_bridges_before_taps() {
        let pace = TimeoutScale::from_factor(7.1);
        insta::assert_snapshot!(batch(&[lan()], &[(TapName::numbered(0), lan())], pace), @r"
        link set lo up
        link add br-lan address 52:54:00:4d:00:00 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
        addr add 10.20.0.1/24 dev br-lan
        ntable change name arp_cache dev br-lan mcast_probes 22 ucast_probes 22
        link set br-lan up
        tuntap add dev tap0 mode tap vnet_hdr
        link set tap0 master br-lan up
        ");
    }
}
