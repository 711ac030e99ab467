//! `test`, `[` and `[[`.

use super::eval::Follower;
use super::expand::Field;
use super::text::{LONGEST_PATTERN, Part, Text, fits, pattern};
use super::world::Truth;

impl Follower<'_, '_> {
    /// The truth of a condition.
    pub(super) fn test(&self, program: &str, fields: &[Field]) -> Truth {
        if fields.iter().any(|field| field.maybe) {
            return Truth::Maybe;
        }
        let mut words: Vec<&Text> = fields.iter().map(|field| &field.text).collect();
        if program != "test" {
            words.pop();
        }
        Condition { follower: self, words: &words, is_double: program == "[[" }.any()
    }
}

struct Condition<'c> {
    follower: &'c Follower<'c, 'c>,
    words: &'c [&'c Text],
    is_double: bool,
}

impl Condition<'_> {
    fn is_at(&self, at: usize, text: &str) -> bool {
        self.words.get(at).and_then(|word| word.known()).as_deref() == Some(text)
    }

    /// The words apart at an operator, which two-sided tests may have in the middle, too.
    fn apart(&self, operator: &str) -> Vec<&[&Text]> {
        let mut parts = Vec::new();
        let mut begin = 0;
        for at in 0..self.words.len() {
            // `[ -a FILE ]` and `[ a = -o ]` are not taken for two conditions.
            if at > begin && self.is_at(at, operator) && at + 1 < self.words.len() && self.words.len() > 3 {
                parts.push(&self.words[begin..at]);
                begin = at + 1;
            }
        }
        parts.push(&self.words[begin..]);
        parts
    }

    fn of<'a>(&'a self, words: &'a [&'a Text]) -> Condition<'a> {
        Condition { follower: self.follower, words, is_double: self.is_double }
    }

    fn any(&self) -> Truth {
        if self.words.iter().any(|word| matches!(word.known().as_deref(), Some("(" | ")"))) {
            return Truth::Maybe;
        }
        let truths = self.apart(if self.is_double { "||" } else { "-o" }).into_iter().map(|words| self.of(words).all());
        truths.fold(Truth::No, |sum, truth| match (sum, truth) {
            (Truth::Yes, _) | (_, Truth::Yes) => Truth::Yes,
            (Truth::No, Truth::No) => Truth::No,
            _ => Truth::Maybe,
        })
    }

    fn all(&self) -> Truth {
        let truths = self.apart(if self.is_double { "&&" } else { "-a" }).into_iter().map(|words| self.of(words).one());
        truths.fold(Truth::Yes, |product, truth| match (product, truth) {
            (Truth::No, _) | (_, Truth::No) => Truth::No,
            (Truth::Yes, Truth::Yes) => Truth::Yes,
            _ => Truth::Maybe,
        })
    }

    fn one(&self) -> Truth {
        match self.words {
            [] => Truth::No,
            [not, rest @ ..] if !rest.is_empty() && not.known().as_deref() == Some("!") => self.of(rest).one().not(),
            [word] => has_letters(word),
            [operator, operand] => self.unary(operator.known().as_deref(), operand),
            [left, operator, right] => self.binary(left, operator.known().as_deref(), right),
            _ => Truth::Maybe,
        }
    }

    fn unary(&self, operator: Option<&str>, operand: &Text) -> Truth {
        match operator {
            Some("-n") => return has_letters(operand),
            Some("-z") => return has_letters(operand).not(),
            _ => {}
        }
        let world = &self.follower.env.world;
        let Some(path) = self.follower.absolute(operand).known() else { return Truth::Maybe };
        // No file has the empty name.
        if operand.known().is_some_and(|name| name.is_empty()) {
            return Truth::No;
        }
        match operator {
            Some("-e" | "-a") => match world.is(&path, "l") {
                Truth::Yes => world.is(&path, "fds"),
                _ => world.exists(&path),
            },
            Some("-f") => world.is(&path, "f"),
            Some("-d") => world.is(&path, "d"),
            Some("-L" | "-h") => world.is(&path, "l"),
            Some("-r" | "-w" | "-x" | "-s" | "-b" | "-c" | "-p" | "-S" | "-k" | "-u" | "-g") => {
                match world.exists(&path) {
                    Truth::No => Truth::No,
                    _ => Truth::Maybe,
                }
            }
            _ => Truth::Maybe,
        }
    }

    fn binary(&self, left: &Text, operator: Option<&str>, right: &Text) -> Truth {
        let (Some(left), Some(right)) = (left.known(), right.known()) else { return Truth::Maybe };
        let numbers = || Some((left.trim().parse::<i64>().ok()?, right.trim().parse::<i64>().ok()?));
        let compared =
            |order: fn(&i64, &i64) -> bool| numbers().map_or(Truth::Maybe, |(left, right)| order(&left, &right).into());
        if self.is_double && left.len().max(right.len()) > LONGEST_PATTERN {
            return Truth::Maybe;
        }
        match operator {
            Some("=" | "==") if self.is_double => fits(&pattern(&right), &left).into(),
            Some("!=") if self.is_double => Truth::from(fits(&pattern(&right), &left)).not(),
            Some("=" | "==") => (left == right).into(),
            Some("!=") => (left != right).into(),
            Some("-eq") => compared(i64::eq),
            Some("-ne") => compared(i64::ne),
            Some("-lt") => compared(i64::lt),
            Some("-le") => compared(i64::le),
            Some("-gt") => compared(i64::gt),
            Some("-ge") => compared(i64::ge),
            _ => Truth::Maybe,
        }
    }
}

fn has_letters(text: &Text) -> Truth {
    let is_known = text.0.iter().any(|part| matches!(part, Part::Known(text) if !text.is_empty()));
    match text.known() {
        _ if is_known => Truth::Yes,
        Some(_) => Truth::No,
        None => Truth::Maybe,
    }
}
