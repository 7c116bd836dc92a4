//! All changes to a file in one text, each behind its number: the program is built once and told at its start which of the
//! mutants it is.
//!
//! `a < b` becomes `(match crate::mutant::at(7) { 7 => (a <= b), 8 => (a == b), _ => a < b })`. What cannot be written so (a
//! constant, a `let` in a chain) is left out, and tried alone.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use proc_macro2::LineColumn;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::list::{Genre, Mutant, Place};

/// The number a mutant goes by.
pub type Number = u32;

/// A file with its mutants in it.
pub struct Woven {
    pub text: String,
    /// The mutants in it, each with the number that stands for the place: mutants of one place are told apart there.
    pub points: BTreeMap<Number, Number>,
}

/// The module that says which mutant a program is, and where it passes by.
pub const MODULE: &str = include_str!("at.rs.txt");

/// Writes all of `mutants` into `source` but those that stand in `without`. A `const fn` that a constant needs stays one.
pub fn weave(
    source: &str,
    mutants: &[(Number, &Mutant)],
    without: &BTreeSet<Number>,
    needed_const: &BTreeSet<String>,
) -> Result<Woven> {
    let file = syn::parse_file(source).context("syn")?;
    let mut by_place: BTreeMap<(Genre, Place), Vec<(Number, &str)>> = BTreeMap::new();
    for (number, mutant) in mutants.iter().filter(|(number, _)| !without.contains(number)) {
        let place = (mutant.genre, mutant.span.start);
        by_place.entry(place).or_default().push((*number, &mutant.replacement));
    }
    let mut weaver = Weaver { by_place, needed_const, points: BTreeMap::new(), edits: Vec::new() };
    weaver.visit_file(&file);
    Ok(Woven { text: edited(source, weaver.edits)?, points: weaver.points })
}

/// What says of a line which mutants it belongs to.
fn marks(numbers: impl Iterator<Item = Number>) -> String {
    numbers.map(|number| format!("/*mutant {number}*/ ")).collect()
}

/// The numbers of the mutants that a line of a woven file belongs to.
pub fn marked(line: &str) -> impl Iterator<Item = Number> + '_ {
    line.split("/*mutant ").skip(1).filter_map(|rest| rest.split_once("*/")?.0.parse().ok())
}

/// Text that is put in at a place, or, for a keyword, over what stands there.
struct Edit {
    at: usize,
    /// What ends at a place comes before what begins there.
    begins: bool,
    covers: usize,
    text: String,
}

fn edited(source: &str, mut edits: Vec<Edit>) -> Result<String> {
    // Stable: of several that begin at one place the outer one was met first, of several that end there the inner one.
    edits.sort_by_key(|edit| (edit.at, edit.begins));
    let mut text = String::with_capacity(source.len() * 3);
    let mut done = 0;
    for edit in edits {
        text += source.get(done..edit.at).context("an edit out of order")?;
        text += &edit.text;
        done = edit.at + edit.covers;
    }
    text += source.get(done..).context("an edit out of the file")?;
    Ok(text)
}

struct Weaver<'m> {
    by_place: BTreeMap<(Genre, Place), Vec<(Number, &'m str)>>,
    needed_const: &'m BTreeSet<String>,
    points: BTreeMap<Number, Number>,
    edits: Vec<Edit>,
}

impl<'m> Weaver<'m> {
    /// The mutants of a place, taken: none is woven twice.
    fn take(&mut self, genre: Genre, start: LineColumn) -> Option<Vec<(Number, &'m str)>> {
        let place = Place { line: start.line, column: start.column + 1 };
        let found = self.by_place.remove(&(genre, place))?;
        let point = found.first()?.0;
        self.points.extend(found.iter().map(|(number, _)| (*number, point)));
        Some(found)
    }

    fn begin(&mut self, at: usize, text: String) {
        self.edits.push(Edit { at, begins: true, covers: 0, text });
    }

