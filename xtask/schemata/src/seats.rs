//! Where in a file the switch of a mutant can stand.

use crate::Genre;
use std::collections::HashMap;
use std::ops::Range;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, Pat, ReturnType, Signature, Stmt};

/// Where a switch stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seat {
    /// Around this expression: it has a form with the mutant, and one without.
    Around(Range<usize>),
    /// Before the first statement of a function, which returns there.
    Before(usize),
    /// Behind the pattern of an arm, which gets a guard.
    Behind(usize),
    /// Nowhere: a constant is computed while it is compiled, what is hidden behind `impl Trait` must be of one type, and an arm
    /// with a guard is not enough for a `match` that has no arm for the rest.
    Nowhere,
}

/// The seats of a file, by the kind of a mutant and the byte where it begins.
pub(super) type Seats = HashMap<(Genre, usize), Seat>;

/// Finds all of them.
pub(super) fn find(code: &str) -> syn::Result<Seats> {
    let file = syn::parse_file(code)?;
    let mut finder = Finder::default();
    finder.visit_file(&file);
    Ok(finder.seats)
}

#[derive(Default)]
struct Finder {
    seats: Seats,
    /// Whether this is computed by the compiler.
    constant: bool,
    /// The chain of operators that the next expression belongs to. The form with a mutant is a change of its text, as
    /// cargo-mutants makes it, so precedence decides anew what belongs together.
    chain: Option<Range<usize>>,
}

impl Finder {
    fn put(&mut self, genre: Genre, at: usize, seat: Seat) {
        let seat = if self.constant { Seat::Nowhere } else { seat };
        self.seats.insert((genre, at), seat);
    }

    fn within(&mut self, constant: bool, visit: impl FnOnce(&mut Self)) {
        let outer = (std::mem::replace(&mut self.constant, constant), self.chain.take());
        visit(self);
        (self.constant, self.chain) = outer;
    }

    fn function(&mut self, signature: &Signature, body: &Block, visit: impl FnOnce(&mut Self)) {
        self.within(signature.constness.is_some(), |finder| {
            if let Some(at) = body.stmts.first().map(start_of) {
                let seat = if returns_impl(&signature.output) { Seat::Nowhere } else { Seat::Before(at) };
                finder.put(Genre::FnValue, at, seat);
            }
            visit(finder);
        });
    }
}

fn start_of(statement: &Stmt) -> usize {
    statement.span().byte_range().start
}

fn returns_impl(output: &ReturnType) -> bool {
    struct Seen(bool);
    impl Visit<'_> for Seen {
        fn visit_type_impl_trait(&mut self, _: &syn::TypeImplTrait) {
            self.0 = true;
        }
    }
    let mut seen = Seen(false);
    seen.visit_return_type(output);
    seen.0
}

