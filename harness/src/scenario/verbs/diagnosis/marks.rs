//! Moments to which later steps compare.

use crate::machine::{Machine, VerbError, quoted};
use crate::mail::directory::{DirectoryLog, Since};
use crate::scenario::format::step::{LdapRequests, Mark};
use crate::scenario::verbs::{Done, StepContext, StepError, decided};
use crate::time::Deadline;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All that slapd has logged since the boot. Empty where there is no slapd.
const DIRECTORY_LOG: &str = "journalctl --sync; journalctl --boot --quiet --no-pager --output cat --identifier slapd";

/// A place in the journal (journalctl(1), `--show-cursor`).
const CURSOR: &str =
    "journalctl --sync; journalctl --quiet --no-pager --lines 0 --show-cursor | sed -n 's/^-- cursor: //p'";

/// What was at a moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moment {
    /// Lines that the directory had logged.
    logged: usize,
    /// The last entry of the machine's journal.
    pub(crate) cursor: String,
    /// The identity of each unit's run (systemd.exec(5), `INVOCATION_ID`).
    pub(crate) starts: BTreeMap<String, String>,
    /// When it was, by the host's clock.
    #[serde(default)]
    pub(crate) at: jiff::Timestamp,
}

impl Moment {
    pub(crate) async fn units(
        machine: &Machine,
        units: &[String],
        deadline: Deadline,
    ) -> Result<BTreeMap<String, String>, VerbError> {
        let mut starts = BTreeMap::new();
        for unit in units {
            let command = format!("systemctl show --value --property InvocationID -- {}", quoted(unit));
            starts.insert(unit.clone(), machine.succeed(&command, deadline).await?.trim().to_owned());
        }
        Ok(starts)
    }
}

impl StepContext<'_> {
    pub(crate) async fn mark(&mut self, on: &str, mark: &Mark) -> Result<Done, StepError> {
        let machine = self.machine(on)?;
        let logged = machine.succeed(DIRECTORY_LOG, self.deadline()).await?.lines().count();
        let starts = Moment::units(machine, &mark.units, self.deadline()).await?;
        let cursor = machine.succeed(CURSOR, self.deadline()).await?.trim().to_owned();
        let answered = if starts.is_empty() { format!("{logged} lines so far") } else { "remembered".into() };
        self.notes.marks.insert(mark.name.clone(), Moment { logged, cursor, starts, at: jiff::Timestamp::now() });
        Ok(Done { asked: format!("remember this moment as `{}`", mark.name), answered, transcript: None })
    }

    pub(crate) fn moment(&self, name: &str) -> Result<&Moment, StepError> {
        self.notes.marks.get(name).ok_or_else(|| StepError::Broken(format!("no step has made the mark `{name}`")))
    }

    pub(crate) async fn ldap_requests(&self, on: &str, requests: &LdapRequests) -> Result<Done, StepError> {
        let log = self.machine(on)?.succeed(DIRECTORY_LOG, self.deadline()).await?;
        let peer = self.host(requests.from.get_ref())?.address;
        let since = self.moment(&requests.since)?;
        let log = DirectoryLog::read_since(&log, Since::Line(since.logged))
            .map_err(|error| StepError::Broken(error.to_string()))?;
        let unknown = log.requests_of_unknown_peers().len();
        if unknown > 0 {
            return Err(StepError::Broken(format!("the log does not tell who made {unknown} of the requests")));
        }
        let found: Vec<_> = log.requests_from(peer.into()).into_iter().filter(|request| request.kind.asks()).collect();
        let list: Vec<_> = found.iter().map(ToString::to_string).collect();
        let asked = format!("requests from {} since `{}`", requests.from.get_ref(), requests.since);
        decided(&requests.judge(found.len()), asked, Some(list.join("\n")))
    }
}
