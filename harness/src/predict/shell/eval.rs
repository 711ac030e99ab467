//! Follows a script through a [`World`]: what it certainly does is done there, what it may do makes paths unknown.

use super::parse::parse;
use super::syntax::{List, Node, Redirect, Simple};
use super::text::{LONGEST_PATTERN, Text, fits, pattern};
use super::world::{Blame, State, Truth, World};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// How many commands of one script are followed.
const FUEL: u32 = 5_000;
/// How deep functions may call each other.
const CALLS: usize = 20;

/// The script cannot be followed from this line on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) line: usize,
}

/// Where a command leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
    Return,
    Exit,
}

/// What one branch of a script may change.
#[derive(Debug, Clone)]
pub(super) struct Env<'a> {
    pub(super) world: World<'a>,
    pub(super) variables: BTreeMap<String, Text>,
    /// Whether a variable that is not here may have been set all the same.
    pub(super) sourced: bool,
    pub(super) positional: Vec<Text>,
    pub(super) directory: Option<String>,
    pub(super) status: Truth,
    /// What is left of the standard input, if it is known.
    pub(super) input: Option<Text>,
}

impl Env<'_> {
    fn join(&mut self, other: &Self) {
        self.world.join(&other.world);
        let names: Vec<_> = self.variables.keys().chain(other.variables.keys()).cloned().collect();
        for name in names {
            if self.variables.get(&name) != other.variables.get(&name) {
                self.variables.insert(name, Text::any());
            }
        }
        self.sourced |= other.sourced;
        if self.positional != other.positional {
            self.positional = vec![Text::any(); self.positional.len().max(other.positional.len())];
        }
        if self.directory != other.directory {
            self.directory = None;
        }
        if self.status != other.status {
            self.status = Truth::Maybe;
        }
        if self.input != other.input {
            self.input = None;
        }
    }
}

/// What follows a script.
pub(super) struct Follower<'a, 's> {
    pub(super) env: Env<'a>,
    pub(super) out: Text,
    functions: HashMap<String, Rc<List>>,
    texts: Vec<super::syntax::Word>,
    ended: Vec<World<'a>>,
    fuel: u32,
    calls: usize,
    /// Every condition may be true or false, and nothing ends early.
    pub(super) sweeps: bool,
    /// Lines that change files of which nothing is known.
    pub(super) blind: BTreeSet<usize>,
    lines: Vec<&'s str>,
    package: &'s str,
    scriptlet: &'s str,
}

impl<'a, 's> Follower<'a, 's> {
    pub(super) fn new(
        world: World<'a>,
        package: &'s str,
        scriptlet: &'s str,
        text: &'s str,
        argument: Option<u32>,
    ) -> Self {
        let argument = argument.map_or_else(Text::any, |number| Text::from(number.to_string().as_str()));
        let env = Env {
            world,
            variables: BTreeMap::new(),
            sourced: false,
            positional: vec![argument],
            directory: Some("/".into()),
            status: Truth::Yes,
            input: Some(Text::default()),
        };
        Self {
            env,
            out: Text::default(),
            functions: HashMap::new(),
            texts: Vec::new(),
            ended: Vec::new(),
            fuel: FUEL,
            calls: 0,
            sweeps: false,
            blind: BTreeSet::new(),
            lines: text.lines().collect(),
            package,
            scriptlet,
        }
    }

