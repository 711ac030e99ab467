//! Writes code in which each mutant stands behind a switch.

use super::seats::Seat;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

/// A mutant that gets a switch.
#[derive(Debug, Clone)]
pub(crate) struct Switched {
    /// The number by which it is switched on.
    pub(crate) number: usize,
    /// Where the switch stands.
    pub(crate) seat: Seat,
    /// What it replaces.
    pub(crate) replaces: Range<usize>,
    /// What stands there instead.
    pub(crate) replacement: String,
}

/// A part of rewritten code, in bytes.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Region {
    start: usize,
    end: usize,
    /// The mutants that it is there for.
    mutants: Vec<usize>,
}

/// A place with the mutants that have their switch there. In order of the places: what is inserted at one comes before an
/// expression that begins there, and an expression before those that are its parts.
type Place<'a> = ((usize, bool, Reverse<usize>), Vec<&'a Switched>);

/// Puts the switches into code.
pub(crate) fn rewrite(code: &str, mutants: &[Switched]) -> (String, Vec<Region>) {
    let mut places: BTreeMap<_, Vec<&Switched>> = BTreeMap::new();
    for mutant in mutants {
        let key = match &mutant.seat {
            Seat::Around(whole) => (whole.start, true, Reverse(whole.end)),
            Seat::Before(at) | Seat::Behind(at) => (*at, false, Reverse(*at)),
            Seat::Nowhere => continue,
        };
        places.entry(key).or_default().push(mutant);
    }
    let places: Vec<Place<'_>> = places.into_iter().collect();
    let mut writer = Writer { code, written: String::new(), regions: Vec::new() };
    writer.copy(0..code.len(), &places);
    (writer.written, writer.regions)
}

struct Writer<'a> {
    code: &'a str,
    written: String,
    regions: Vec<Region>,
}

