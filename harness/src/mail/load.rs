//! Mail in bulk: many messages, at a pace or as fast as the server takes them, while users read; and what became of each.
//!
//! What a server accepts it owes: each message is found again by its `Message-ID`, exactly once, with the body that it was sent
//! with. What it does not accept it owes nothing for; that is counted.

use super::client::{Client, Endpoint};
use super::conversation::ConversationError;
use super::imap::{self, MailboxName, Session};
use super::mailbox::message_id;
use super::message::{Address, Message, MessageId};
use super::smtp::{self, TransportTls};
use crate::time::{Deadline, TimeoutScale};
use futures_util::future::join_all;
use rand::RngExt as _;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// How long one message or one login may take: nominal.
const PATIENCE: Duration = Duration::from_secs(20);
/// From the end of a login to the next one of the same reader.
const BETWEEN_LOGINS: Duration = Duration::from_secs(1);
/// Characters of a line of a body; a line of RFC 5322 has up to 78.
const LINE: usize = 72;

/// How messages reach the server.
#[derive(Debug)]
pub enum Way {
    /// A user logs in and submits them.
    Submission(smtp::Access),
    /// Another server hands them over, on port 25.
    Neighbour(Endpoint),
}

/// How busy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rhythm {
    /// So many messages a minute. What the server is late with is made up for.
    PerMinute(NonZeroU32),
    /// So many senders at once, each with the next message as soon as the last one is dealt with.
    FlatOut(NonZeroU32),
}

/// A load.
#[derive(Debug)]
pub struct Load {
    /// How messages reach the server.
    pub way: Way,
    /// Who sends.
    pub sender: Address,
    /// Who gets them, one after the other.
    pub recipients: Vec<Address>,
    /// How busy it is.
    pub rhythm: Rhythm,
    /// How long new messages are sent, by the host's clock.
    pub lasts: Duration,
    /// Bytes of a body, about.
    pub bytes: usize,
    /// Users who log in by IMAP meanwhile, look into their inbox, and leave, again and again.
    pub readers: Vec<imap::Access>,
}

/// A message that the server took.
#[derive(Debug, Clone, Serialize)]
pub struct Accepted {
    /// What finds it again.
    #[serde(skip)]
    pub id: MessageId,
    /// Whose it is.
    pub to: Address,
    /// Of its body.
    #[serde(skip)]
    pub digest: blake3::Hash,
    /// When it was accepted, in seconds since the load began.
    pub at: f64,
    /// What handing it over took, in seconds, with connection and login.
    pub took: f64,
}

/// What became of a load.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ledger {
    /// What the server took, in the order of that.
    pub accepted: Vec<Accepted>,
    /// What the server said to messages that it did not take.
    pub not_taken: Vec<String>,
    /// What each login of a reader took, in seconds.
    pub logins: Vec<f64>,
    /// What the server said to readers that it did not let in.
    pub not_admitted: Vec<String>,
    /// From the first message to the last answer, in seconds.
    pub seconds: f64,
}

/// A message that is not in the mailbox as it was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It is there so many times.
    Times(MessageId, usize),
    /// It is there, with another body.
    Altered(MessageId),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(id, 0) => write!(f, "{id} was accepted, and is not there"),
            Self::Times(id, times) => write!(f, "{id} is there {times} times"),
            Self::Altered(id) => write!(f, "{id} has another body"),
        }
    }
}

/// What a mailbox holds: the digests of the bodies of each `Message-ID`.
pub type Bodies = BTreeMap<String, Vec<blake3::Hash>>;

impl Load {
    /// Sends until its time is over, and waits for the last answers. `told` hears of the ledger now and then.
    pub async fn carry_out(&self, client: &Client, pace: TimeoutScale, told: &(dyn Fn(&Ledger) + Sync)) -> Ledger {
        let began = Instant::now();
        let ledger = Mutex::new(Ledger::default());
        let run = Run { load: self, client, pace, began, ledger: &ledger, told };
        let senders = match self.rhythm {
            Rhythm::PerMinute(_) => 1,
            Rhythm::FlatOut(senders) => senders.get(),
        };
        let sending = join_all((0..senders).map(|sender| run.send(sender as usize, senders as usize)));
        let reading = join_all(self.readers.iter().map(|reader| run.read(reader)));
        tokio::join!(sending, reading);
        ledger.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A load under way.
struct Run<'a> {
    load: &'a Load,
    client: &'a Client,
    pace: TimeoutScale,
    began: Instant,
    ledger: &'a Mutex<Ledger>,
    told: &'a (dyn Fn(&Ledger) + Sync),
}

impl Run<'_> {
    /// One sender of so many: the messages `first`, `first + step`, …
    async fn send(&self, first: usize, step: usize) {
        let mut ticks = match self.load.rhythm {
            Rhythm::PerMinute(messages) => {
                let mut ticks = tokio::time::interval(Duration::from_mins(1) / messages.get());
                ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
                Some(ticks)
            }
            Rhythm::FlatOut(_) => None,
        };
        for number in (first..).step_by(step) {
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
            if self.is_over() {
                return;
            }
            self.hand_over(number).await;
        }
    }

