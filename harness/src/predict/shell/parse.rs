//! Reads the text of a shell script. What it does not know is an error with a line, never a guess.
//!
//! The grammar is that of POSIX sh, with `[[`, `function` and `<<<` of bash. An own reader, since scriptlets come from anywhere:
//! it takes linear time, nests no deeper than [`DEPTH`], and every crate with a whole grammar of sh does neither.

use super::syntax::{List, Node, Operation, Piece, Redirect, Script, Simple, Word};
use std::rc::Rc;

/// How deep commands may nest.
const DEPTH: usize = 40;

/// Where a script cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) line: usize,
}

type Result<T> = std::result::Result<T, Unread>;

/// Reads a script.
pub(super) fn parse(text: &str) -> Result<Script> {
    let mut parser = Parser::new(text);
    let list = parser.list(&[])?;
    if parser.peek().is_some() {
        return Err(parser.unread());
    }
    parser.finish(list)
}

/// A text whose end mark has not been seen yet.
struct Pending {
    number: usize,
    mark: String,
    is_literal: bool,
    strips_tabs: bool,
}

struct Parser {
    text: Vec<char>,
    at: usize,
    line: usize,
    depth: usize,
    texts: Vec<Word>,
    pending: Vec<Pending>,
}

const OPERATORS: &str = ";&|<>()\n";
const RESERVED: [&str; 11] = ["then", "else", "elif", "fi", "do", "done", "esac", "}", "in", ")", ";;"];

impl Parser {
    fn new(text: &str) -> Self {
        // A backslash at the end of a line joins it with the next; a literal text of a here-document is rare enough.
        Self { text: text.chars().collect(), at: 0, line: 1, depth: 0, texts: Vec::new(), pending: Vec::new() }
    }

    fn finish(self, list: List) -> Result<Script> {
        if self.pending.is_empty() { Ok(Script { list, texts: self.texts }) } else { Err(self.unread()) }
    }