impl Writer<'_> {
    /// Copies a part of the code, with the switches at these places.
    fn copy(&mut self, part: Range<usize>, mut places: &[Place<'_>]) {
        let mut at = part.start;
        while let Some((((start, _, Reverse(end)), mutants), rest)) = places.split_first() {
            self.written.push_str(&self.code[at..*start]);
            let inside = rest.iter().take_while(|((inner, ..), _)| inner < end).count();
            let (inside, after) = rest.split_at(inside);
            self.switch(*start..*end, mutants, inside);
            (at, places) = (*end, after);
        }
        self.written.push_str(&self.code[at..part.end]);
    }

    fn switch(&mut self, whole: Range<usize>, mutants: &[&Switched], inside: &[Place<'_>]) {
        let begin = self.written.len();
        let around = mutants.iter().any(|mutant| matches!(mutant.seat, Seat::Around(_)));
        self.written.push_str(if around { "(" } else { "" });
        for mutant in mutants {
            let (number, replacement) = (mutant.number, &mutant.replacement);
            match mutant.seat {
                // Only one mutant is on in a process, so in its form of the expression no other needs a switch.
                Seat::Around(_) => {
                    let _ = write!(self.written, "if crate::mutant_switch::on({number}) {{(");
                    let (before, behind) = (whole.start..mutant.replaces.start, mutant.replaces.end..whole.end);
                    let form = [&self.code[before], replacement, &self.code[behind]].concat();
                    self.region(number, &form);
                    self.written.push_str(")} else ");
                }
                Seat::Before(_) => {
                    let early = format!("if crate::mutant_switch::on({number}) {{ return {replacement}; }} ");
                    self.region(number, &early);
                }
                Seat::Behind(_) => self.region(number, &format!(" if !crate::mutant_switch::on({number})")),
                Seat::Nowhere => {}
            }
        }
        if around {
            self.written.push_str("{(");
            self.copy(whole, inside);
            self.written.push_str(")})");
            let mutants = mutants.iter().map(|mutant| mutant.number).collect();
            self.regions.push(Region { start: begin, end: self.written.len(), mutants });
        }
    }

    fn region(&mut self, number: usize, text: &str) {
        let begin = self.written.len();
        self.written.push_str(text);
        self.regions.push(Region { start: begin, end: self.written.len(), mutants: vec![number] });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Genre::{self, BinaryOperator, FnValue, MatchArm, MatchArmGuard, StructField, UnaryOperator};
    use crate::seats;

    /// Code with mutants, told by what they replace: the first place with that text.
    fn switched(code: &str, mutants: &[(Genre, &str, &str)]) -> (String, Vec<Region>) {
        let seats = seats::find(code).unwrap();
        let numbered = (1..).zip(mutants).map(|(number, (genre, text, replacement))| {
            let at = code.find(text).unwrap();
            let seat = seats[&(*genre, at)].clone();
            Switched { number, seat, replaces: at..at + text.len(), replacement: (*replacement).to_owned() }
        });
        let (code, regions) = rewrite(code, &numbered.collect::<Vec<_>>());
        (code.replace("crate::mutant_switch::", ""), regions)
    }

    #[rstest::rstest]
    #[case::both_forms(
        "fn f() { g(a < b) }",
        &[(BinaryOperator, "<", "<="), (BinaryOperator, "<", ">")],
        "fn f() { g((if on(1) {(a <= b)} else if on(2) {(a > b)} else {(a < b)})) }"
    )]
    #[case::the_form_of_one_mutant_has_no_other(
        "fn f() { a && (b == c) }",
        &[(BinaryOperator, "&&", "||"), (BinaryOperator, "==", "!=")],
        "fn f() { (if on(1) {(a || (b == c))} else {(a && ((if on(2) {(b != c)} else {(b == c)})))}) }"
    )]
    #[case::an_early_return_stands_before_an_expression(
        "fn f() -> bool { !a }",
        &[(FnValue, "!a", "true"), (UnaryOperator, "!", "")],
        "fn f() -> bool { if on(1) { return true; } (if on(2) {(a)} else {(!a)}) }"
    )]
    #[case::an_arm_gets_a_guard(
        "fn f() { match a { 1 | 2 => b, _ => c } }",
        &[(MatchArm, "1 | 2 => b", "")],
        "fn f() { match a { 1 | 2 if !on(1) => b, _ => c } }"
    )]
    #[case::a_guard_and_its_operator_share_a_switch(
        "fn f() { match a { b if c > 1 => d, _ => e } }",
        &[(MatchArmGuard, "c > 1", "true"), (BinaryOperator, ">", ">=")],
        "fn f() { match a { b if (if on(1) {(true)} else if on(2) {(c >= 1)} else {(c > 1)}) => d, _ => e } }"
    )]
    #[case::a_field_comes_from_the_base(
        "fn f() -> A { A { b: 1, ..d() } }",
        &[(StructField, "b: 1,", "")],
        "fn f() -> A { (if on(1) {(A {  ..d() })} else {(A { b: 1, ..d() })}) }"
    )]
    fn each_mutant_stands_behind_its_switch(
        #[case] code: &str,
        #[case] mutants: &[(Genre, &str, &str)],
        #[case] expected: &str,
    ) {
        assert_eq!(switched(code, mutants).0, expected);
    }

    #[test]
    fn what_a_mutant_has_brought_is_told() {
        let code = "fn f() { g(a < b) }";
        let seats = seats::find(code).unwrap();
        let seat = seats[&(BinaryOperator, 13)].clone();
        let mutant = Switched { number: 7, seat, replaces: 13..14, replacement: "<=".into() };
        let (code, regions) = rewrite(code, &[mutant]);
        let texts: Vec<_> =
            regions.iter().map(|region| (&code[region.start..region.end], region.mutants.as_slice())).collect();
        let whole = "(if crate::mutant_switch::on(7) {(a <= b)} else {(a < b)})";
        assert_eq!(texts, [("a <= b", &[7][..]), (whole, &[7][..])]);
    }
}
