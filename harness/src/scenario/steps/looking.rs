//! Looking once, until something is so, or again and again; and the invariants.

use super::super::span::TimeSpan;
use super::super::step::{Looking, Step};
use super::{Done, Stage, StepError, with};
use crate::time::{Deadline, Pauses};
use std::time::Duration;

impl Stage<'_> {
    /// Carries out one step, looking as often as it says.
    pub(in super::super) async fn look(&mut self, step: &Step) -> Result<Done, StepError> {
        let looking = step.looking();
        let deadline = |span: TimeSpan| self.lab.pace().deadline(span.duration());
        match looking {
            Looking::Once => self.perform(step).await,
            Looking::Within(span) => {
                let time = self.longest_wait.map_or(span.duration(), |longest| span.duration().min(longest));
                within(self.lab.pace().deadline(time), async || self.perform(step).await).await
            }
            Looking::Always(span) => always(deadline(span), async || self.perform(step).await).await,
            Looking::Never(span) => never(deadline(span), async || self.perform(step).await).await,
        }
    }

    /// From here on, nobody waits longer than this until something is so: nominal.
    pub(in super::super) fn wait_at_most(&mut self, longest: Option<Duration>) {
        self.longest_wait = longest;
    }

    /// The first invariant that does not hold, of those that no step has disturbed, and what was seen.
    pub(in super::super) async fn first_broken<'i>(&mut self, invariants: &'i [Step]) -> Option<(&'i Step, Done)> {
        for invariant in invariants {
            if self.notes.disturbed.contains(invariant.name.get_ref()) {
                continue;
            }
            match self.look(invariant).await {
                Ok(_) => {}
                Err(StepError::Unmet(done)) => return Some((invariant, done)),
                Err(StepError::Broken(reason) | StepError::Lacking(reason)) => {
                    let asked = "it could not be looked at".into();
                    return Some((invariant, Done { asked, answered: reason, transcript: None }));
                }
            }
        }
        None
    }

    /// A text for people, without secrets of the lab.
    pub(in super::super) fn redact(&self, text: &str) -> String {
        self.lab.identity().redact(text)
    }

    /// Takes note of a step that begins.
    pub(in super::super) fn note_step(&mut self, index: usize, step: &Step) {
        self.notes.captured.note_step(index, step.name.get_ref());
    }

    /// Takes note of the invariants that a step breaks, and of those that hold again.
    pub(in super::super) fn note_disturbances(&mut self, step: &Step) {
        let names = |list: &[toml::Spanned<String>]| list.iter().map(|name| name.get_ref().clone()).collect::<Vec<_>>();
        self.notes.disturbed.extend(names(&step.disturbs));
        for name in names(&step.restores) {
            self.notes.disturbed.remove(&name);
        }
    }
}

type Seen = Result<Done, StepError>;

/// A look can take longer than all the time there is: one alone says nothing of what comes true.
const LEAST_LOOKS: u32 = 2;

/// Looks until it is so. A machine that cannot be asked yet is asked again, too: it may be starting.
async fn within(deadline: Deadline, mut look: impl AsyncFnMut() -> Seen) -> Seen {
    let mut watch = Watch::new(deadline);
    loop {
        match watch.next(&mut look).await {
            Ok(done) => return Ok(with(done, &format!("after {}: ", watch.words()))),
            Err(error) if deadline.passed() && watch.looks >= LEAST_LOOKS => {
                return Err(error.after(&format!("still, after {}: ", watch.words())));
            }
            Err(_) => watch.pause().await,
        }
    }
}

/// Looks until the time is over: it must be so each time.
async fn always(deadline: Deadline, mut look: impl AsyncFnMut() -> Seen) -> Seen {
    let mut watch = Watch::new(deadline);
    loop {
        match watch.next(&mut look).await {
            Ok(done) if deadline.passed() => return Ok(with(done, &format!("for {}: ", watch.words()))),
            Ok(_) => watch.pause().await,
            Err(error) => return Err(error.after(&format!("not any more after {}: ", watch.words()))),
        }
    }
}

/// Looks until the time is over: it must not be so once. What cannot be looked at shows nothing.
async fn never(deadline: Deadline, mut look: impl AsyncFnMut() -> Seen) -> Seen {
    let mut watch = Watch::new(deadline);
    loop {
        match watch.next(&mut look).await {
            Err(StepError::Unmet(done)) if deadline.passed() => {
                return Ok(with(done, &format!("not in {}: ", watch.words())));
            }
            Err(StepError::Unmet(_)) => watch.pause().await,
            Ok(done) => return Err(StepError::Unmet(with(done, &format!("it came true after {}: ", watch.words())))),
            Err(broken) => return Err(broken),
        }
    }
}

