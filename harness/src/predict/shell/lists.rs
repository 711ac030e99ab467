//! `find` and `xargs`: commands that run others for each of a list of files.

use super::eval::{Flow, Follower, Lost};
use super::expand::Field;
use super::text::{LONGEST_PATTERN, Text, fits, pattern};
use super::world::Truth;

/// What `find` was asked.
#[derive(Default)]
struct Search {
    starts: Vec<Text>,
    names: Vec<String>,
    letter: Option<&'static str>,
    least: usize,
    most: Option<usize>,
    deletes: bool,
    prints_zeros: bool,
    /// The command, and whether it takes all paths at once.
    command: Option<(Vec<Field>, bool)>,
}

impl Follower<'_, '_> {
    pub(super) fn find(&mut self, rest: &[Field], line: usize) -> Result<Flow, Lost> {
        let Some(search) = search(rest) else {
            // What it would find is not known; what it does with it may happen to all below.
            for field in
                rest.iter().take_while(|field| field.text.known().is_none_or(|word| !word.starts_with(['-', '!', '('])))
            {
                let acts = rest.iter().any(|field| {
                    field
                        .text
                        .known()
                        .is_some_and(|word| word.starts_with("-exec") || word == "-delete" || word == "-ok")
                });
                let mut below = self.absolute(&field.text);
                below.append(&Text::any());
                if acts {
                    self.may_change(&below, line);
                }
            }
            self.out.append(&Text::any());
            self.env.status = Truth::Maybe;
            return Ok(Flow::Next);
        };
        let mut found = Vec::new();
        for start in &search.starts {
            if let Some(paths) = self.found(start, &search) {
                found.extend(paths.into_iter().map(|path| Field { text: path.as_str().into(), maybe: false }));
            } else {
                let mut below = self.absolute(start);
                below.append(&Text::any());
                found.push(Field { text: below, maybe: true });
            }
        }
        self.env.status = Truth::Yes;
        if search.deletes {
            let mut arguments = vec![word("rm"), word("-f"), word("--")];
            arguments.extend(found);
            return self.command(&arguments, line);
        }
        let Some((command, at_once)) = search.command else {
            for field in found {
                self.out.append(&field.text);
                self.out.push(if search.prints_zeros { "\0" } else { "\n" });
            }
            return Ok(Flow::Next);
        };
        let flow = if at_once {
            self.with_each(&command, &[found], "{}", line)
        } else {
            let each: Vec<Vec<Field>> = found.into_iter().map(|field| vec![field]).collect();
            self.with_each(&command, &each, "{}", line)
        };
        self.env.status = Truth::Maybe;
        flow
    }

    /// The paths that `find` finds; none if they cannot be known.
    fn found(&self, start: &Text, search: &Search) -> Option<Vec<String>> {
        let start = self.absolute(start).known()?;
        let world = &self.env.world;
        if !world.facts.system.covers(&format!("{start}/x")) {
            return None;
        }
        let mut paths = world.below(&start);
        paths.extend((world.exists(&start) == Truth::Yes).then(|| start.clone()));
        paths.sort();
        let mut found = Vec::new();
        for path in paths {
            let depth = path[start.len()..].matches('/').count();
            let name = path.rsplit('/').next().unwrap_or_default();
            if depth < search.least
                || search.most.is_some_and(|most| depth > most)
                || !search.names.iter().all(|glob| fits(&pattern(glob), name))
            {
                continue;
            }
            match (world.exists(&path), search.letter.map_or(Truth::Yes, |letter| world.is(&path, letter))) {
                (Truth::Yes, Truth::Yes) => found.push(path),
                // `-type f` does not follow links, and `is` does.
                (_, Truth::No) => {}
                _ => return None,
            }
        }
        Some(found)
    }

    pub(super) fn xargs(&mut self, rest: &[Field], line: usize) -> Result<Flow, Lost> {
        let mut rest = rest;
        let (mut mark, mut one_by_one, mut zeros) = (None, false, false);
        while let Some((first, after)) = rest.split_first() {
            let Some(option) = first.text.known().filter(|word| word.starts_with('-')) else { break };
            rest = after;
            match option.as_str() {
                "-r" | "--no-run-if-empty" | "-t" => {}
                "-0" | "--null" => zeros = true,
                "-n1" | "-L1" => one_by_one = true,
                "-n" | "-L" | "-I" | "-P" | "-d" => {
                    let value = rest.first().and_then(|field| field.text.known()).unwrap_or_default();
                    rest = rest.get(1..).unwrap_or_default();
                    one_by_one |= option == "-n" && value == "1";
                    if option == "-I" {
                        mark = Some(value);
                    }
                }
                _ if option.starts_with("-I") => mark = Some(option[2..].to_owned()),
                _ => {}
            }
        }
        let input = self.env.input.take().unwrap_or_else(Text::any);
        let items: Vec<Field> = match input.known() {
            Some(text) if zeros => text.split('\0').filter(|item| !item.is_empty()).map(word).collect(),
            Some(text) if mark.is_some() => text.lines().map(|item| word(item.trim())).collect(),
            Some(text) => text.split_ascii_whitespace().map(word).collect(),
            None => {
                let mut text = input;
                if let Some(super::text::Part::Known(last)) = text.0.last_mut() {
                    last.truncate(last.trim_end_matches(['\n', '\0']).len());
                }
                vec![Field { text, maybe: true }]
            }
        };
        let groups: Vec<Vec<Field>> = match (&mark, one_by_one) {
            (None, false) => vec![items],
            _ => items.into_iter().map(|item| vec![item]).collect(),
        };
        let flow = self.with_each(rest, &groups, mark.as_deref().unwrap_or(""), line);
        self.env.status = Truth::Maybe;
        flow
    }

