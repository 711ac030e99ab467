//! Time as one object: a [`TimeoutScale`] says how slow this host is, a [`LiveTimeoutScale`] how slow it is now, a [`Deadline`] is made from them, and
//! every wait takes a deadline.
//!
//! A budget in a scenario or in the harness is *nominal*: what the step may take on a machine with working KVM. The pace
//! stretches it, so no number in the code knows which accelerator it runs under. A wait that ends without its condition
//! says what it waited for, how long, and what it saw last.

mod live_scale;
mod slow_waits;

pub use live_scale::LiveTimeoutScale;
pub(crate) use slow_waits::note;
pub use slow_waits::{CloseCall, noting};

use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

/// How much slower than a host with KVM this one is. Always ≥ 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct TimeoutScale(f64);

impl TimeoutScale {
    /// The pace of the reference: guests run by KVM on an idle host.
    pub const REFERENCE: Self = Self(1.0);

    /// The widest stretch: beyond it a host is called broken and not slow.
    const SLOWEST: f64 = 40.0;

    /// A pace from a measured factor, held within what is believable.
    #[must_use]
    pub fn from_factor(factor: f64) -> Self {
        Self(factor.clamp(1.0, Self::SLOWEST))
    }

    /// The factor, for reports.
    #[must_use]
    pub fn factor(self) -> f64 {
        self.0
    }

    /// A deadline that ends when `nominal`, stretched by this pace, has passed from now on.
    #[must_use]
    pub fn deadline(self, nominal: Duration) -> Deadline {
        Deadline::after(nominal.mul_f64(self.0))
    }
}

impl fmt::Display for TimeoutScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "×{:.1}", self.0)
    }
}

/// The moment at which a wait gives up.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started: Instant,
    ends: Instant,
}

impl Deadline {
    /// A deadline after `wall` seconds of this host's clock. Prefer [`TimeoutScale::deadline`].
    #[must_use]
    pub fn after(wall: Duration) -> Self {
        let started = Instant::now();
        Self { started, ends: started + wall }
    }

    /// What is left; zero when it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.remaining().is_zero()
    }

    /// How long the wait has lasted so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The same end, or one `wall` from now if that is sooner: for one attempt within a longer wait.
    #[must_use]
    pub fn at_most(&self, wall: Duration) -> Self {
        let now = Instant::now();
        Self { started: now, ends: self.ends.min(now + wall) }
    }

    /// Awaits `future` until the deadline; `what` completes the sentence "waited for …".
    pub async fn bound<T>(&self, what: impl fmt::Display, future: impl Future<Output = T>) -> Result<T, Expired> {
        match tokio::time::timeout_at(self.ends.into(), future).await {
            Ok(value) => {
                slow_waits::note(what, self.ends, self.elapsed(), self.allowed());
                Ok(value)
            }
            Err(_) => Err(self.expired(what, None)),
        }
    }

    /// Calls `attempt` until it yields a value or the deadline passes. An attempt that yields none says what it saw
    /// instead.
    pub async fn poll<T, A, F>(&self, what: impl fmt::Display, mut attempt: A) -> Result<T, Expired>
    where
        A: FnMut() -> F,
        F: Future<Output = Result<T, String>>,
    {
        let mut pauses = Pauses::default();
        let mut last_seen = None;
        loop {
            match tokio::time::timeout_at(self.ends.into(), attempt()).await {
                Ok(Ok(value)) => {
                    slow_waits::note(what, self.ends, self.elapsed(), self.allowed());
                    return Ok(value);
                }
                Ok(Err(seen)) => last_seen = Some(seen),
                Err(_) => return Err(self.expired(what, last_seen)),
            }
            if self.passed() {
                return Err(self.expired(what, last_seen));
            }
            pauses.next(self).await;
        }
    }

    fn allowed(&self) -> Duration {
        self.ends.saturating_duration_since(self.started)
    }

    /// The error of this deadline.
    pub fn expired(&self, what: impl fmt::Display, last_seen: Option<String>) -> Expired {
        Expired { what: what.to_string(), waited: self.elapsed(), last_seen }
    }
}

/// The pauses between looks at something that will change: they grow from 10 ms to 500 ms. None is shorter than the look
/// before it took: whoever looks costs what is looked at, and an emulated machine that is asked all the time does little else.
#[derive(Debug)]
pub struct Pauses {
    shortest: Duration,
    looking_since: Instant,
}

/// No pause is longer, however long a look took: some looks only wait themselves, such as for an answer that does not come.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Default for Pauses {
    fn default() -> Self {
        Self { shortest: Duration::from_millis(10), looking_since: Instant::now() }
    }
}

impl Pauses {
    /// Waits for the next one to pass, at most until the deadline.
    pub async fn next(&mut self, deadline: &Deadline) {
        let pause = self.after(self.looking_since.elapsed());
        tokio::time::sleep(pause.min(deadline.remaining())).await;
        self.looking_since = Instant::now();
    }

    /// The one after a look that took so long.
    fn after(&mut self, look: Duration) -> Duration {
        let pause = self.shortest.max(look.min(LONGEST_PAUSE));
        self.shortest = (self.shortest * 3 / 2).min(Duration::from_millis(500));
        pause
    }
}

/// A wait that ended without what it waited for.
#[derive(Debug, Clone, thiserror::Error)]
#[error("waited {:.1} s for {what}{}", waited.as_secs_f64(), describe(last_seen.as_deref()))]
pub struct Expired {
    /// What was waited for: a noun phrase.
    pub what: String,
    /// How long, by the host's clock.
    pub waited: Duration,
    /// What the last attempt saw instead.
    pub last_seen: Option<String>,
}

fn describe(last_seen: Option<&str>) -> String {
    last_seen.map(|seen| format!("; last seen: {seen}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::faster_than_the_reference(0.2, 1.0)]
    #[case::tcg(4.5, 4.5)]
    #[case::stalled(1e6, 40.0)]
    fn pace_is_held_within_belief(#[case] measured: f64, #[case] factor: f64) {
        assert!((TimeoutScale::from_factor(measured).factor() - factor).abs() < 1e-9);
    }

    #[tokio::test]
    async fn a_poll_tells_what_it_saw_last() {
        let deadline = Deadline::after(Duration::from_millis(50));
        let error = deadline
            .poll("unit postfix to be active", || async { Err::<(), _>("activating".into()) })
            .await
            .unwrap_err();
        assert_eq!(error.last_seen.as_deref(), Some("activating"));
        assert!(error.to_string().contains("for unit postfix to be active; last seen: activating"), "{error}");
    }

    #[tokio::test]
    async fn an_attempt_that_hangs_does_not_outlive_the_deadline() {
        let deadline = Deadline::after(Duration::from_millis(30));
        let error = deadline.poll("a reply", std::future::pending::<Result<(), String>>).await.unwrap_err();
        assert!(error.waited < Duration::from_secs(5));
    }

    /// Pauses in milliseconds, after looks that took so many.
    #[rstest]
    #[case::after_quick_looks(&[0; 12], &[10, 15, 22, 33, 50, 75, 113, 170, 256, 384, 500, 500])]
    #[case::after_long_ones(&[800, 100, 4], &[800, 100, 22])]
    #[case::after_a_very_long_one(&[60_000], &[1_000])]
    fn who_looks_long_pauses_long(#[case] looks: &[u64], #[case] expected: &[u128]) {
        let mut pauses = Pauses::default();
        let seen: Vec<_> = looks.iter().map(|look| pauses.after(Duration::from_millis(*look)).as_millis()).collect();
        assert_eq!(seen, expected);
    }
}
