//! Looking once, until something is so, or again and again; and the invariants.

use super::expectation::Instead;
use super::{Done, StepContext, StepError, with};
use crate::scenario::engine::outcome::{Next, Shown, after_look, holds};
use crate::scenario::format::step::{Looking, Step};
use crate::time::{Deadline, Pauses};
use std::time::Duration;

impl StepContext<'_> {
    /// Carries out one step, looking as often as it says.
    pub(crate) async fn look(&mut self, step: &Step) -> Result<Done, StepError> {
        let looking = step.looking();
        match looking {
            Looking::Once => self.perform(step).await,
            Looking::Within(span) => {
                let time = self.longest_wait.map_or(span.duration(), |longest| span.duration().min(longest));
                let deadline = self.lab.pace().deadline(time);
                repeat(looking, deadline, async || self.perform(step).await).await
            }
            Looking::Always(span) | Looking::Never(span) => {
                let deadline = self.lab.pace().deadline(span.duration());
                repeat(looking, deadline, async || self.perform(step).await).await
            }
        }
    }

    /// From here on, nobody waits longer than this until something is so: nominal.
    pub(crate) fn wait_at_most(&mut self, longest: Option<Duration>) {
        self.longest_wait = longest;
    }

    /// The first invariant that does not hold, of those that no step has disturbed, and what was seen.
    pub(crate) async fn first_broken<'i>(&mut self, invariants: &'i [Step]) -> Option<(&'i Step, Done)> {
        for invariant in invariants {
            if self.notes.disturbed.contains(invariant.name.get_ref()) {
                continue;
            }
            let seen = self.look(invariant).await;
            if holds(shown(&seen)) {
                continue;
            }
            match seen {
                Ok(done) | Err(StepError::Unmet(done, _)) => return Some((invariant, done)),
                Err(StepError::Broken(reason) | StepError::Lacking(reason)) => {
                    let asked = "it could not be looked at".into();
                    return Some((invariant, Done { asked, answered: reason, transcript: None }));
                }
            }
        }
        None
    }

    /// A text for people, without secrets of the lab.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.lab.identity().redact(text)
    }

    /// Takes note of a step that begins.
    pub(crate) fn note_step(&mut self, index: usize, step: &Step) {
        self.notes.captured.note_step(index, step.name.get_ref());
    }

    /// Takes note of the invariants that a step breaks, and of those that hold again.
    pub(crate) fn note_disturbances(&mut self, step: &Step) {
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

/// Looks as often as a step says. A machine that cannot be asked yet is asked again by `within`: it may be starting.
async fn repeat(looking: Looking, deadline: Deadline, mut look: impl AsyncFnMut() -> Seen) -> Seen {
    let mut watch = Watch::new(deadline);
    loop {
        let seen = watch.next(&mut look).await;
        let is_over = deadline.passed() && (watch.looks >= LEAST_LOOKS || !matches!(looking, Looking::Within(_)));
        let judged = match after_look(looking, shown(&seen), is_over) {
            Next::Again => {
                watch.pause().await;
                continue;
            }
            Next::AsSeen => seen,
            Next::Reversed => reversed(seen),
        };
        return told(ending(looking, shown(&judged)), &watch, judged);
    }
}

/// The words before what was seen last.
fn ending(looking: Looking, shown: Shown) -> &'static str {
    match (looking, shown) {
        (Looking::Once, _) | (Looking::Within(_), Shown::Met) => "after",
        (Looking::Within(_), _) => "still, after",
        (Looking::Always(_), Shown::Met) => "for",
        (Looking::Always(_), _) => "not any more after",
        (Looking::Never(_), Shown::Met) => "not in",
        (Looking::Never(_), Shown::Unmet(_)) => "it came true after",
        (Looking::Never(_), Shown::Broken | Shown::Lacking) => "not known after",
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

/// What a look came to, for the rules of judgement.
pub(crate) fn shown(seen: &Seen) -> Shown {
    match seen {
        Ok(_) => Shown::Met,
        Err(StepError::Unmet(_, instead)) => Shown::Unmet(*instead),
        Err(StepError::Broken(_)) => Shown::Broken,
        Err(StepError::Lacking(_)) => Shown::Lacking,
    }
}

/// What must never come true has come true, or has not. A sound system does what a broken one never does.
fn reversed(seen: Seen) -> Seen {
    match seen {
        Ok(done) => Err(StepError::Unmet(done, Instead::Sound)),
        Err(StepError::Unmet(done, _)) => Ok(done),
        other => other,
    }
}

/// The same, with words before it.
fn told(words: &str, watch: &Watch, seen: Seen) -> Seen {
    let words = format!("{words} {}: ", watch.words());
    match seen {
        Ok(done) => Ok(with(done, &words)),
        Err(StepError::Unmet(done, instead)) => Err(StepError::Unmet(with(done, &words), instead)),
        Err(StepError::Broken(reason)) => Err(StepError::Broken(format!("{words}{reason}"))),
        lacking @ Err(StepError::Lacking(_)) => lacking,
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
                'n' => Err(StepError::Unmet(done("no"), Instead::Sound)),
                _ => Err(StepError::Broken("gone".into())),
            }
        }
    }

    fn words(seen: Seen) -> String {
        match seen {
            Ok(done) => format!("ok {}", done.answered),
            Err(StepError::Unmet(done, _)) => format!("unmet {}", done.answered),
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
        let looking = Looking::Within("1 s".parse().unwrap());
        let words = words(repeat(looking, Deadline::after(time), script(seen)).await);
        assert!(words.starts_with(begin) && words.ends_with(end), "{words}");
    }

    #[tokio::test]
    async fn a_look_that_takes_all_the_time_is_not_the_only_one() {
        let mut seen = script("ny");
        let slow = async || {
            tokio::time::sleep(SHORT * 2).await;
            seen().await
        };
        let words = words(repeat(Looking::Within("1 s".parse().unwrap()), Deadline::after(SHORT), slow).await);
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
        let looking = Looking::Always("1 s".parse().unwrap());
        let words = words(repeat(looking, Deadline::after(time), script(seen)).await);
        assert!(words.starts_with(begin) && words.ends_with(end), "{words}");
    }

    #[rstest::rstest]
    #[case::not_once(SHORT, "n", "ok not in", ": no")]
    #[case::once(LONG, "nny", "unmet it came true after", "3 looks: yes")]
    #[case::nobody_can_look(LONG, "nb", "broken not known after", ": gone")]
    #[tokio::test]
    async fn never_ends_with_the_first_yes(
        #[case] time: Duration,
        #[case] seen: &'static str,
        #[case] begin: &str,
        #[case] end: &str,
    ) {
        let looking = Looking::Never("1 s".parse().unwrap());
        let words = words(repeat(looking, Deadline::after(time), script(seen)).await);
        assert!(words.starts_with(begin) && words.ends_with(end), "{words}");
    }
}