    /// Runs a command once for each group of items, which stand in the place of `mark`, or at the end if there is none.
    fn with_each(&mut self, command: &[Field], groups: &[Vec<Field>], mark: &str, line: usize) -> Result<Flow, Lost> {
        for group in groups.iter().filter(|group| !group.is_empty()) {
            self.burn(line)?;
            let mut fields = Vec::new();
            let mut placed = false;
            for field in command {
                match field.text.known() {
                    Some(text) if !mark.is_empty() && text == mark => {
                        fields.extend(group.iter().cloned());
                        placed = true;
                    }
                    Some(text) if !mark.is_empty() && text.contains(mark) => {
                        let mut all = Text::default();
                        for (index, part) in text.split(mark).enumerate() {
                            if index > 0 {
                                all.append(&group[0].text);
                            }
                            all.push(part);
                        }
                        fields.push(Field { text: all, maybe: group[0].maybe });
                        placed = true;
                    }
                    _ => fields.push(field.clone()),
                }
            }
            if !placed && mark.is_empty() {
                fields.extend(group.iter().cloned());
            }
            self.run_inner(&fields, line)?;
        }
        Ok(Flow::Next)
    }

    /// A command; `sh -c TEXT NAME …` is followed, too.
    fn run_inner(&mut self, fields: &[Field], line: usize) -> Result<(), Lost> {
        let words: Vec<Option<String>> = fields.iter().map(|field| field.text.known()).collect();
        let is_shell =
            matches!(words.first(), Some(Some(name)) if matches!(name.rsplit('/').next(), Some("sh" | "bash")));
        if let (true, Some(Some(option)), Some(Some(text))) = (is_shell, words.get(1), words.get(2))
            && option == "-c"
        {
            let positional = fields.iter().skip(4).map(|field| field.text.clone()).collect();
            let before = std::mem::replace(&mut self.env.positional, positional);
            let text = text.clone();
            let flow = self.apart(|me| me.inner(&text, line));
            self.env.positional = before;
            return flow.map(|_| ());
        }
        self.apart(|me| me.command(fields, line)).map(|_| ())
    }
}

fn word(text: &str) -> Field {
    Field { text: text.into(), maybe: false }
}

/// What the arguments ask for; none if a part of it is not known here.
fn search(rest: &[Field]) -> Option<Search> {
    let mut search = Search::default();
    let mut words = rest.iter().peekable();
    while let Some(field) =
        words.next_if(|field| field.text.known().is_none_or(|word| !word.starts_with(['-', '!', '('])))
    {
        search.starts.push(field.text.clone());
    }
    if search.starts.is_empty() {
        search.starts.push(".".into());
    }
    while let Some(field) = words.next() {
        let mut value = || words.next().and_then(|field| field.text.known());
        match field.text.known()?.as_str() {
            "-name" => search.names.push(value().filter(|name| name.len() <= LONGEST_PATTERN)?),
            "-type" => {
                search.letter = Some(match value()?.as_str() {
                    "f" => "f",
                    "d" => "d",
                    "l" => "l",
                    _ => return None,
                });
            }
            "-maxdepth" => search.most = value()?.parse().ok(),
            "-mindepth" => search.least = value()?.parse().ok()?,
            "-print" | "-xdev" | "-mount" => {}
            "-print0" => search.prints_zeros = true,
            "-delete" => search.deletes = true,
            "-exec" if search.command.is_none() => {
                let mut command = Vec::new();
                loop {
                    let field = words.next()?;
                    match field.text.known().as_deref() {
                        Some(";") => break search.command = Some((command, false)),
                        Some("+") => break search.command = Some((command, true)),
                        _ => command.push(field.clone()),
                    }
                }
            }
            _ => return None,
        }
    }
    Some(search)
}
