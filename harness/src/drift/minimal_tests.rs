use super::*;
use proptest::prelude::*;

/// Makes all trials that are wanted, `width` at a time, and hands back what was found and how many trials it took.
fn found(orders: Vec<Vec<usize>>, width: usize, heals: impl Fn(usize, &Subset) -> bool) -> (Vec<Next>, usize) {
    let symptoms = orders.len();
    let mut search = Search::new(orders);
    loop {
        let batch = search.batch(width);
        if batch.is_empty() {
            return ((0..symptoms).map(|symptom| search.next(symptom)).collect(), search.trials());
        }
        for subset in batch {
            assert!(!search.trials.contains_key(&subset), "{subset:?} is tried twice");
            let healed = (0..symptoms).map(|symptom| heals(symptom, &subset)).collect();
            search.learn(subset, healed);
        }
    }
}

fn one(count: usize, heals: impl Fn(&Subset) -> bool) -> Next {
    found(vec![(0..count).collect()], 1, |_, subset| heals(subset)).0.remove(0)
}

fn set(changes: &[usize]) -> Next {
    Next::Found(changes.iter().copied().collect())
}

#[test]
fn what_shows_no_symptom_has_no_culprit() {
    assert_eq!(one(40, |_| true), set(&[]));
    assert_eq!(one(0, |_| true), set(&[]));
}

#[test]
fn what_nothing_heals_is_elsewhere() {
    assert_eq!(one(40, |_| false), Next::Elsewhere);
    assert_eq!(one(0, |_| false), Next::Elsewhere);
}

#[rstest::rstest]
#[case::one(&[17])]
#[case::first(&[0])]
#[case::last(&[39])]
#[case::far_apart(&[0, 39])]
#[case::neighbours(&[19, 20])]
#[case::all_of_a_few(&[3, 9, 22, 31])]
fn culprits_are_found(#[case] culprits: &[usize]) {
    assert_eq!(one(40, |subset| culprits.iter().all(|culprit| subset.contains(culprit))), set(culprits));
}

#[test]
fn what_heals_is_found_although_all_at_once_breaks_something_else() {
    assert_eq!(one(40, |subset| subset.contains(&2) && subset.len() < 30), set(&[2]));
}

#[test]
fn one_of_two_is_enough() {
    // Either of them heals: what is found is one, and not both.
    let Next::Found(found) = one(40, |subset| subset.contains(&5) || subset.contains(&30)) else { panic!() };
    assert_eq!(found.len(), 1);
}

#[test]
fn good_guesses_make_it_short() {
    // Two symptoms with a culprit each among 40, and both orders begin with the right one.
    let order = |first: usize| [first].into_iter().chain((0..40).filter(move |&change| change != first)).collect();
    let (found, trials) = found(vec![order(33), order(21)], 2, |symptom, subset| subset.contains(&[33, 21][symptom]));
    assert_eq!((found, trials), (vec![set(&[33]), set(&[21])], 4));
}

#[test]
fn bad_guesses_do_not_make_it_long() {
    // Each pair of culprits among 40 that the order says nothing about.
    let mut counts = Vec::new();
    for first in (0..40).step_by(3) {
        for second in (0..40).step_by(5).filter(|&second| second != first) {
            let orders = vec![(0..40).collect(), (0..40).collect()];
            let (found, trials) = found(orders, 2, |symptom, subset| subset.contains(&[first, second][symptom]));
            assert_eq!(found, [set(&[first]), set(&[second])]);
            counts.push(trials);
        }
    }
    counts.sort_unstable();
    assert!(counts[counts.len() / 2] <= 20 && counts.last().is_some_and(|&most| most <= 28), "{counts:?}");
}

proptest! {
    /// Whatever heals, the outcome heals, and with one change less it does not.
    #[test]
    fn what_is_found_is_one_minimal(count in 1..14usize, seed: u64, width in 1..4usize) {
        let all: Subset = (0..count).collect();
        let heals = |subset: &Subset| {
            // A fixed, arbitrary function: healing need not be monotonous.
            let number = subset.iter().fold(seed, |number, &change| number ^ (1 << change));
            *subset == all || !subset.is_empty() && number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61 == 0
        };
        let found = found(vec![(0..count).collect()], width, |_, subset| heals(subset)).0.remove(0);
        let Next::Found(found) = found else { panic!("{found:?}") };
        prop_assert!(heals(&found));
        for change in &found {
            let less: Subset = found.iter().filter(|other| *other != change).copied().collect();
            prop_assert!(!heals(&less));
        }
    }
}

#[rstest::rstest]
#[case(1)]
#[case(2)]
#[case(3)]
fn a_batch_is_no_larger_than_asked_for(#[case] width: usize) {
    let search = Search::new(vec![vec![0, 1], vec![2, 3]]);
    assert_eq!(search.batch(width).len(), width);
}

/// Finer parts at once would be more trials.
#[test]
fn parts_are_halved_down_to_single_changes() {
    let asked = std::cell::RefCell::new(Vec::new());
    let known = |subset: &Subset| {
        asked.borrow_mut().push(subset.len());
        Some(false)
    };
    assert_eq!(minimise((0..16).collect(), &known), Next::Found((0..16).collect()));
    let mut sizes: Vec<_> = asked.into_inner().into_iter().filter(|size| *size <= 8).collect();
    sizes.dedup();
    assert_eq!(sizes, [8, 4, 2, 1]);
}
