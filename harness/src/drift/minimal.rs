//! Delta debugging: which of many changes is to blame.
//!
//! A trial undoes a subset of the changes and looks whether a symptom is gone: *healed*. [`Search::next`] says which trials
//! are wanted, given the outcomes of those that were made. It is Zeller and Hildebrandt's *ddmin* (Simplifying and Isolating
//! Failure-Inducing Input, 2002), played from its beginning each time with the known outcomes: so trials can be made in
//! parallel, outcomes are shared between symptoms, and none is ever wanted twice. What it finds is 1-minimal: it heals,
//! and no subset of it with one change less does.
//!
//! ddmin asks for halves. Before that, the likeliest changes are tried alone: where the guess is good, a few trials do.

use std::collections::{BTreeMap, BTreeSet};

/// Some of the changes, by number.
pub type Subset = BTreeSet<usize>;

/// How many times more changes each of the first trials undoes: 1, 4, 16, ….
const GROWTH: usize = 4;

/// What is to be done next to find the changes that are to blame for one symptom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// These trials are wanted. The first one must be made; the others may be of use.
    Try(Vec<Subset>),
    /// Undoing these heals the symptom, and none of them can be left out. Nothing, if the symptom does not show at all.
    Found(Subset),
    /// Neither undoing all of them nor undoing the likeliest heals it.
    Elsewhere,
}

/// The outcomes of all trials so far, for several symptoms.
#[derive(Debug, Default)]
pub struct Search {
    /// For each symptom all changes, the likeliest first.
    orders: Vec<Vec<usize>>,
    /// Which symptoms each trial healed.
    trials: BTreeMap<Subset, Vec<bool>>,
}

impl Search {
    /// Nothing was tried yet. `orders` has, for each symptom, the numbers of all changes, the likeliest first.
    #[must_use]
    pub fn new(orders: Vec<Vec<usize>>) -> Self {
        Self { orders, trials: BTreeMap::new() }
    }

    /// How many trials were made.
    #[must_use]
    pub fn trials(&self) -> usize {
        self.trials.len()
    }

    /// Takes the outcome of a trial: which symptoms it healed, in the order of symptoms.
    pub fn learn(&mut self, undone: Subset, healed: Vec<bool>) {
        self.trials.insert(undone, healed);
    }

    /// What one symptom wants.
    #[must_use]
    pub fn next(&self, symptom: usize) -> Next {
        let known = |subset: &Subset| self.trials.get(subset).map(|healed| healed[symptom]);
        next(&self.orders[symptom], &known)
    }

    /// The trials to make now, at most `width` of them: first what each symptom needs, then what may be of use.
    #[must_use]
    pub fn batch(&self, width: usize) -> Vec<Subset> {
        let wanted: Vec<Vec<Subset>> = (0..self.orders.len())
            .filter_map(|symptom| match self.next(symptom) {
                Next::Try(trials) => Some(trials),
                Next::Found(_) | Next::Elsewhere => None,
            })
            .collect();
        let needed = wanted.iter().filter_map(|trials| trials.first());
        let useful = wanted.iter().flat_map(|trials| trials.iter().skip(1));
        let mut batch: Vec<Subset> = Vec::new();
        for subset in needed.chain(useful) {
            if batch.len() < width && !batch.contains(subset) {
                batch.push(subset.clone());
            }
        }
        batch
    }
}

/// Plays ddmin as far as the known outcomes lead.
fn next(order: &[usize], known: &dyn Fn(&Subset) -> Option<bool>) -> Next {
    let subset = |changes: &[usize]| changes.iter().copied().collect::<Subset>();
    // Undoing nothing and undoing all: without these two, nothing can be concluded.
    let (nothing, all) = (Subset::new(), subset(order));
    let all_heals = match (known(&nothing), known(&all)) {
        (Some(true), _) => return Next::Found(nothing),
        (Some(false), Some(all_heals)) => all_heals,
        (None, Some(_)) => return Next::Try(vec![nothing]),
        (Some(false), None) => return Next::Try(vec![all]),
        (None, None) => return Next::Try(vec![nothing, all]),
    };
    let mut current = order.to_vec();
    let mut size = 1;
    while size < order.len() {
        let likely = subset(&order[..size]);
        match known(&likely) {
            Some(true) => {
                current.truncate(size);
                return minimise(current, known);
            }
            Some(false) => size *= GROWTH,
            None => return Next::Try(vec![likely]),
        }
    }
    // All old configuration at once can break what has become new meanwhile, so some of it may heal where all does not.
    if all_heals { minimise(current, known) } else { Next::Elsewhere }
}

/// ddmin: `current` heals, and nothing does not.
fn minimise(mut current: Vec<usize>, known: &dyn Fn(&Subset) -> Option<bool>) -> Next {
    let mut parts = 2;
    while current.len() > 1 {
        let candidates = candidates(&current, parts);
        let mut smaller = None;
        for (index, (kept, parts)) in candidates.iter().enumerate() {
            match known(&kept.iter().copied().collect()) {
                Some(true) => {
                    smaller = Some((kept.clone(), *parts));
                    break;
                }
                Some(false) => {}
                None => return Next::Try(untried(&candidates[index..], known)),
            }
        }
        match smaller {
            Some((kept, granularity)) => (current, parts) = (kept, granularity),
            None if parts >= current.len() => break,
            None => parts = (parts * 2).min(current.len()),
        }
    }
    Next::Found(current.into_iter().collect())
}

/// The parts of `current`, then what is left without each; and how finely each would be divided next.
fn candidates(current: &[usize], parts: usize) -> Vec<(Vec<usize>, usize)> {
    let pieces = split(current, parts);
    let rests = pieces.iter().map(|piece| {
        let rest: Vec<_> = current.iter().filter(|change| !piece.contains(change)).copied().collect();
        (rest, (parts - 1).max(2))
    });
    let rests: Vec<_> = if parts > 2 { rests.collect() } else { Vec::new() };
    pieces.iter().map(|piece| (piece.to_vec(), 2)).chain(rests).collect()
}

/// Parts whose sizes differ by one at most.
fn split(items: &[usize], parts: usize) -> Vec<&[usize]> {
    let border = |part: usize| items.len() * part / parts;
    (0..parts).map(|part| &items[border(part)..border(part + 1)]).collect()
}

fn untried(candidates: &[(Vec<usize>, usize)], known: &dyn Fn(&Subset) -> Option<bool>) -> Vec<Subset> {
    let subsets = candidates.iter().map(|(kept, _)| kept.iter().copied().collect::<Subset>());
    subsets.filter(|subset| known(subset).is_none()).collect()
}

#[cfg(test)]
#[path = "minimal_tests.rs"]
mod tests;