    async fn hand_over(&self, number: usize) {
        let to = self.load.recipients[number % self.load.recipients.len()].clone();
        let body = body(self.load.bytes);
        let digest = blake3::hash(body.as_bytes());
        let message = Message::new(self.load.sender.clone(), [to.clone()], format!("Number {}", number + 1), body);
        let (started, deadline) = (Instant::now(), self.pace.deadline(PATIENCE));
        let submission = match &self.load.way {
            Way::Submission(access) => smtp::submit(self.client, access, &message, deadline).await,
            Way::Neighbour(endpoint) => {
                smtp::deliver(self.client, endpoint, TransportTls::default(), &message, deadline).await
            }
        };
        let (at, took) = (self.began.elapsed().as_secs_f64(), started.elapsed().as_secs_f64());
        self.note(|ledger| {
            if submission.finding.is_accepted() && submission.refused.is_empty() {
                ledger.accepted.push(Accepted { id: message.id().clone(), to, digest, at, took });
            } else {
                ledger.not_taken.push(submission.to_string());
            }
        });
    }

    async fn read(&self, reader: &imap::Access) {
        while !self.is_over() {
            let (started, deadline) = (Instant::now(), self.pace.deadline(PATIENCE));
            let looked = look(self.client, reader, deadline).await;
            self.note(|ledger| match looked {
                Ok(()) => ledger.logins.push(started.elapsed().as_secs_f64()),
                Err(words) => ledger.not_admitted.push(words),
            });
            tokio::time::sleep(BETWEEN_LOGINS).await;
        }
    }

    fn is_over(&self) -> bool {
        self.began.elapsed() >= self.load.lasts
    }

    fn note(&self, change: impl FnOnce(&mut Ledger)) {
        let mut ledger = self.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut ledger);
        ledger.seconds = self.began.elapsed().as_secs_f64();
        (self.told)(&ledger);
    }
}

/// One login that looks into the inbox.
async fn look(client: &Client, reader: &imap::Access, deadline: Deadline) -> Result<(), String> {
    let mut session = Session::open(client, reader, deadline).await.map_err(|probe| probe.finding.to_string())?;
    let selected = session.select(&MailboxName::inbox()).await;
    session.logout().await;
    selected.map(drop).map_err(|error| error.to_string())
}

/// Lines of letters and digits: what compresses badly and stands in a message word for word.
fn body(bytes: usize) -> String {
    let mut random = rand::rng();
    let mut letters = std::iter::from_fn(|| Some(char::from(random.sample(rand::distr::Alphanumeric))));
    let mut body = String::with_capacity(bytes + bytes / LINE * 2 + 2);
    for _ in 0..bytes.div_ceil(LINE).max(1) {
        body.extend(letters.by_ref().take(LINE));
        body.push_str("\r\n");
    }
    body
}

/// All bodies of the selected mailbox, by `Message-ID`.
pub async fn bodies(session: &mut Session) -> Result<Bodies, ConversationError> {
    let mut bodies = Bodies::new();
    for uid in session.uids().await? {
        let Some(message) = session.fetch(uid).await? else { continue };
        if let Some(id) = message_id(&message) {
            bodies.entry(id).or_default().push(blake3::hash(body_of(&message)));
        }
    }
    Ok(bodies)
}

/// What stands behind the first empty line (RFC 5322 §2.1).
fn body_of(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    end.map_or(&[], |end| &message[end + 4..])
}

impl Ledger {
    /// What was accepted for somebody.
    pub fn accepted_for<'a>(&'a self, recipient: &'a Address) -> impl Iterator<Item = &'a Accepted> {
        self.accepted.iter().filter(move |accepted| accepted.to == *recipient)
    }

    /// What was accepted for somebody and is not in what their mailbox holds, once, with its body.
    #[must_use]
    pub fn wrong(&self, recipient: &Address, bodies: &Bodies) -> Vec<Wrong> {
        let found = |accepted: &Accepted| match bodies.get(accepted.id.as_str()).map(Vec::as_slice) {
            Some([digest]) if *digest == accepted.digest => None,
            Some([_]) => Some(Wrong::Altered(accepted.id.clone())),
            other => Some(Wrong::Times(accepted.id.clone(), other.map_or(0, <[_]>::len))),
        };
        self.accepted_for(recipient).filter_map(found).collect()
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.accepted.len();
        let accepted = u32::try_from(count).map_or(f64::INFINITY, f64::from);
        let took: Vec<_> = self.accepted.iter().map(|accepted| accepted.took).collect();
        write!(f, "{count} accepted in {:.0} s", self.seconds)?;
        if count > 0 {
            write!(f, " ({:.1} a minute; {})", accepted * 60.0 / self.seconds.max(f64::EPSILON), Spread::of(&took))?;
        }
        write!(f, ", {} not taken", self.not_taken.len())?;
        if let Some(words) = self.not_taken.first() {
            write!(f, ", the first: {words}")?;
        }
        if !(self.logins.is_empty() && self.not_admitted.is_empty()) {
            write!(
                f,
                "; {} logins ({}), {} failed",
                self.logins.len(),
                Spread::of(&self.logins),
                self.not_admitted.len()
            )?;
        }
        if let Some(words) = self.not_admitted.first() {
            write!(f, ", the first: {words}")?;
        }
        Ok(())
    }
}