    fn end(&mut self, at: usize, text: &str) {
        self.edits.push(Edit { at, begins: false, covers: 0, text: text.to_owned() });
    }

    /// Puts an expression behind a choice, with what is chosen for each number, and goes on inside it.
    fn choose(&mut self, expr: &syn::Expr, choices: &[(Number, String)], inside: impl FnOnce(&mut Self)) {
        let Some((point, _)) = choices.first() else { return inside(self) };
        let mut text =
            format!("(match crate::mutant::at({point}) {{ {}\n", marks(choices.iter().map(|(number, _)| *number)));
        for (number, choice) in choices {
            text += &format!("/*mutant {number}*/ {number} => {{ {choice} }}\n");
        }
        let range = expr.span().byte_range();
        self.begin(range.start, text + "_ => ");
        inside(self);
        self.end(range.end, " })");
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let Some(first) = block.stmts.first() else { return };
        let name = signature.ident.to_string();
        if let Some(keyword) = &signature.constness {
            if self.needed_const.contains(&name) {
                return;
            }
            // What asks for its number cannot be constant.
            let range = keyword.span.byte_range();
            self.edits.push(Edit { at: range.start, begins: true, covers: range.len(), text: String::new() });
        }
        if let Some(found) = self.take(Genre::FnValue, first.span().start()) {
            let (point, _) = found.first().copied().unwrap_or_default();
            let mut text =
                format!("match crate::mutant::at({point}) {{ {}\n", marks(found.iter().map(|(number, _)| *number)));
            for (number, value) in found {
                text += &format!("/*mutant {number}*/ {number} => return {value},\n");
            }
            self.begin(first.span().byte_range().start, text + "_ => {} }\n");
        }
        visit::visit_block(self, block);
    }
}

/// On one line, so that an error in it is found by its mark.
fn line(tokens: &impl ToTokens) -> String {
    tokens.to_token_stream().to_string().replace('\n', " ")
}

