//! Why a user cannot log in: evidence from all machines of the lab, and what it comes to.

use crate::lab::Lab;
use crate::mail::diagnosis::{COLLECTOR, Diagnosis, Evidence, Login, diagnose};
use crate::scenario::format::step::Diagnose;
use crate::scenario::verbs::{Done, StepContext, StepError, decided};
use crate::time::note;
use futures_util::future::join_all;
use std::time::{Duration, Instant};

/// How long the collection may take: nominal. It asks the directory, which may not answer.
const COLLECTING: Duration = Duration::from_mins(1);

/// How long the directory has for each answer: nominal. A busy host is no silent directory, nor is a far one.
const ANSWERING: Duration = Duration::from_secs(6);

/// Since when logs are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Since<'a> {
    /// So long ago.
    Ago(Duration),
    /// On the mail server after this entry of the journal, elsewhere so long ago.
    After(&'a str, Duration),
}

impl Since<'_> {
    /// In the collector's words.
    fn words(self, is_mail_server: bool) -> String {
        match self {
            Self::After(cursor, _) if is_mail_server => format!("cursor:{cursor}"),
            Self::Ago(span) | Self::After(_, span) => (span.as_secs() + 1).to_string(),
        }
    }
}

/// Asks all machines of the lab, one command on each, and says why the login to `mail` fails.
pub(crate) async fn diagnosis_of(
    lab: &Lab,
    mail: &str,
    login: Login<'_>,
    since: Since<'_>,
) -> Result<Diagnosis, String> {
    let deadline = lab.pace().deadline(COLLECTING);
    let patience = ANSWERING.mul_f64(lab.pace().factor()).as_secs().to_string();
    let asking = lab.machines().map(async |machine| {
        let name = machine.name().as_str();
        let since = since.words(name == mail);
        let arguments = ["-c", COLLECTOR, "sh", login.user, &since, &patience];
        let text = machine.run("/bin/sh", &arguments, b"", deadline).await.map_err(|error| error.to_string());
        let read = |text: String| Evidence::read(&lab.identity().redact(&text));
        let evidence = text.and_then(|text| read(text).map_err(|error| format!("the evidence of {name}: {error}")));
        for wait in evidence.iter().flat_map(Evidence::waits) {
            note(format_args!("{} on {name}", wait.what), Instant::now(), wait.lasted, wait.allowed);
        }
        (name == mail, evidence)
    });
    let (mut own, mut directory) = (Err(format!("machine {mail} is not in the lab")), None);
    for (is_mail, evidence) in join_all(asking).await {
        match evidence {
            _ if is_mail => own = evidence,
            Ok(evidence) if evidence.is_directory() => directory = Some(evidence),
            // A machine that cannot be asked, or knows nothing of directories, has nothing to say.
            _ => {}
        }
    }
    Ok(diagnose(login, &own?, directory.as_ref()))
}

impl StepContext<'_> {
    pub(crate) async fn diagnose(&mut self, on: &str, expected: &Diagnose) -> Result<Done, StepError> {
        let moment = self.moment(&expected.since)?;
        let ago = jiff::Timestamp::now().duration_since(moment.at).unsigned_abs();
        let login = Login { user: expected.user.get_ref(), service: expected.service };
        let asked = format!("why {} cannot log in by {}", login.user, login.service.pam());
        let since = Since::After(&moment.cursor, ago);
        let diagnosis = diagnosis_of(self.lab, on, login, since).await.map_err(StepError::Broken)?;
        let sure = diagnosis.findings.first().map(|finding| format!(" ({})", finding.certainty)).unwrap_or_default();
        let judged = expected.judge(diagnosis.cause(), |cause| diagnosis.names(cause), &sure);
        decided(&judged, asked, Some(diagnosis.to_string()))
    }
}