/// Whether a chain binds names (`if let … && …`): such a condition stands in an `if` or a `while`, and in no parentheses.
fn binds(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => binds(&binary.left) || binds(&binary.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block, |finder| visit::visit_item_fn(finder, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block, |finder| visit::visit_impl_item_fn(finder, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body, |finder| visit::visit_trait_item_fn(finder, item));
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.within(true, |finder| visit::visit_item_const(finder, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.within(true, |finder| visit::visit_item_static(finder, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.within(true, |finder| visit::visit_impl_item_const(finder, item));
    }

    fn visit_trait_item_const(&mut self, item: &'ast syn::TraitItemConst) {
        self.within(true, |finder| visit::visit_trait_item_const(finder, item));
    }

    fn visit_type_array(&mut self, array: &'ast syn::TypeArray) {
        self.visit_type(&array.elem);
        self.within(true, |finder| finder.visit_expr(&array.len));
    }

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
        self.within(true, |finder| finder.visit_expr(&repeat.len));
    }

    /// A constant may hold one, and it runs later.
    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        self.within(false, |finder| visit::visit_expr_closure(finder, closure));
    }

    fn visit_expr(&mut self, expression: &'ast Expr) {
        if !matches!(expression, Expr::Binary(_)) {
            self.chain = None;
        }
        visit::visit_expr(self, expression);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let chain = self.chain.take().unwrap_or_else(|| binary.span().byte_range());
        let binds = binds(&binary.left) || binds(&binary.right);
        // With another operator a condition that binds names is no Rust; the compiler says so of what is left here.
        if !binds || !matches!(binary.op, BinOp::And(_)) {
            let at = binary.op.span().byte_range().start;
            self.put(Genre::BinaryOperator, at, Seat::Around(chain.clone()));
        }
        for side in [&binary.left, &binary.right] {
            self.chain = (!binds).then(|| chain.clone());
            self.visit_expr(side);
        }
        self.chain = None;
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        let whole = unary.span().byte_range();
        self.put(Genre::UnaryOperator, whole.start, Seat::Around(whole));
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        let arms = &expression.arms;
        let has_rest = arms.iter().any(|arm| arm.guard.is_none() && matches!(arm.pat, Pat::Wild(_)));
        for arm in arms {
            let behind = arm.pat.span().byte_range().end;
            let seat = if has_rest { Seat::Behind(behind) } else { Seat::Nowhere };
            self.put(Genre::MatchArm, arm.span().byte_range().start, seat);
            if let Some((_, guard)) = &arm.guard {
                let whole = guard.span().byte_range();
                self.put(Genre::MatchArmGuard, whole.start, Seat::Around(whole));
            }
        }
        visit::visit_expr_match(self, expression);
    }

    fn visit_expr_struct(&mut self, expression: &'ast syn::ExprStruct) {
        let whole = expression.span().byte_range();
        for field in &expression.fields {
            self.put(Genre::StructField, field.span().byte_range().start, Seat::Around(whole.clone()));
        }
        visit::visit_expr_struct(self, expression);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Genre::{BinaryOperator, FnValue, MatchArm, MatchArmGuard, StructField, UnaryOperator};

    /// The mutant begins where `@` stands.
    #[rstest::rstest]
    #[case::operator("fn f() { g(a @< b) }", BinaryOperator, Some("a < b"))]
    #[case::the_whole_chain("fn f() { a @&& b || (c && d) }", BinaryOperator, Some("a && b || (c && d)"))]
    #[case::parentheses_end_a_chain("fn f() { a || (b @&& !c) }", BinaryOperator, Some("b && !c"))]
    #[case::beside_a_binding("fn f() { if let A = b && c @== d {} }", BinaryOperator, Some("c == d"))]
    #[case::that_binds("fn f() { if let A = b @&& c {} }", BinaryOperator, None)]
    #[case::assignment("fn f() { a @+= b - c; }", BinaryOperator, Some("a += b - c"))]
    #[case::negation("fn f() { @!a.b() == c }", UnaryOperator, Some("!a.b()"))]
    #[case::guard("fn f() { match a { b if @c == d => e, _ => g } }", MatchArmGuard, Some("c == d"))]
    #[case::field("fn f() { A { @b: c, ..d } }", StructField, Some("A { b: c, ..d }"))]
    fn a_switch_stands_around_a_whole_expression(
        #[case] code: &str,
        #[case] genre: Genre,
        #[case] whole: Option<&str>,
    ) {
        let (code, seat) = seat_in(code, genre);
        let around = seat.map(|seat| match seat {
            Seat::Around(range) => code[range].to_owned(),
            other => format!("{other:?}"),
        });
        assert_eq!(around.as_deref(), whole);
    }

    #[rstest::rstest]
    #[case::function("async fn f() -> u8 { @let a = 1; a }", FnValue, Seat::Before(21))]
    #[case::of_a_trait("trait A { fn f() -> u8 { @1 } }", FnValue, Seat::Before(25))]
    #[case::arm("fn f() { match a { @Some(b) => c, _ => d } }", MatchArm, Seat::Behind(26))]
    #[case::arm_without_which_nothing_is_left("fn f() { match a { @b => c, _ if d => e } }", MatchArm, Seat::Nowhere)]
    #[case::constant_function("const fn f() -> u8 { @1 }", FnValue, Seat::Nowhere)]
    #[case::constant("const A: u8 = 1 @+ 2;", BinaryOperator, Seat::Nowhere)]
    #[case::length("fn f() { [0; 1 @+ 2] }", BinaryOperator, Seat::Nowhere)]
    #[case::hidden_type("fn f() -> Box<impl A> { @a() }", FnValue, Seat::Nowhere)]
    #[case::runs_later("static A: B = B::new(|| 1 @+ 2);", BinaryOperator, Seat::Around(24..29))]
    fn a_seat_is_where_the_code_runs(#[case] code: &str, #[case] genre: Genre, #[case] seat: Seat) {
        assert_eq!(seat_in(code, genre).1, Some(seat));
    }

    fn seat_in(code: &str, genre: Genre) -> (String, Option<Seat>) {
        let at = code.find('@').unwrap();
        let code = code.replacen('@', "", 1);
        let mut seats = find(&code).unwrap();
        let seat = seats.remove(&(genre, at));
        (code, seat)
    }
}
