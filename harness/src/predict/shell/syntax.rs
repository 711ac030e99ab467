//! The syntax of a shell script, as a tree.

use std::rc::Rc;

/// Commands, one after another.
pub(super) type List = Vec<Node>;

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Assignments, then a program or function with arguments.
    Simple(Simple),
    /// `a | b`, each with the output of the one before.
    Pipe(Vec<Node>),
    /// `! a`.
    Not(Box<Node>),
    /// `a && b`.
    And(Box<Node>, Box<Node>),
    /// `a || b`.
    Or(Box<Node>, Box<Node>),
    /// `if`, with each condition and what it guards, and the `else`.
    If(Vec<(List, List)>, List),
    /// `for`, over these words or over the positional parameters.
    For(String, Option<Vec<Word>>, List),
    /// `while`, or `until` if the last member says so.
    While(List, List, bool),
    /// `case`, with the patterns of each arm.
    Case(Word, Vec<(Vec<Word>, List)>),
    /// `{ … }`, or `( … )` if the flag says so.
    Group(List, bool),
    /// A function, to be called later.
    Function(String, Rc<List>),
    /// A compound command with redirections.
    Redirected(Box<Node>, Vec<Redirect>),
}

/// A simple command.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Simple {
    pub(super) assignments: Vec<(String, Word)>,
    pub(super) words: Vec<Word>,
    pub(super) redirects: Vec<Redirect>,
    /// The line that it stands on, from 1.
    pub(super) line: usize,
}

/// A redirection.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Redirect {
    /// `> file`; the flag says that the file is written anew, the number which descriptor it is.
    Write { to: Word, anew: bool, descriptor: u32 },
    /// `< file`.
    Read(Word),
    /// `<< word`: the number of the text in [`Script::texts`].
    Text(usize),
    /// `2>&1` and its like.
    Duplicate,
}

/// A word before expansion.
pub(super) type Word = Vec<Piece>;

/// A part of a word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Characters; in quotes, they are no pattern.
    Text(String, bool),
    /// A parameter; in quotes, its value is not split.
    Parameter(String, Operation, bool),
    /// `$( … )`; in quotes, what it prints is not split.
    Command(List, bool),
    /// `$(( … ))` and other things that are not followed.
    Unknown,
}

/// What is done with the value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operation {
    Plain,
    /// `${a:-word}`, and `${a-word}` if the flag is false.
    Default(Word, bool),
    /// `${a:+word}`.
    Alternative(Word, bool),
    /// `${a#pattern}`; the flag says the longest match.
    CutFront(Word, bool),
    /// `${a%pattern}`; the flag says the longest match.
    CutBack(Word, bool),
    /// Any other.
    Other,
}

/// A script that was read whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Script {
    pub(super) list: List,
    /// The texts of its here-documents.
    pub(super) texts: Vec<Word>,
}