    /// Follows the whole text, and hands back the files afterwards.
    pub(super) fn follow(&mut self, text: &str) -> Result<World<'a>, Lost> {
        let script = parse(text).map_err(|unread| Lost { line: unread.line })?;
        self.texts = script.texts;
        self.list(&script.list)?;
        let mut world = self.env.world.clone();
        for ended in &self.ended {
            world.join(ended);
        }
        Ok(world)
    }

    /// Whether the script ended with a failure, whatever way it took.
    pub(super) fn fails(&self) -> bool {
        self.ended.is_empty() && self.env.status == Truth::No
    }

    pub(super) fn blame(&self, line: usize) -> Rc<Blame> {
        let line = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default().trim();
        Rc::new(Blame { package: self.package.to_owned(), scriptlet: self.scriptlet.to_owned(), line: line.to_owned() })
    }

    pub(super) fn list(&mut self, list: &List) -> Result<Flow, Lost> {
        for node in list {
            let flow = self.node(node)?;
            if flow != Flow::Next && !self.sweeps {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node) -> Result<Flow, Lost> {
        match node {
            Node::Simple(simple) => self.simple(simple),
            Node::Pipe(stages) => self.pipe(stages),
            Node::Not(inner) => {
                let flow = self.node(inner)?;
                self.env.status = self.env.status.not();
                Ok(flow)
            }
            Node::And(left, right) => match self.node(left)? {
                Flow::Next => self.guarded(self.env.status, right),
                flow => Ok(flow),
            },
            Node::Or(left, right) => match self.node(left)? {
                Flow::Next => self.guarded(self.env.status.not(), right),
                flow => Ok(flow),
            },
            Node::If(arms, otherwise) => self.conditional(arms, otherwise),
            Node::For(name, words, body) => self.for_loop(name, words.as_deref(), body),
            Node::While(condition, body, is_until) => self.while_loop(condition, body, *is_until),
            Node::Case(word, arms) => {
                let value = self.text_of(word)?;
                self.case(&value, arms)
            }
            Node::Group(list, false) => self.list(list),
            Node::Group(list, true) => self.apart(|me| me.list(list)),
            Node::Function(name, body) => {
                self.functions.insert(name.clone(), Rc::clone(body));
                self.env.status = Truth::Yes;
                Ok(Flow::Next)
            }
            Node::Redirected(inner, redirects) => self.redirected(redirects, 0, |me| me.node(inner)),
        }
    }

    /// `right`, if what is before it ended as `truth` says.
    fn guarded(&mut self, truth: Truth, right: &Node) -> Result<Flow, Lost> {
        match if self.sweeps { Truth::Maybe } else { truth } {
            Truth::Yes => self.node(right),
            Truth::No => Ok(Flow::Next),
            Truth::Maybe => self.either(|me| me.node(right), |_| Ok(Flow::Next)),
        }
    }

    fn conditional(&mut self, arms: &[(List, List)], otherwise: &List) -> Result<Flow, Lost> {
        let Some(((condition, body), rest)) = arms.split_first() else {
            self.env.status = Truth::Yes;
            return self.list(otherwise);
        };
        match self.list(condition)? {
            Flow::Next => {}
            flow => return Ok(flow),
        }
        match if self.sweeps { Truth::Maybe } else { self.env.status } {
            Truth::Yes => self.list(body),
            Truth::No => self.conditional(rest, otherwise),
            Truth::Maybe => self.either(|me| me.list(body), |me| me.conditional(rest, otherwise)),
        }
    }

    fn case(&mut self, value: &Text, arms: &[(Vec<super::syntax::Word>, List)]) -> Result<Flow, Lost> {
        let Some(((patterns, body), rest)) = arms.split_first() else {
            self.env.status = Truth::Yes;
            return Ok(Flow::Next);
        };
        let mut truth = Truth::No;
        for word in patterns {
            let fitting = match (value.known(), self.pattern_of(word)?.known()) {
                (_, Some(all)) if all == "*" => Truth::Yes,
                (Some(value), Some(text)) if text.len().max(value.len()) <= LONGEST_PATTERN => {
                    fits(&pattern(&text), &value).into()
                }
                _ => Truth::Maybe,
            };
            if truth == Truth::No || fitting == Truth::Yes {
                truth = fitting;
            }
        }
        match if self.sweeps { Truth::Maybe } else { truth } {
            Truth::Yes => self.list(body),
            Truth::No => self.case(value, rest),
            Truth::Maybe => self.either(|me| me.list(body), |me| me.case(value, rest)),
        }
    }

    /// Two ways that a script may go on, of which neither is certain.
    pub(super) fn either(
        &mut self,
        one: impl FnOnce(&mut Self) -> Result<Flow, Lost>,
        other: impl FnOnce(&mut Self) -> Result<Flow, Lost>,
    ) -> Result<Flow, Lost> {
        let (before, out) = (self.env.clone(), self.out.clone());
        let first = one(self)?;
        let env = std::mem::replace(&mut self.env, before);
        let first_out = std::mem::replace(&mut self.out, out.clone());
        let second = other(self)?;
        if first_out != self.out {
            self.out = out;
            self.out.append(&Text::any());
        }
        if self.sweeps || first == second {
            self.env.join(&env);
            return Ok(if self.sweeps { Flow::Next } else { first });
        }
        match (first, second) {
            (Flow::Exit, _) => {
                self.ended.push(env.world);
                Ok(second)
            }
            (_, Flow::Exit) => {
                self.ended.push(std::mem::replace(&mut self.env, env).world);
                Ok(first)
            }
            _ => Err(Lost { line: 0 }),
        }
    }

    fn for_loop(&mut self, name: &str, words: Option<&[super::syntax::Word]>, body: &List) -> Result<Flow, Lost> {
        let fields = match words {
            Some(words) => self.fields(words)?,
            None => self
                .env
                .positional
                .iter()
                .map(|text| super::expand::Field { text: text.clone(), maybe: false })
                .collect(),
        };
        self.env.status = Truth::Yes;
        for field in fields {
            self.burn(0)?;
            self.env.variables.insert(name.to_owned(), field.text.clone());
            let flow = if field.maybe { self.smeared(|me| me.list(body))? } else { self.list(body)? };
            match flow {
                Flow::Next | Flow::Continue => {}
                Flow::Break => break,
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn while_loop(&mut self, condition: &List, body: &List, is_until: bool) -> Result<Flow, Lost> {
        loop {
            self.burn(0)?;
            match self.list(condition)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
            let truth = if is_until { self.env.status.not() } else { self.env.status };
            match if self.sweeps { Truth::Maybe } else { truth } {
                Truth::No => {
                    self.env.status = Truth::Yes;
                    return Ok(Flow::Next);
                }
                Truth::Maybe => {
                    return match self.smeared(|me| me.list(body))? {
                        Flow::Next | Flow::Continue | Flow::Break => Ok(Flow::Next),
                        flow => Ok(flow),
                    };
                }
                Truth::Yes => match self.list(body)? {
                    Flow::Next | Flow::Continue => {}
                    Flow::Break => return Ok(Flow::Next),
                    flow => return Ok(flow),
                },
            }
        }
    }

    /// What may run any number of times: all that one run changes is unknown then.
    fn smeared(&mut self, body: impl FnOnce(&mut Self) -> Result<Flow, Lost>) -> Result<Flow, Lost> {
        let before = self.env.world.clone();
        let flow = self.either(
            |me| match body(me)? {
                Flow::Break | Flow::Continue => Ok(Flow::Next),
                flow => Ok(flow),
            },
            |_| Ok(Flow::Next),
        )?;
        let changed: Vec<(String, Option<Rc<Blame>>)> = self
            .env
            .world
            .own_changes()
            .filter(|(path, state, _)| before.state(path) != **state)
            .map(|(path, _, blame)| (path.clone(), blame.cloned()))
            .collect();
        for (path, blame) in changed {
            self.env.world.put(&path, State::Unknown, blame.as_ref());
        }
        self.env.status = Truth::Maybe;
        Ok(flow)
    }

    /// A subshell: only what it does to files remains.
    pub(super) fn apart(&mut self, body: impl FnOnce(&mut Self) -> Result<Flow, Lost>) -> Result<Flow, Lost> {
        let before = self.env.clone();
        let ended = std::mem::take(&mut self.ended);
        body(self)?;
        let mut world = self.env.world.clone();
        for other in std::mem::replace(&mut self.ended, ended) {
            world.join(&other);
            self.env.status = Truth::Maybe;
        }
        let status = self.env.status;
        self.env = Env { world, status, ..before };
        Ok(Flow::Next)
    }

    /// Runs something and hands back what it printed.
    pub(super) fn captured(&mut self, body: impl FnOnce(&mut Self) -> Result<Flow, Lost>) -> Result<Text, Lost> {
        let out = std::mem::take(&mut self.out);
        self.apart(body)?;
        Ok(std::mem::replace(&mut self.out, out))
    }

    fn pipe(&mut self, stages: &[Node]) -> Result<Flow, Lost> {
        let input = self.env.input.clone();
        let Some((last, before)) = stages.split_last() else { return Ok(Flow::Next) };
        for stage in before {
            let printed = self.captured(|me| me.node(stage))?;
            self.env.input = Some(printed);
        }
        self.apart(|me| me.node(last))?;
        self.env.input = input;
        Ok(Flow::Next)
    }

    /// Runs something with redirections.
    pub(super) fn redirected(
        &mut self,
        redirects: &[Redirect],
        line: usize,
        body: impl FnOnce(&mut Self) -> Result<Flow, Lost>,
    ) -> Result<Flow, Lost> {
        if redirects.is_empty() {
            return body(self);
        }
        let input = self.env.input.clone();
        let mut files = Vec::new();
        let mut is_quiet = false;
        for redirect in redirects {
            match redirect {
                Redirect::Duplicate => {}
                Redirect::Read(word) => {
                    let source = self.text_of(word)?;
                    let is_empty = source.known().is_some_and(|path| path == "/dev/null");
                    self.env.input = Some(if is_empty { Text::default() } else { Text::any() });
                }
                Redirect::Text(number) => {
                    let word = self.texts.get(*number).cloned().ok_or(Lost { line })?;
                    self.env.input = Some(self.text_of(&word)?);
                }
                Redirect::Write { to, anew, descriptor } => {
                    is_quiet |= *descriptor == 1;
                    files.push((self.text_of(to)?, *anew));
                }
            }
        }
        let out = self.out.clone();
        for (file, anew) in &files {
            self.write(file, *anew, line);
        }
        let flow = body(self)?;
        if is_quiet {
            self.out = out;
        }
        self.env.input = input;
        Ok(flow)
    }

    /// Counts as several commands.
    pub(super) fn burn_for(&mut self, commands: usize) -> Result<(), Lost> {
        let commands = u32::try_from(commands).unwrap_or(u32::MAX);
        self.fuel = self.fuel.checked_sub(commands).ok_or(Lost { line: 0 })?;
        Ok(())
    }

    pub(super) fn burn(&mut self, line: usize) -> Result<(), Lost> {
        self.fuel = self.fuel.checked_sub(1).ok_or(Lost { line })?;
        Ok(())
    }

    fn simple(&mut self, simple: &Simple) -> Result<Flow, Lost> {
        let line = simple.line;
        self.burn(line)?;
        let fields = self.fields(&simple.words)?;
        if fields.is_empty() {
            self.env.status = Truth::Yes;
            for (name, value) in &simple.assignments {
                let value = self.text_of(value)?;
                if name == "IFS" {
                    return Err(Lost { line });
                }
                self.env.variables.insert(name.clone(), value);
            }
            return self.redirected(&simple.redirects, line, |_| Ok(Flow::Next));
        }
        // Assignments before a command are its environment, which no command here looks at.
        self.redirected(&simple.redirects, line, |me| me.command(&fields, line))
    }

    pub(super) fn function(&self, name: &str) -> Option<Rc<List>> {
        self.functions.get(name).cloned()
    }

    /// Calls a function.
    pub(super) fn call(&mut self, body: &List, arguments: Vec<Text>, line: usize) -> Result<Flow, Lost> {
        self.calls += 1;
        if self.calls > CALLS {
            return Err(Lost { line });
        }
        let positional = std::mem::replace(&mut self.env.positional, arguments);
        let flow = self.list(body)?;
        self.env.positional = positional;
        self.calls -= 1;
        match flow {
            Flow::Exit => Ok(Flow::Exit),
            Flow::Next | Flow::Return => Ok(Flow::Next),
            _ => Err(Lost { line }),
        }
    }

    /// Follows a text as part of the script.
    pub(super) fn inner(&mut self, text: &str, line: usize) -> Result<Flow, Lost> {
        let script = parse(text).map_err(|_| Lost { line })?;
        if !script.texts.is_empty() {
            return Err(Lost { line });
        }
        self.calls += 1;
        if self.calls > CALLS {
            return Err(Lost { line });
        }
        let flow = self.list(&script.list)?;
        self.calls -= 1;
        Ok(flow)
    }
}
