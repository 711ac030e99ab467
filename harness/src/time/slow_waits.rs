//! Waits that ended well, and only just: what will fail on a slower day, told before it does.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The part of its time from which on a wait is a close call.
const CLOSE: f64 = 0.8;

/// Waits that may not be longer are attempts within longer ones.
const SHORTEST: Duration = Duration::from_secs(2);

/// Of one piece of work no more are kept.
const MOST: usize = 100;

tokio::task_local! {
    static HEARD: Arc<Mutex<Vec<(Instant, CloseCall)>>>;
}

/// A wait that took most of the time that it had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseCall {
    /// What was waited for: a noun phrase.
    pub what: String,
    /// How long, in seconds.
    pub waited: f64,
    /// How long it might have been, in seconds.
    pub allowed: f64,
}

impl fmt::Display for CloseCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waited {:.1} of {:.1} s for {}", self.waited, self.allowed, self.what)
    }
}

/// Does some work, and hands back the close calls in it, as far as it does not spawn tasks.
pub async fn noting<T>(work: impl Future<Output = T>) -> (T, Vec<CloseCall>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let done = HEARD.scope(heard.clone(), work).await;
    let calls = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
    (done, calls.into_iter().map(|(_, call)| call).collect())
}

/// Takes note of a wait until then that ended with what it waited for. Of waits that share their end the last is told: it is the one
/// that the others were parts of, or came after them.
pub(crate) fn note(what: impl fmt::Display, until: Instant, waited: Duration, allowed: Duration) {
    if allowed <= SHORTEST || waited.as_secs_f64() < allowed.as_secs_f64() * CLOSE {
        return;
    }
    let call = CloseCall { what: what.to_string(), waited: waited.as_secs_f64(), allowed: allowed.as_secs_f64() };
    // Where nobody wants to know there is nobody to tell.
    let _ = HEARD.try_with(|heard| {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        match heard.iter().position(|(end, _)| *end == until) {
            Some(place) => heard[place].1 = call,
            None if heard.len() < MOST => heard.push((until, call)),
            None => {}
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Deadline;

    #[tokio::test]
    async fn a_wait_that_only_just_ended_well_is_told() {
        let second = Duration::from_secs(1);
        let ((), calls) = noting(async {
            let [one, other] = [1, 2].map(|later| Instant::now() + second * later);
            note("an easy one", one, second * 7, second * 10);
            note("a part of it", other, second * 8, second * 10);
            note("postfix", other, second * 9, second * 10);
            note("an attempt", one, second * 2, second * 2);
            let _ = Deadline::after(second * 10).bound("what is there", std::future::ready(())).await;
        })
        .await;
        let told: Vec<_> = calls.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["waited 9.0 of 10.0 s for postfix"]);
        note("nobody listens", Instant::now(), second * 9, second * 10);
    }

    #[tokio::test]
    async fn a_deadline_tells() {
        let deadline = Deadline {
            started: Instant::now().checked_sub(Duration::from_secs(9)).unwrap(),
            ends: Instant::now() + Duration::from_secs(1),
        };
        let (_, calls) = noting(deadline.bound("the waker", std::future::ready(()))).await;
        assert_eq!(calls.len(), 1, "{calls:?}");
        let (_, calls) = noting(deadline.poll("a unit", || async { Ok::<_, String>(()) })).await;
        assert_eq!(calls[0].what, "a unit");
    }
}
