//! `cargo xtask forward`: ports of machines, as ports of 127.0.0.1.

use super::{Choice, Reached, talk_error, unexpected, wait_for};
use crate::exit::{End, Invalid};
use crate::ui;
use anyhow::Context as _;
use harness::session::{Conversation, Reply, Request, Status};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::net::TcpListener;

pub(crate) const EXAMPLES: &str = "\
Examples:

    cargo xtask forward mail:993                     a free port of 127.0.0.1; it is printed
    cargo xtask forward mail:993 9993 mail:587 5587  two ports, and where";

/// What to forward.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ForwardArgs {
    /// MACHINE:PORT, and behind it the port of 127.0.0.1, if it shall not be any that is free; and so on
    #[arg(required = true, value_name = "MACHINE:PORT [LOCAL]")]
    targets: Vec<String>,
    #[command(flatten)]
    choice: Choice,
}

/// A port of a machine, and the one here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    machine: String,
    port: u16,
    /// 0 for any that is free.
    local: u16,
}

/// Forwards until the lab, or the user, ends it.
pub(crate) fn forward(args: &ForwardArgs) -> anyhow::Result<ExitCode> {
    let targets = targets(&args.targets).map_err(Invalid)?;
    let lab = args.choice.find()?;
    wait_for(async {
        let Reply::Status(status) = lab.ask(&Request::Status).await? else { return unexpected() };
        for target in &targets {
            let listener = listen(target).await?;
            // What cannot be reached is told now, and not to a mail program.
            drop(lab.pipe(&target.request()).await?);
            ui::line(explained(target, listener.local_addr()?, &status));
            let (directory, target) = (lab.directory.clone(), target.clone());
            tokio::spawn(async move { serve(listener, directory, target).await });
        }
        ended(&lab).await
    })
}

async fn listen(target: &Target) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, target.local));
    TcpListener::bind(address).await.with_context(|| format!("port {} of this host cannot be had", target.local))
}

async fn serve(listener: TcpListener, directory: PathBuf, target: Target) {
    while let Ok((mut here, peer)) = listener.accept().await {
        let (directory, target) = (directory.clone(), target.clone());
        tokio::spawn(async move {
            match Conversation::pipe(&directory, &target.request()).await {
                // Whichever end breaks off, the connection is over.
                Ok(mut there) => drop(tokio::io::copy_bidirectional(&mut here, &mut there).await),
                Err(error) => ui::note(format_args!("connection from {peer}: {error}")),
            }
        });
    }
}

/// Waits for the end of the lab, or for Ctrl-C.
async fn ended(lab: &Reached) -> anyhow::Result<ExitCode> {
    let mut watch = Conversation::begin(&lab.directory, &Request::Watch).await.map_err(talk_error)?;
    tokio::select! {
        () = watch.closed() => {
            ui::note(format_args!("lab {} has ended", lab.card.name));
            Ok(End::Internal.into())
        }
        pressed = tokio::signal::ctrl_c() => {
            pressed?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl Target {
    fn request(&self) -> Request {
        Request::Connect { machine: self.machine.clone(), port: self.port }
    }
}

/// Reads `mail:993 9993 mail:587`.
fn targets(words: &[String]) -> Result<Vec<Target>, String> {
    let mut targets: Vec<Target> = Vec::new();
    let mut may_be_local = false;
    for word in words {
        if let (Ok(local), true, Some(target)) = (word.parse::<u16>(), may_be_local, targets.last_mut()) {
            target.local = local;
            may_be_local = false;
            continue;
        }
        let split = word.rsplit_once(':').and_then(|(machine, port)| Some((machine, port.parse::<u16>().ok()?)));
        let (machine, port) = split.filter(|(machine, port)| !machine.is_empty() && *port > 0).ok_or_else(|| {
            format!("`{word}` is no port of a machine: write MACHINE:PORT, as in mail:993, and then the port here, if you like")
        })?;
        targets.push(Target { machine: machine.to_owned(), port, local: 0 });
        may_be_local = true;
    }
    Ok(targets)
}

/// What a person needs to use it.
fn explained(target: &Target, here: SocketAddr, status: &Status) -> String {
    let Target { machine, port, .. } = target;
    let fqdn = status.machines.iter().find(|known| known.name == *machine).map_or(machine, |known| &known.fqdn);
    let authority = status.authority.as_ref().map_or_else(|| "FILE".into(), |path| path.display().to_string());
    let starttls = match port {
        143 => " -starttls imap",
        25 | 587 => " -starttls smtp",
        _ => "",
    };
    format!(
        "{here} is {machine}:{port}, until Ctrl-C or the end of the lab
  users: {users}; `cargo xtask passwords` prints their passwords
  its certificate is for {fqdn}, localhost and 127.0.0.1, by the authority in {authority}; to look at it:
    openssl s_client -connect {here}{starttls} -verify_ip {ip} -verify_return_error -CAfile {authority}",
        ip = here.ip(),
        users = status.accounts.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Vec<(String, u16, u16)>, String> {
        let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
        Ok(targets(&words)?.into_iter().map(|it| (it.machine, it.port, it.local)).collect())
    }

    #[rstest::rstest]
    #[case::any("mail:993", &[("mail", 993, 0)])]
    #[case::chosen("mail:993 9993", &[("mail", 993, 9993)])]
    #[case::several("mail:993 9993 mail:587 directory:636 1636", &[("mail", 993, 9993), ("mail", 587, 0), ("directory", 636, 1636)])]
    fn ports_are_read(#[case] words: &str, #[case] expected: &[(&str, u16, u16)]) {
        let expected: Vec<_> =
            expected.iter().map(|(machine, port, local)| ((*machine).to_owned(), *port, *local)).collect();
        assert_eq!(read(words).unwrap(), expected);
    }

    #[rstest::rstest]
    #[case::no_port("mail")]
    #[case::no_machine(":993")]
    #[case::no_such_port("mail:99999")]
    #[case::two_ports_here("mail:993 1 2")]
    #[case::nothing_before("9993 mail:993")]
    fn what_is_no_port_is_told(#[case] words: &str) {
        let error = read(words).unwrap_err();
        assert!(error.contains("write MACHINE:PORT"), "{error}");
    }
}