/// A `let` in a chain of conditions cannot be moved into an arm.
fn has_let(expr: &syn::Expr) -> bool {
    match expr {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Weaver<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
    }

    fn visit_expr(&mut self, expr: &'ast syn::Expr) {
        match expr {
            syn::Expr::Binary(binary) if !has_let(expr) => {
                let found = self.take(Genre::BinaryOperator, binary.op.span().start()).unwrap_or_default();
                let (left, right) = (line(&binary.left), line(&binary.right));
                let choice = |(number, operator): (Number, &str)| (number, format!("{left} {operator} {right}"));
                let choices: Vec<_> = found.into_iter().map(choice).collect();
                self.choose(expr, &choices, |weaver| visit::visit_expr(weaver, expr));
            }
            syn::Expr::Unary(unary) => {
                let found = self.take(Genre::UnaryOperator, unary.op.span().start()).unwrap_or_default();
                let operand = line(&unary.expr);
                let choices: Vec<_> = found.into_iter().map(|(number, _)| (number, operand.clone())).collect();
                self.choose(expr, &choices, |weaver| visit::visit_expr(weaver, expr));
            }
            _ => visit::visit_expr(self, expr),
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if let Some((number, _)) =
            self.take(Genre::MatchArm, arm.span().start()).and_then(|found| found.first().copied())
        {
            let guard = format!(" if crate::mutant::at({number}) != {number} /*mutant {number}*/");
            self.end(arm.pat.span().byte_range().end, &guard);
        }
        let Some((_, guard)) = arm.guard.as_ref().filter(|(_, guard)| !has_let(guard)) else {
            return visit::visit_arm(self, arm);
        };
        let found = self.take(Genre::MatchArmGuard, guard.span().start()).unwrap_or_default();
        let choices: Vec<_> = found.into_iter().map(|(number, value)| (number, value.to_owned())).collect();
        self.choose(guard, &choices, |weaver| weaver.visit_expr(guard));
        self.visit_expr(&arm.body);
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::mutant;
    use super::*;

    fn woven(source: &str, mutants: &[Mutant]) -> Woven {
        let numbered: Vec<_> = mutants.iter().enumerate().map(|(at, mutant)| (at as Number + 1, mutant)).collect();
        weave(source, &numbered, &BTreeSet::new(), &BTreeSet::new()).unwrap()
    }

    /// Line ends and marks out of the way.
    fn flat(woven: &Woven) -> String {
        let text = (1..9).fold(woven.text.clone(), |text, number| text.replace(&format!("/*mutant {number}*/ "), ""));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_change_of_an_operator_is_one_choice() {
        let source = "fn f() -> bool { 1 < 2 }";
        let changes = ["<=", "=="].map(|change| mutant(source, Genre::BinaryOperator, ("<", 0), change));
        let woven = woven(source, &changes);
        assert_eq!(
            flat(&woven),
            "fn f() -> bool { (match crate::mutant::at(1) { 1 => { 1 <= 2 } 2 => { 1 == 2 } _ => 1 < 2 }) }"
        );
        assert_eq!(woven.points, BTreeMap::from([(1, 1), (2, 1)]));
    }

    #[test]
    fn a_change_inside_another_stands_in_what_is_not_changed() {
        let source = "fn f() -> bool { !(a + b == c) }";
        let changes = [
            mutant(source, Genre::BinaryOperator, ("==", 0), "!="),
            mutant(source, Genre::BinaryOperator, ("+", 0), "-"),
            mutant(source, Genre::UnaryOperator, ("!", 0), ""),
        ];
        let expected = "fn f() -> bool { (match crate::mutant::at(3) { 3 => { (a + b == c) } \
            _ => !((match crate::mutant::at(1) { 1 => { a + b != c } \
            _ => (match crate::mutant::at(2) { 2 => { a - b } _ => a + b }) == c })) }) }";
        assert_eq!(flat(&woven(source, &changes)), expected);
    }

    #[test]
    fn a_value_is_returned_before_the_body_and_the_function_is_not_constant() {
        let source = "const fn f() -> u8 { 7 }";
        let changes = [mutant(source, Genre::FnValue, ("7", 0), "0")];
        assert_eq!(
            flat(&woven(source, &changes)),
            "fn f() -> u8 { match crate::mutant::at(1) { 1 => return 0, _ => {} } 7 }"
        );
        let numbered = [(1, &changes[0])];
        let kept = weave(source, &numbered, &BTreeSet::new(), &BTreeSet::from(["f".to_owned()])).unwrap();
        assert_eq!((kept.text.as_str(), kept.points.len()), (source, 0));
    }

    #[test]
    fn arms_and_guards_are_closed_by_a_number() {
        let source = "fn f(n: u8) -> u8 { match n { 1 => 2, 2 if a => 3, _ => 4 } }";
        let changes = [
            mutant(source, Genre::MatchArm, ("1 => 2,", 0), ""),
            mutant(source, Genre::MatchArmGuard, ("a ", 0), "false"),
        ];
        let woven = woven(source, &changes);
        assert!(woven.text.contains("1 if crate::mutant::at(1) != 1 /*mutant 1*/ => 2,"), "{}", woven.text);
        assert!(flat(&woven).contains("2 if (match crate::mutant::at(2) { 2 => { false } _ => a }) => 3,"));
    }

    #[test]
    fn a_let_in_a_chain_is_left_alone() {
        let source = "fn f() { if a && let Some(b) = c && d == e {} }";
        let changes = [
            mutant(source, Genre::BinaryOperator, ("&&", 0), "||"),
            mutant(source, Genre::BinaryOperator, ("==", 0), "!="),
        ];
        assert_eq!(woven(source, &changes).points, BTreeMap::from([(2, 2)]));
    }

    #[test]
    fn a_line_names_its_mutants() {
        assert_eq!(marked("/*mutant 3*/ 3 => { a } /*mutant 45*/").collect::<Vec<_>>(), [3, 45]);
        assert_eq!(marked("a < b").count(), 0);
    }
}