/// How long something takes, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Of half of them, no longer.
    pub median: f64,
    /// Of all.
    pub longest: f64,
}

impl Spread {
    /// Of so many; 0 of none.
    #[must_use]
    pub fn of(seconds: &[f64]) -> Self {
        let mut seconds = seconds.to_vec();
        seconds.sort_by(f64::total_cmp);
        let at = |index: usize| seconds.get(index).copied().unwrap_or_default();
        Self { median: at(seconds.len() / 2), longest: at(seconds.len().saturating_sub(1)) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "median {:.2} s, longest {:.2} s", self.median, self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::new(text).unwrap()
    }

    fn ledger(bodies: &[&str]) -> (Ledger, Vec<MessageId>) {
        let (alice, sender) = (address("alice@lan.test"), address("carol@lan.test"));
        let accepted = |body: &&str| Accepted {
            id: Message::new(sender.clone(), [alice.clone()], "x", *body).id().clone(),
            to: alice.clone(),
            digest: blake3::hash(body.as_bytes()),
            at: 1.0,
            took: 0.5,
        };
        let accepted: Vec<_> = bodies.iter().map(accepted).collect();
        let ids = accepted.iter().map(|accepted| accepted.id.clone()).collect();
        (Ledger { accepted, seconds: 30.0, ..Ledger::default() }, ids)
    }

    #[rstest::rstest]
    #[case::as_sent(&["one", "two"], &[])]
    #[case::lost(&["one"], &["> was accepted, and is not there"])]
    #[case::doubled(&["one", "two", "two"], &["> is there 2 times"])]
    #[case::altered(&["one", "tow"], &["> has another body"])]
    fn what_was_accepted_is_there_once(#[case] there: &[&str], #[case] expected: &[&str]) {
        let (ledger, ids) = ledger(&["one", "two"]);
        let mut bodies = Bodies::new();
        for (index, body) in there.iter().enumerate() {
            bodies.entry(ids[index.min(1)].as_str().into()).or_default().push(blake3::hash(body.as_bytes()));
        }
        let wrong: Vec<_> = ledger.wrong(&address("alice@lan.test"), &bodies).iter().map(ToString::to_string).collect();
        assert_eq!(wrong.len(), expected.len(), "{wrong:?}");
        assert!(wrong.iter().zip(expected).all(|(wrong, end)| wrong.ends_with(end)), "{wrong:?}");
        assert_eq!(ledger.wrong(&address("carol@lan.test"), &bodies), []);
    }

    #[test]
    fn a_ledger_tells_its_figures() {
        let (mut ledger, _) = ledger(&["one", "two"]);
        assert_eq!(ledger.to_string(), "2 accepted in 30 s (4.0 a minute; median 0.50 s, longest 0.50 s), 0 not taken");
        ledger.logins = vec![0.2, 0.9, 0.4];
        ledger.not_admitted = vec!["refused".into()];
        assert!(
            ledger.to_string().ends_with("; 3 logins (median 0.40 s, longest 0.90 s), 1 failed, the first: refused")
        );
        assert_eq!(Ledger::default().to_string(), "0 accepted in 0 s, 0 not taken");
        ledger.logins.clear();
        let end = "; 0 logins (median 0.00 s, longest 0.00 s), 1 failed, the first: refused";
        assert!(ledger.to_string().ends_with(end), "{ledger}");
    }

    #[test]
    fn half_of_all_took_no_longer_than_the_median() {
        assert_eq!(Spread::of(&[5.0, 1.0, 4.0, 2.0, 3.0]), Spread { median: 3.0, longest: 5.0 });
    }

    #[rstest::rstest]
    #[case::least(0, 74)]
    #[case::some(2000, 28 * 74)]
    fn bodies_stand_in_a_message_word_for_word(#[case] bytes: usize, #[case] length: usize) {
        let body = body(bytes);
        assert_eq!(body.len(), length);
        let message = Message::new(address("a@lan.test"), [address("b@lan.test")], "x", body.clone());
        assert_eq!(body_of(message.text().as_bytes()), body.as_bytes());
    }
}