    fn unread(&self) -> Unread {
        Unread { line: self.line }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        if letter == '\n' {
            self.line += 1;
        }
        Some(letter)
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(ahead, letter)| self.peek_at(ahead) == Some(letter))
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.starts_with(text);
        if found {
            text.chars().for_each(|_| _ = self.next());
        }
        found
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        if self.take(text) { Ok(()) } else { Err(self.unread()) }
    }

    /// Passes over blanks, comments and joined lines.
    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r') => _ = self.next(),
                Some('\\') if self.peek_at(1) == Some('\n') => _ = (self.next(), self.next()),
                Some('#') => {
                    while self.peek().is_some_and(|letter| letter != '\n') {
                        self.next();
                    }
                }
                _ => return,
            }
        }
    }

    fn newline(&mut self) -> Result<()> {
        self.next();
        for pending in std::mem::take(&mut self.pending) {
            self.texts[pending.number] = self.here_text(&pending)?;
        }
        Ok(())
    }

    /// Passes over ends of lines, too.
    fn gap(&mut self) -> Result<()> {
        self.blanks();
        while self.peek() == Some('\n') {
            self.newline()?;
            self.blanks();
        }
        Ok(())
    }

    /// The reserved word or plain word that comes next, without taking it.
    fn ahead(&self) -> String {
        let letters =
            self.text[self.at..].iter().take_while(|letter| !letter.is_whitespace() && !OPERATORS.contains(**letter));
        letters.collect()
    }

    fn is_ahead(&self, words: &[&str]) -> bool {
        words.iter().any(|word| match *word {
            ")" | ";;" => self.starts_with(word),
            word => self.ahead() == word,
        })
    }

    fn keyword(&mut self, word: &str) -> Result<()> {
        self.gap()?;
        if self.ahead() != word {
            return Err(self.unread());
        }
        self.expect(word)
    }

    /// Commands up to one of these words.
    fn list(&mut self, ends: &[&str]) -> Result<List> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.unread());
        }
        let mut list = Vec::new();
        loop {
            self.gap()?;
            if self.peek().is_none() || self.is_ahead(ends) {
                break;
            }
            list.push(self.and_or()?);
            self.blanks();
            match self.peek() {
                Some(';') if !self.starts_with(";;") => _ = self.next(),
                Some('\n') => self.newline()?,
                // In the background, it does what it does all the same.
                Some('&') => _ = self.next(),
                None => {}
                _ if self.is_ahead(ends) => {}
                _ => return Err(self.unread()),
            }
        }
        self.depth -= 1;
        Ok(list)
    }

    fn and_or(&mut self) -> Result<Node> {
        let mut left = self.pipeline()?;
        loop {
            self.blanks();
            if self.take("&&") {
                self.gap()?;
                left = Node::And(Box::new(left), Box::new(self.pipeline()?));
            } else if self.take("||") {
                self.gap()?;
                left = Node::Or(Box::new(left), Box::new(self.pipeline()?));
            } else {
                return Ok(left);
            }
        }
    }

    fn pipeline(&mut self) -> Result<Node> {
        self.blanks();
        if self.ahead() == "!" {
            self.expect("!")?;
            return Ok(Node::Not(Box::new(self.pipeline()?)));
        }
        let mut stages = vec![self.command()?];
        loop {
            self.blanks();
            if self.peek() != Some('|') || self.starts_with("||") {
                break;
            }
            self.next();
            self.take("&");
            self.gap()?;
            stages.push(self.command()?);
        }
        Ok(if stages.len() == 1 { stages.remove(0) } else { Node::Pipe(stages) })
    }

    fn command(&mut self) -> Result<Node> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.unread());
        }
        let node = match self.ahead().as_str() {
            "if" => self.conditional()?,
            "for" => self.for_loop()?,
            "while" | "until" => self.while_loop()?,
            "case" => self.case()?,
            "{" => {
                self.expect("{")?;
                let list = self.list(&["}"])?;
                self.keyword("}")?;
                Node::Group(list, false)
            }
            "function" => {
                self.expect("function")?;
                self.blanks();
                let name = self.ahead();
                self.expect(&name)?;
                self.blanks();
                if self.take("(") {
                    self.expect(")")?;
                }
                self.function(name)?
            }
            "[[" => {
                self.depth -= 1;
                return self.double_brackets();
            }
            _ if self.starts_with("((") => return Err(self.unread()),
            _ if self.take("(") => {
                let list = self.list(&[")"])?;
                self.expect(")")?;
                Node::Group(list, true)
            }
            word if RESERVED.contains(&word) => return Err(self.unread()),
            _ => {
                self.depth -= 1;
                return self.simple();
            }
        };
        self.depth -= 1;
        let redirects = self.redirects()?;
        Ok(if redirects.is_empty() { node } else { Node::Redirected(Box::new(node), redirects) })
    }

    /// `[[ … ]]`, in which `&&`, `||` and parentheses are words.
    fn double_brackets(&mut self) -> Result<Node> {
        let mut simple = Simple { line: self.line, ..Simple::default() };
        loop {
            self.gap()?;
            let is_end = self.ahead() == "]]";
            match ["&&", "||", "(", ")", "<", ">"].into_iter().find(|operator| self.take(operator)) {
                Some(operator) => simple.words.push(vec![Piece::Text(operator.to_owned(), true)]),
                None => simple.words.push(self.word()?),
            }
            if is_end {
                break;
            }
        }
        simple.redirects = self.redirects()?;
        Ok(Node::Simple(simple))
    }

    fn conditional(&mut self) -> Result<Node> {
        self.expect("if")?;
        let mut arms = Vec::new();
        loop {
            let condition = self.list(&["then"])?;
            self.keyword("then")?;
            let body = self.list(&["elif", "else", "fi"])?;
            arms.push((condition, body));
            match self.ahead().as_str() {
                "elif" => self.expect("elif")?,
                "else" => {
                    self.expect("else")?;
                    let otherwise = self.list(&["fi"])?;
                    self.keyword("fi")?;
                    return Ok(Node::If(arms, otherwise));
                }
                _ => {
                    self.keyword("fi")?;
                    return Ok(Node::If(arms, Vec::new()));
                }
            }
        }
    }

    fn body(&mut self) -> Result<List> {
        self.gap()?;
        self.keyword("do")?;
        let body = self.list(&["done"])?;
        self.keyword("done")?;
        Ok(body)
    }

    fn for_loop(&mut self) -> Result<Node> {
        self.expect("for")?;
        self.blanks();
        let name = self.name();
        if name.is_empty() {
            return Err(self.unread());
        }
        self.gap()?;
        let mut words = None;
        if self.ahead() == "in" {
            self.expect("in")?;
            let mut list = Vec::new();
            loop {
                self.blanks();
                match self.peek() {
                    Some(';' | '\n') | None => break,
                    _ => list.push(self.word()?),
                }
            }
            words = Some(list);
        }
        self.blanks();
        self.take(";");
        Ok(Node::For(name, words, self.body()?))
    }

    fn while_loop(&mut self) -> Result<Node> {
        let is_until = self.take("until");
        if !is_until {
            self.expect("while")?;
        }
        let condition = self.list(&["do"])?;
        Ok(Node::While(condition, self.body()?, is_until))
    }

    fn case(&mut self) -> Result<Node> {
        self.expect("case")?;
        self.blanks();
        let word = self.word()?;
        self.keyword("in")?;
        let mut arms = Vec::new();
        loop {
            self.gap()?;
            if self.ahead() == "esac" {
                break;
            }
            self.take("(");
            let mut patterns = Vec::new();
            loop {
                self.blanks();
                patterns.push(self.word()?);
                self.blanks();
                if self.take(")") {
                    break;
                }
                self.expect("|")?;
            }
            arms.push((patterns, self.list(&[";;", "esac"])?));
            self.gap()?;
            if !self.take(";;") && self.ahead() != "esac" {
                return Err(self.unread());
            }
        }
        self.keyword("esac")?;
        Ok(Node::Case(word, arms))
    }

    fn function(&mut self, name: String) -> Result<Node> {
        self.gap()?;
        Ok(Node::Function(name, Rc::new(vec![self.command()?])))
    }

    fn simple(&mut self) -> Result<Node> {
        let mut simple = Simple { line: self.line, ..Simple::default() };
        loop {
            self.blanks();
            simple.redirects.extend(self.redirects()?);
            self.blanks();
            match self.peek() {
                Some('(') if simple.words.len() == 1 && simple.assignments.is_empty() => {
                    self.next();
                    self.blanks();
                    self.expect(")")?;
                    let [Piece::Text(name, false)] = &simple.words[0][..] else { return Err(self.unread()) };
                    let name = name.clone();
                    return self.function(name);
                }
                Some(letter) if !OPERATORS.contains(letter) => {}
                _ => break,
            }
            match self.assigned().filter(|_| simple.words.is_empty()) {
                Some(name) => {
                    self.expect(&format!("{name}="))?;
                    let is_empty =
                        self.peek().is_none_or(|letter| letter.is_whitespace() || OPERATORS.contains(letter));
                    let value = if is_empty { Vec::new() } else { self.word()? };
                    simple.assignments.push((name, value));
                }
                None => simple.words.push(self.word()?),
            }
        }
        if simple == (Simple { line: simple.line, ..Simple::default() }) {
            Err(self.unread())
        } else {
            Ok(Node::Simple(simple))
        }
    }

    /// The name of an assignment that comes next.
    fn assigned(&self) -> Option<String> {
        let name: String = self.text[self.at..]
            .iter()
            .take_while(|letter| letter.is_ascii_alphanumeric() || **letter == '_')
            .collect();
        let is_name = name.chars().next().is_some_and(|first| !first.is_ascii_digit());
        (is_name && self.peek_at(name.len()) == Some('=')).then_some(name)
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(letter) = self.peek().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_') {
            name.push(letter);
            self.next();
        }
        name
    }

    fn redirects(&mut self) -> Result<Vec<Redirect>> {
        let mut redirects = Vec::new();
        loop {
            self.blanks();
            let digits = self.text[self.at..].iter().take_while(|letter| letter.is_ascii_digit()).count();
            let has_both = self.starts_with("&>");
            let operator = if has_both { self.peek_at(1) } else { self.peek_at(digits) };
            if !matches!(operator, Some('<' | '>')) {
                return Ok(redirects);
            }
            let number: String = self.text[self.at..self.at + digits].iter().collect();
            (0..digits + usize::from(has_both)).for_each(|_| _ = self.next());
            redirects.push(self.redirect(number.parse().ok(), has_both)?);
        }
    }

    fn redirect(&mut self, number: Option<u32>, has_both: bool) -> Result<Redirect> {
        if self.take("<<<") {
            self.blanks();
            let word = self.word()?;
            self.texts.push(word);
            return Ok(Redirect::Text(self.texts.len() - 1));
        }
        if self.take("<<") {
            return self.here_mark();
        }
        if self.take("<&") || (!has_both && self.take(">&")) {
            self.word()?;
            return Ok(Redirect::Duplicate);
        }
        if self.take("<") {
            if self.peek() == Some('(') || self.peek() == Some('>') {
                return Err(self.unread());
            }
            self.blanks();
            return Ok(Redirect::Read(self.word()?));
        }
        let anew = !self.take(">>");
        if anew {
            self.expect(">")?;
            self.take("|");
        }
        if self.peek() == Some('(') {
            return Err(self.unread());
        }
        self.blanks();
        Ok(Redirect::Write { to: self.word()?, anew, descriptor: number.unwrap_or(1) })
    }

    fn here_mark(&mut self) -> Result<Redirect> {
        let strips_tabs = self.take("-");
        self.blanks();
        let word = self.word()?;
        let mut mark = String::new();
        let mut is_literal = false;
        for piece in word {
            let Piece::Text(text, quoted) = piece else { return Err(self.unread()) };
            mark.push_str(&text);
            is_literal |= quoted;
        }
        self.texts.push(Vec::new());
        let number = self.texts.len() - 1;
        self.pending.push(Pending { number, mark, is_literal, strips_tabs });
        Ok(Redirect::Text(number))
    }

    /// The lines up to the mark.
    fn here_text(&mut self, pending: &Pending) -> Result<Word> {
        let mut text = String::new();
        loop {
            if self.peek().is_none() {
                return Err(self.unread());
            }
            let mut line = String::new();
            while let Some(letter) = self.next().filter(|letter| *letter != '\n') {
                line.push(letter);
            }
            let line = if pending.strips_tabs { line.trim_start_matches('\t') } else { &line };
            if line == pending.mark {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        if pending.is_literal {
            return Ok(vec![Piece::Text(text, true)]);
        }
        let mut inner = Self { depth: self.depth, ..Self::new(&text) };
        let word = inner.quoted(None)?;
        if inner.texts.is_empty() { Ok(word) } else { Err(self.unread()) }
    }

    fn word(&mut self) -> Result<Word> {
        let mut word = Vec::new();
        while let Some(letter) = self.peek() {
            match letter {
                _ if letter.is_whitespace() || OPERATORS.contains(letter) => break,
                '\'' => {
                    self.next();
                    let mut text = String::new();
                    loop {
                        match self.next() {
                            Some('\'') => break,
                            Some(letter) => text.push(letter),
                            None => return Err(self.unread()),
                        }
                    }
                    word.push(Piece::Text(text, true));
                }
                '"' => {
                    self.next();
                    let pieces = self.quoted(Some('"'))?;
                    // Quotes make a word even of nothing.
                    word.push(Piece::Text(String::new(), true));
                    word.extend(pieces);
                }
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') | None => {}
                        Some(letter) => word.push(Piece::Text(letter.to_string(), true)),
                    }
                }
                '$' | '`' => word.push(self.expansion(false)?),
                _ => {
                    self.next();
                    match word.last_mut() {
                        Some(Piece::Text(text, false)) => text.push(letter),
                        _ => word.push(Piece::Text(letter.to_string(), false)),
                    }
                }
            }
        }
        if word.is_empty() { Err(self.unread()) } else { Ok(word) }
    }

    /// What is in double quotes, up to `end`, or to the end of all.
    fn quoted(&mut self, end: Option<char>) -> Result<Word> {
        let mut word = Vec::new();
        let mut text = String::new();
        loop {
            match self.peek() {
                letter if letter == end => {
                    self.next();
                    break;
                }
                None => return Err(self.unread()),
                Some('\\') => {
                    self.next();
                    match self.next() {
                        Some('\n') => {}
                        Some(letter) if "$`\"\\".contains(letter) => text.push(letter),
                        Some(letter) => text.extend(['\\', letter]),
                        None => text.push('\\'),
                    }
                }
                Some('$' | '`') => {
                    word.push(Piece::Text(std::mem::take(&mut text), true));
                    word.push(self.expansion(true)?);
                }
                Some(letter) => {
                    self.next();
                    text.push(letter);
                }
            }
        }
        word.push(Piece::Text(text, true));
        Ok(word)
    }

    /// `$name`, `${…}`, `$(…)` or what is in backquotes.
    fn expansion(&mut self, quoted: bool) -> Result<Piece> {
        if self.take("`") {
            return self.backquoted(quoted);
        }
        self.expect("$")?;
        if self.starts_with("((") {
            return self.arithmetic();
        }
        if self.take("(") {
            let list = self.list(&[")"])?;
            self.expect(")")?;
            return Ok(Piece::Command(list, quoted));
        }
        if self.take("{") {
            return self.braced(quoted);
        }
        match self.peek() {
            Some(letter) if letter.is_ascii_alphabetic() || letter == '_' => {
                Ok(Piece::Parameter(self.name(), Operation::Plain, quoted))
            }
            Some(letter) if letter.is_ascii_digit() || "@*#?$!-".contains(letter) => {
                self.next();
                Ok(Piece::Parameter(letter.to_string(), Operation::Plain, quoted))
            }
            _ => Ok(Piece::Text("$".into(), quoted)),
        }
    }

    fn backquoted(&mut self, quoted: bool) -> Result<Piece> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('`') => break,
                Some('\\') if matches!(self.peek(), Some('`' | '\\' | '$')) => text.extend(self.next()),
                Some(letter) => text.push(letter),
                None => return Err(self.unread()),
            }
        }
        self.depth += 1;
        let mut inner = Self { depth: self.depth, line: self.line, ..Self::new(&text) };
        let list = inner.list(&[])?;
        self.depth -= 1;
        if inner.peek().is_some() || !inner.texts.is_empty() {
            Err(self.unread())
        } else {
            Ok(Piece::Command(list, quoted))
        }
    }

    /// Arithmetic is passed over.
    fn arithmetic(&mut self) -> Result<Piece> {
        let mut open = 0usize;
        loop {
            match self.next() {
                Some('(') => open += 1,
                Some(')') if open == 1 => return Ok(Piece::Unknown),
                Some(')') => open -= 1,
                Some(_) => {}
                None => return Err(self.unread()),
            }
        }
    }

    fn braced(&mut self, quoted: bool) -> Result<Piece> {
        let name = match self.peek() {
            Some('#') if self.peek_at(1) != Some('}') => {
                self.until_brace()?;
                return Ok(Piece::Unknown);
            }
            Some(letter) if "@*#?".contains(letter) => {
                self.next();
                letter.to_string()
            }
            _ => self.name(),
        };
        let has_colon = self.take(":");
        let operation = match self.peek() {
            Some('}') if !has_colon => Operation::Plain,
            Some('-' | '=') => {
                self.next();
                Operation::Default(self.operand()?, has_colon)
            }
            Some('+') => {
                self.next();
                Operation::Alternative(self.operand()?, has_colon)
            }
            Some('#') if !has_colon => {
                let longest = self.take("##") || !self.take("#");
                Operation::CutFront(self.operand()?, longest)
            }
            Some('%') if !has_colon => {
                let longest = self.take("%%") || !self.take("%");
                Operation::CutBack(self.operand()?, longest)
            }
            _ => {
                self.until_brace()?;
                return Ok(Piece::Parameter(name, Operation::Other, quoted));
            }
        };
        self.expect("}")?;
        if name.is_empty() { Err(self.unread()) } else { Ok(Piece::Parameter(name, operation, quoted)) }
    }

    /// The word behind an operator, up to the closing brace.
    fn operand(&mut self) -> Result<Word> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.unread());
        }
        let mut word = Vec::new();
        loop {
            match self.peek() {
                Some('}') => break,
                None | Some('\'') => return Err(self.unread()),
                Some('$' | '`') => word.push(self.expansion(false)?),
                Some('"') => {
                    self.next();
                    word.extend(self.quoted(Some('"'))?);
                }
                Some('\\') => {
                    self.next();
                    word.extend(self.next().map(|letter| Piece::Text(letter.to_string(), true)));
                }
                Some(letter) => {
                    self.next();
                    word.push(Piece::Text(letter.to_string(), false));
                }
            }
        }
        self.depth -= 1;
        Ok(word)
    }

    fn until_brace(&mut self) -> Result<()> {
        let mut open = 1;
        loop {
            match self.next() {
                Some('{') => open += 1,
                Some('}') if open == 1 => {
                    self.at -= 1;
                    return self.expect("}");
                }
                Some('}') => open -= 1,
                Some(_) => {}
                None => return Err(self.unread()),
            }
        }
    }
}