/// Looks, counted.
struct Watch {
    deadline: Deadline,
    pauses: Pauses,
    looks: u32,
}

impl Watch {
    fn new(deadline: Deadline) -> Self {
        Self { deadline, pauses: Pauses::default(), looks: 0 }
    }

    async fn next(&mut self, look: &mut impl AsyncFnMut() -> Seen) -> Seen {
        self.looks += 1;
        look().await
    }

    async fn pause(&mut self) {
        self.pauses.next(&self.deadline).await;
    }

    fn words(&self) -> String {
        let looks = if self.looks == 1 { "one look".into() } else { format!("{} looks", self.looks) };
        format!("{:.1} s and {looks}", self.deadline.elapsed().as_secs_f64())
    }
}

impl StepError {
    /// The same, with words before it.
    fn after(self, words: &str) -> Self {
        match self {
            Self::Unmet(done) => Self::Unmet(with(done, words)),
            Self::Broken(reason) => Self::Broken(format!("{words}{reason}")),
            lacking @ Self::Lacking(_) => lacking,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn done(answered: &str) -> Done {
        Done { asked: String::new(), answered: answered.into(), transcript: None }
    }

    /// What is seen in turn; the last, again and again: `y` it is so, `n` it is not, `b` nobody can look.
    fn script(letters: &'static str) -> impl AsyncFnMut() -> Seen {
        let mut letters = letters.chars().peekable();
        let mut last = 'b';
        async move || {
            last = letters.next().unwrap_or(last);
            match last {
                'y' => Ok(done("yes")),
                'n' => Err(StepError::Unmet(done("no"))),
                _ => Err(StepError::Broken("gone".into())),
            }
        }
    }

    fn words(seen: Seen) -> String {
        match seen {
            Ok(done) => format!("ok {}", done.answered),
            Err(StepError::Unmet(done)) => format!("unmet {}", done.answered),
            Err(StepError::Broken(reason)) => format!("broken {reason}"),
            Err(StepError::Lacking(reason)) => format!("lacking {reason}"),
        }
    }

    /// For what ends when the time is over.
    const SHORT: Duration = Duration::from_millis(60);

    /// For what ends by what is seen, however busy this host is.
    const LONG: Duration = Duration::from_mins(1);

    #[rstest::rstest]
    #[case::at_once(LONG, "y", "ok after", "one look: yes")]
    #[case::soon(LONG, "nby", "ok after", "3 looks: yes")]
    #[case::not_at_all(SHORT, "n", "unmet still, after", ": no")]
    #[case::nobody_can_look(SHORT, "b", "broken still, after", ": gone")]
    #[tokio::test]
    async fn within_waits_until_it_is_so(
        #[case] time: Duration,
        #[case] seen: &'static str,
        #[case] begin: &str,
        #[case] end: &str,
    ) {
        let words = words(within(Deadline::after(time), script(seen)).await);
        assert!(words.starts_with(begin) && words.ends_with(end), "{words}");
    }

    #[tokio::test]
    async fn a_look_that_takes_all_the_time_is_not_the_only_one() {
        let mut seen = script("ny");
        let slow = async || {
            tokio::time::sleep(SHORT * 2).await;
            seen().await
        };
        let words = words(within(Deadline::after(SHORT), slow).await);
        assert!(words.starts_with("ok after") && words.ends_with("2 looks: yes"), "{words}");
    }

    #[rstest::rstest]
    #[case::all_the_time(SHORT, "y", "ok for", ": yes")]
    #[case::not_any_more(LONG, "yyn", "unmet not any more after", "3 looks: no")]
    #[case::nobody_can_look(LONG, "yb", "broken not any more after", ": gone")]
    #[tokio::test]
    async fn always_ends_with_the_first_no(
        #[case] time: Duration,
        #[case] seen: &'static str,
        #[case] begin: &str,
        #[case] end: &str,
    ) {
        let words = words(always(Deadline::after(time), script(seen)).await);
        assert!(words.starts_with(begin) && words.ends_with(end), "{words}");
    }

    #[rstest::rstest]
    #[case::not_once(SHORT, "n", "ok not in", ": no")]
    #[case::once(LONG, "nny", "unmet it came true after", "3 looks: yes")]
    #[case::nobody_can_look(LONG, "nb", "broken", "gone")]
    #[tokio::test]
    async fn never_ends_with_the_first_yes(
        #[case] time: Duration,
        #[case] seen: &'static str,
        #[case] begin: &str,
        #[case] end: &str,
    ) {
        let words = words(never(Deadline::after(time), script(seen)).await);
        assert!(words.starts_with(begin) && words.ends_with(end), "{words}");
    }
}
