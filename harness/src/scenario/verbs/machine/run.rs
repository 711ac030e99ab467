//! Files, units and the cable of a machine.

use crate::machine::{self, quoted, ssh};
use crate::scenario::format::step::{FileState, Impairment, Link, Service, Write};
use crate::scenario::verbs::expectation::FileSeen;
use crate::scenario::verbs::{Done, StepContext, StepError, decided};
use std::path::PathBuf;

/// Whether the kernel and tc(8) have netem: tried, on the card that changes nothing.
const NETEM: &str =
    "modprobe --quiet sch_netem; tc qdisc replace dev lo root netem delay 0ms && tc qdisc del dev lo root";

impl StepContext<'_> {
    pub(crate) async fn file(&self, on: &str, file: &FileState) -> Result<Done, StepError> {
        let path = file.path.get_ref();
        let asked = format!("the file {path}");
        // Status 3 is ours: a file that is there and cannot be read ends cat with 1.
        let command = format!("test -e {0} || exit 3; cat -- {0}", quoted(path));
        let output = self.machine(on)?.execute(&command, self.deadline()).await?;
        let (seen, transcript) = match output.status {
            3 => (FileSeen::Absent, None),
            0 => (FileSeen::Present(output.stdout.clone()), Some(output.stdout)),
            status => return Err(StepError::Broken(format!("cat ended with status {status}: {}", output.stderr))),
        };
        decided(&file.judge(&seen), asked, transcript)
    }

    pub(crate) async fn write(&self, on: &str, write: &Write) -> Result<Done, StepError> {
        let path = write.path.get_ref();
        let mode = write.mode().ok_or_else(|| StepError::Broken(format!("{path} can have no such permissions")))?;
        let connection = self.root_connection(on).await?;
        let content = write.content.clone().into_bytes();
        let sent = ssh::upload(connection, self.root(), PathBuf::from(path), mode, content, self.deadline());
        sent.await.map_err(|error| StepError::Broken(error.to_string()))?;
        let asked = format!("write {path} with mode {mode:04o}");
        Ok(Done { asked, answered: format!("{} bytes", write.content.len()), transcript: Some(write.content.clone()) })
    }

    pub(crate) async fn service(&self, on: &str, service: &Service) -> Result<Done, StepError> {
        let jobs = [
            ("stop", &service.stop),
            ("start", &service.start),
            ("restart", &service.restart),
            ("reload", &service.reload),
        ];
        let wanted = jobs.into_iter().filter(|(_, units)| !units.is_empty());
        let commands = wanted.map(|(job, units)| {
            let units: Vec<_> = units.iter().map(|unit| quoted(unit)).collect();
            format!("systemctl {job} -- {}", units.join(" "))
        });
        let command = commands.collect::<Vec<_>>().join(" && ");
        self.machine(on)?.succeed(&command, self.deadline()).await?;
        Ok(Done { asked: command, answered: "done".into(), transcript: None })
    }

    pub(crate) async fn link(&self, on: &str, link: Link) -> Result<Done, StepError> {
        let (state, words) = match link {
            Link::Cut => (machine::Link::Down, "pull the network cable"),
            Link::Restored => (machine::Link::Up, "plug the network cable in"),
        };
        let set = self.machine(on)?.set_link(state, self.deadline()).await;
        set.map_err(|error| StepError::Broken(error.to_string()))?;
        Ok(Done { asked: words.into(), answered: "done".into(), transcript: None })
    }

    /// By the machine's own kernel, on what it sends: this host's kernel need not have netem, and packets to the control
    /// channels are none of those.
    pub(crate) async fn impair(&self, on: &str, impairment: &Impairment) -> Result<Done, StepError> {
        let machine = self.machine(on)?;
        let netem = impairment.netem();
        if netem.is_some() {
            let probed = machine.execute(NETEM, self.deadline()).await?;
            if probed.status != 0 {
                let why = probed.stderr.trim();
                return Err(StepError::Lacking(format!("machine {on} has no netem to spoil its network with: {why}")));
            }
        }
        let change = match &netem {
            Some(words) => format!("tc qdisc replace dev $card root netem {words}"),
            // A card that was not touched has another discipline, which stays.
            None => "case $(tc qdisc show dev $card root) in *netem*) tc qdisc del dev $card root;; esac".into(),
        };
        let cards = "for card in /sys/class/net/*; do test -e $card/device || continue; card=${card##*/}";
        machine.succeed(&format!("{cards}; {change} || exit 1; done"), self.deadline()).await?;
        let asked = netem.map_or_else(|| "a good network".into(), |words| format!("a network with {words}"));
        Ok(Done { asked, answered: "done".into(), transcript: None })
    }
}
