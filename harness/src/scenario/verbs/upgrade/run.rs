//! A distribution upgrade in the running guest, while mail keeps coming.

use crate::machine::{Machine, VerbError, quoted};
use crate::mail::message::Address;
use crate::mail::neighbour::{Handed, Neighbour};
use crate::mail::smtp;
use crate::predict::transaction::Transaction;
use crate::scenario::format::step::{Driver, Upgrade};
use crate::scenario::verbs::expectation::Upgraded;
use crate::scenario::verbs::test_state::Artifact;
use crate::scenario::verbs::{Done, StepContext, StepError, decided};
use crate::time::Deadline;
use crate::upgrade::{self as zypper, ROOM, Trouble};
use std::time::Duration;

/// How long an upgrade may take: nominal.
const PATIENCE: Duration = Duration::from_mins(5);
/// The guest tells how far it is at least this often, in seconds of its own clock.
const BEAT: u32 = 15;

/// How far an upgrade came.
enum Came {
    ToItsEnd(Ended),
    /// So many packages are dealt with, and it goes on.
    ToPackage(u32),
}

/// How an upgrade ended.
struct Ended {
    /// zypper's exit status.
    status: i64,
    transaction: Transaction,
    steps: Vec<zypper::Step>,
    seconds: f64,
    zypper: String,
}

impl StepContext<'_> {
    pub(crate) async fn upgrade(&mut self, on: &str, upgrade: &Upgrade) -> Result<Done, StepError> {
        let deadline = self.lab.pace().deadline(PATIENCE);
        let machine = self.machine(on)?;
        let repository = upgrade.repository.get_ref();
        let program = match upgrade.driver {
            Driver::Zypper => "zypper",
            Driver::Apt => "apt-get",
        };
        let asked = format!("{program} dist-upgrade to {repository}");
        let mut handed = Handed::default();
        let came = match &upgrade.deliver_to {
            None => self.carry_out(machine, upgrade, deadline).await?,
            Some(user) => {
                let neighbour = self.neighbour(on, user.get_ref())?;
                tokio::select! {
                    came = self.carry_out(machine, upgrade, deadline) => came?,
                    () = neighbour.hand_over(&self.client, &mut handed) => return Err(StepError::Broken("the neighbour gave up".into())),
                }
            }
        };
        let mail = (handed.accepted.len(), handed.deferred);
        self.remember(upgrade, handed);
        let ended = match came {
            Came::ToItsEnd(ended) => ended,
            Came::ToPackage(number) => return decided(&upgrade.judge(Upgraded::UnderWay(number), mail), asked, None),
        };
        let trouble = Trouble::of(ended.status, &ended.steps, &ended.zypper).map(|trouble| trouble.to_string());
        let over = Upgraded::Over {
            status: ended.status,
            steps: ended.transaction.len(),
            seconds: ended.seconds,
            trouble: trouble.as_deref(),
        };
        let judged = upgrade.judge(over, mail);
        let artifact = Artifact::json(format!("transaction-{on}.json"), &ended.transaction);
        self.artifacts.push(artifact.map_err(|error| StepError::Broken(error.to_string()))?);
        self.notes.transactions.insert(on.to_owned(), ended.transaction);
        decided(&judged, asked, Some(ended.zypper))
    }

    fn remember(&mut self, upgrade: &Upgrade, handed: Handed) {
        if let Some(user) = &upgrade.deliver_to {
            self.notes.handed.entry(user.get_ref().clone()).or_default().extend(handed.accepted);
        }
    }

    async fn carry_out(&self, machine: &Machine, upgrade: &Upgrade, deadline: Deadline) -> Result<Came, StepError> {
        let repository = upgrade.repository.get_ref();
        let start = match upgrade.driver {
            Driver::Zypper => zypper::START,
            Driver::Apt => zypper::START_APT,
        };
        for (name, text) in [("start.sh", start), ("mend.pl", zypper::MEND), ("watch.pl", zypper::WATCH)] {
            let command = format!("mkdir -p {ROOM} && cat > {ROOM}/{name}");
            machine.execute_with_input(&command, Some(text.as_bytes()), deadline).await?;
        }
        machine.succeed(&format!("sh {ROOM}/start.sh {} upgrade", quoted(repository)), deadline).await?;
        let mut last = String::new();
        while !deadline.passed() {
            // Answers when zypper has ended, or after a while; the agent itself is upgraded on the way, and takes the
            // command with it.
            let wait = format!(
                "timeout {BEAT} tail --follow --lines=0 --pid=$(systemctl show --value --property MainPID rehearsal-upgrade) \
                 {ROOM}/zypper.log > /dev/null 2>&1; tail -n 1 {ROOM}/steps.log; \
                 tr '\\r' '\\n' < {ROOM}/zypper.log | grep -E '^\\( *[0-9]+/[0-9]+\\)' | tail -n 1; cat {ROOM}/result 2> /dev/null"
            );
            match machine.execute(&wait, deadline).await {
                Ok(output) if output.status == 0 => return self.ended(machine, deadline).await.map(Came::ToItsEnd),
                Ok(output) => {
                    last = self.tell(&output.stdout, last);
                    let done = output.stdout.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
                    if upgrade.until_package.is_some_and(|until| done >= until) {
                        return Ok(Came::ToPackage(done));
                    }
                }
                Err(VerbError::Agent { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let expired = deadline.expired("the upgrade to end", (!last.is_empty()).then_some(last));
        Err(StepError::Broken(expired.to_string()))
    }

    /// Says how far it is, if that is news.
    fn tell(&self, seen: &str, last: String) -> String {
        let now = seen.lines().last().unwrap_or_default().trim().to_owned();
        if !now.is_empty() && now != last {
            (self.say)(&format!("        {}", now.split(" [").next().unwrap_or_default()));
            return now;
        }
        last
    }

    async fn ended(&self, machine: &Machine, deadline: Deadline) -> Result<Ended, StepError> {
        let read = async |name: &str| machine.succeed(&format!("cat {ROOM}/{name}"), deadline).await;
        // The watcher has told all that happened before it is asked to end.
        machine.execute("systemctl stop rehearsal-watch.service", deadline).await?;
        let steps = zypper::steps(&read("steps.log").await?).map_err(|error| StepError::Broken(error.to_string()))?;
        Ok(Ended {
            status: read("result").await?.trim().parse().unwrap_or(-1),
            transaction: zypper::transaction(&steps, &read("changes.log").await?),
            steps,
            seconds: deadline.elapsed().as_secs_f64(),
            zypper: read("zypper.log").await?,
        })
    }

    fn neighbour(&self, on: &str, user: &str) -> Result<Neighbour, StepError> {
        let address = |text: String| Address::new(text).map_err(|error| StepError::Broken(error.to_string()));
        Ok(Neighbour {
            endpoint: self.endpoint(on, smtp::PORT)?,
            sender: address("neighbour@example.org".into())?,
            recipient: address(format!("{user}@{}", self.domain))?,
        })
    }
}
