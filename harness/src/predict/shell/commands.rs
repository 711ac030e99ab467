//! What the programs that scriptlets call do to files. Of a program that is not known here, every file that it is given may change.

use super::eval::{Flow, Follower, Lost};
use super::expand::Field;
use super::text::{Part, Text};
use super::world::{State, Truth, normal};

/// Programs that change no configuration, whatever they are given. Accounts and links of alternatives are no configuration here.
const HARMLESS: [&str; 62] = [
    "awk",
    "chgrp",
    "chkconfig",
    "chmod",
    "chown",
    "cmp",
    "cut",
    "date",
    "df",
    "diff",
    "du",
    "egrep",
    "fgrep",
    "file",
    "gawk",
    "getent",
    "grep",
    "groupadd",
    "head",
    "hostname",
    "id",
    "install-info",
    "kill",
    "killall",
    "ldconfig",
    "logger",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mknod",
    "newaliases",
    "passwd",
    "pidof",
    "postalias",
    "postmap",
    "ps",
    "readlink",
    "realpath",
    "restorecon",
    "rmdir",
    "rpm",
    "sha1sum",
    "sha256sum",
    "sleep",
    "stat",
    "strings",
    "sync",
    "systemctl",
    "systemd-sysusers",
    "systemd-tmpfiles",
    "tail",
    "tr",
    "udevadm",
    "umask",
    "uname",
    "update-alternatives",
    "useradd",
    "usermod",
    "wait",
    "wc",
    "which",
];

/// Programs that change configuration which they find by themselves, and where it is.
const FINDERS: [(&str, &[&str]); 6] = [
    ("pam-config", &["/etc/pam.d/common-"]),
    ("pam-auth-update", &["/etc/pam.d/common-"]),
    ("authselect", &["/etc/pam.d/", "/etc/nsswitch.conf"]),
    ("authconfig", &["/etc/pam.d/", "/etc/nsswitch.conf"]),
    ("postconf", &["/etc/postfix/main.cf", "/etc/postfix/master.cf"]),
    ("config.postfix", &["/etc/postfix/"]),
];

/// The arguments of a program: options, and what they are for.
struct Arguments {
    options: Vec<String>,
    operands: Vec<Text>,
    /// Whether all of them are certain to be there, and are what they seem.
    certain: bool,
}

impl Arguments {
    /// Options of which `valued` have a value of their own are passed over together with it.
    fn new(fields: &[Field], valued: &[&str]) -> Self {
        let mut arguments = Self { options: Vec::new(), operands: Vec::new(), certain: true };
        let mut rest = fields.iter();
        let mut only_operands = false;
        while let Some(field) = rest.next() {
            arguments.certain &= !field.maybe;
            match field.text.known() {
                Some(word) if word == "--" && !only_operands => only_operands = true,
                Some(word) if word.starts_with('-') && word.len() > 1 && !only_operands => {
                    if valued.contains(&word.as_str()) {
                        rest.next();
                    }
                    arguments.options.push(word);
                }
                // What begins in an unknown way could be an option, but nobody writes scripts so.
                _ => arguments.operands.push(field.text.clone()),
            }
        }
        arguments
    }

    fn has(&self, short: char, long: &str) -> bool {
        self.options.iter().any(|option| match option.strip_prefix("--") {
            Some(name) => !long.is_empty() && name.split('=').next() == Some(long),
            None => option.contains(short),
        })
    }
}

impl Follower<'_, '_> {
    /// Runs a command: its first field is the name.
    pub(super) fn command(&mut self, fields: &[Field], line: usize) -> Result<Flow, Lost> {
        let Some((first, rest)) = fields.split_first() else { return Ok(Flow::Next) };
        let Some(name) = first.text.known().filter(|_| !first.maybe) else {
            self.unknown(fields, line);
            return Ok(Flow::Next);
        };
        if let Some(body) = self.function(&name) {
            return self.call(&body, rest.iter().map(|field| field.text.clone()).collect(), line);
        }
        if let Some(flow) = self.builtin(&name, rest, line)? {
            return Ok(flow);
        }
        let program = name.rsplit('/').next().unwrap_or_default();
        self.env.status = match program {
            "mv" => self.mv(rest, line),
            "cp" => self.cp(rest, line),
            "install" => self.install(rest, line),
            "rm" | "unlink" => self.rm(rest, line),
            "ln" => self.ln(rest, line),
            "sed" => self.sed(rest, line),
            "touch" => self.touch(rest, line),
            "tee" => self.tee(rest, line),
            "echo" => self.echo(rest),
            "printf" => self.printf(rest),
            "cat" => self.cat(rest),
            "sort" | "uniq" => {
                self.pass(rest);
                Truth::Yes
            }
            "basename" | "dirname" => self.part_of_path(program, rest),
            "mktemp" => self.mktemp(rest),
            "ls" => self.ls(rest),
            "find" => return self.find(rest, line),
            "xargs" => return self.xargs(rest, line),
            "mkdir" => self.mkdir(rest, line),
            "test" | "[" => self.test(program, rest),
            "true" => Truth::Yes,
            "false" => Truth::No,
            _ if HARMLESS.contains(&program) => {
                self.out.append(&Text::any());
                Truth::Maybe
            }
            _ => {
                self.unknown(fields, line);
                Truth::Maybe
            }
        };
        Ok(Flow::Next)
    }

    /// What the shell does itself.
    fn builtin(&mut self, name: &str, rest: &[Field], line: usize) -> Result<Option<Flow>, Lost> {
        let first = rest.first().and_then(|field| field.text.known());
        self.env.status = match name {
            ":" | "ulimit" | "alias" | "unalias" | "times" | "jobs" => Truth::Yes,
            "exit" | "return" => {
                self.env.status = match first.as_deref() {
                    Some("0") | None => Truth::Yes,
                    Some(_) => Truth::No,
                };
                return Ok(Some(if name == "exit" { Flow::Exit } else { Flow::Return }));
            }
            "break" | "continue" if first.is_none() => {
                return Ok(Some(if name == "break" { Flow::Break } else { Flow::Continue }));
            }
            "[[" => self.test("[[", rest),
            "command" | "builtin" | "env" | "nice" | "/usr/bin/env" => {
                if first.as_deref().is_some_and(|word| word.starts_with('-') || word.contains('=')) {
                    self.out.append(&Text::any());
                    Truth::Maybe
                } else {
                    return self.command(rest, line).map(Some);
                }
            }
            "exec" => {
                if rest.is_empty() {
                    Truth::Yes
                } else {
                    self.command(rest, line)?;
                    return Ok(Some(Flow::Exit));
                }
            }
            "eval" => {
                let words: Option<Vec<String>> = rest.iter().map(|field| field.text.known()).collect();
                match words {
                    Some(words) => return self.inner(&words.join(" "), line).map(Some),
                    None => self.lost(line)?,
                }
                Truth::Maybe
            }
            "trap" => {
                if let Some(words) = first.filter(|words| !words.is_empty() && words != "-") {
                    self.either(|me| me.inner(&words, line), |_| Ok(Flow::Next))?;
                }
                Truth::Yes
            }
            "." | "source" => {
                self.env.sourced = true;
                self.env.variables.values_mut().for_each(|value| *value = Text::any());
                Truth::Maybe
            }
            "cd" => self.cd(rest),
            "set" => {
                if let Some(at) = rest.iter().position(|field| field.text.known().as_deref() == Some("--")) {
                    self.env.positional = rest[at + 1..].iter().map(|field| field.text.clone()).collect();
                } else if rest.iter().any(|field| field.text.known().is_none_or(|word| ends_on_failure(&word))) {
                    self.lost(line)?;
                }
                Truth::Yes
            }
            "shift" if first.is_none() => {
                if !self.env.positional.is_empty() {
                    self.env.positional.remove(0);
                }
                Truth::Yes
            }
            "shift" | "break" | "continue" | "getopts" | "pushd" | "popd" | "select" | "mapfile" | "readarray" => {
                self.lost(line)?;
                Truth::Maybe
            }
            "unset" => {
                for name in rest.iter().filter_map(|field| field.text.known()) {
                    // Emptied: whether it was in the environment no longer matters.
                    self.env.variables.insert(name, Text::default());
                }
                Truth::Yes
            }
            "local" | "export" | "readonly" | "declare" | "typeset" => {
                for field in rest {
                    self.assign(&field.text);
                }
                Truth::Yes
            }
            "read" => self.read(rest),
            "type" | "hash" => {
                self.out.append(&Text::any());
                Truth::Maybe
            }
            _ if name.contains("+=") => {
                let (variable, _) = name.split_once("+=").unwrap_or_default();
                self.env.variables.insert(variable.to_owned(), Text::any());
                Truth::Yes
            }
            _ => return Ok(None),
        };
        Ok(Some(Flow::Next))
    }

    /// From here on, the script cannot be followed; if all is only looked over, it goes on.
    fn lost(&self, line: usize) -> Result<(), Lost> {
        if self.sweeps { Ok(()) } else { Err(Lost { line }) }
    }

    fn assign(&mut self, text: &Text) {
        let mut value = text.clone();
        let Some(Part::Known(begin)) = value.0.first_mut() else { return };
        if let Some((name, after)) = begin.clone().split_once('=') {
            after.clone_into(begin);
            self.env.variables.insert(name.to_owned(), value);
        }
    }

    fn read(&mut self, rest: &[Field]) -> Truth {
        let names: Vec<String> =
            rest.iter().filter_map(|field| field.text.known()).filter(|name| !name.starts_with('-')).collect();
        let input = self.env.input.clone().unwrap_or_else(Text::any);
        let Some(text) = input.known() else {
            for name in names {
                self.env.variables.insert(name, Text::any());
            }
            return Truth::Maybe;
        };
        if text.is_empty() {
            return Truth::No;
        }
        let (line, after) = text.split_once('\n').unwrap_or((&text, ""));
        self.env.input = Some(if after.is_empty() { Text::default() } else { after.into() });
        let mut left = line.trim();
        for (index, name) in names.iter().enumerate() {
            let value =
                if index + 1 == names.len() { left } else { left.split_ascii_whitespace().next().unwrap_or("") };
            self.env.variables.insert(name.clone(), if value.is_empty() { Text::default() } else { value.into() });
            left = left.get(value.len()..).unwrap_or("").trim_start();
        }
        Truth::Yes
    }

    fn cd(&mut self, rest: &[Field]) -> Truth {
        let target = rest.first().map(|field| self.absolute(&field.text)).and_then(|text| text.known());
        let truth = target.as_ref().map_or(Truth::Maybe, |path| self.env.world.is(path, "d"));
        if truth != Truth::No {
            self.env.directory = target;
        }
        truth
    }

    /// A program of which nothing is known: what it is given, and what it finds, may change.
    fn unknown(&mut self, fields: &[Field], line: usize) {
        let program = fields.first().and_then(|field| field.text.known()).unwrap_or_default();
        let program = program.rsplit('/').next().unwrap_or_default();
        let found = FINDERS.iter().find(|(name, _)| *name == program).map_or(&[][..], |(_, begins)| begins);
        for begin in found {
            let mut text = Text::from(*begin);
            text.append(&Text::any());
            self.may_change(&text, line);
        }
        for field in fields.iter().skip(1).filter(|field| !field.text.is_blind()) {
            // The value of an option may be a path, too.
            let text = match field.text.known() {
                Some(word) => match word.split_once('=') {
                    Some((_, value)) if value.starts_with('/') => value.into(),
                    _ if word.starts_with('-') => continue,
                    _ => field.text.clone(),
                },
                None => field.text.clone(),
            };
            let text = self.absolute(&text);
            self.may_change(&text, line);
        }
        self.out.append(&Text::any());
        self.env.status = Truth::Maybe;
    }

    /// Whatever a text may name may be changed.
    pub(super) fn may_change(&mut self, text: &Text, line: usize) {
        if text.is_blind() {
            self.blind.insert(line);
            return;
        }
        let blame = self.blame(line);
        for path in self.env.world.matching(text) {
            let may_be_there = self.env.world.exists(&path) == Truth::Yes || self.env.world.facts.system.covers(&path);
            if may_be_there && self.env.world.is(&path, "d") != Truth::Yes {
                self.env.world.put(&path, State::Unknown, Some(&blame));
            }
        }
    }

    /// A file is written, or written to its end.
    pub(super) fn write(&mut self, file: &Text, anew: bool, line: usize) {
        let file = self.absolute(file);
        let Some(path) = file.known() else { return self.may_change(&file, line) };
        if path.starts_with("/dev/") {
            return;
        }
        let state = match self.env.world.state(&path) {
            _ if self.env.world.is(&path, "l") != Truth::No && self.env.world.exists(&path) != Truth::No => {
                State::Unknown
            }
            State::Was(own) if !anew && own == path => State::Edited(own),
            State::Edited(own) if !anew => State::Edited(own),
            State::Unknown if !anew => State::Unknown,
            _ => State::Written,
        };
        let blame = self.blame(line);
        self.env.world.put(&path, state, Some(&blame));
    }

    /// The paths of operands; none if one of them is not certain, and then all may be changed.
    fn certain(&mut self, arguments: &Arguments, line: usize) -> Option<Vec<String>> {
        let texts: Vec<Text> = arguments.operands.iter().map(|text| self.absolute(text)).collect();
        let paths: Option<Vec<String>> = texts.iter().map(Text::known).collect();
        if paths.is_none() || !arguments.certain {
            for text in &texts {
                self.may_change(text, line);
            }
            // A directory that takes in what is not known holds unknown files then, but its own are not changed.
            return None;
        }
        paths
    }

    /// Whether a directory is at the last of the paths, and so takes the others in.
    fn place(&self, source: &str, target: &Text, path: &str) -> String {
        let into = self.env.world.is(path, "d") == Truth::Yes || target.known().is_some_and(|text| text.ends_with('/'));
        let name = source.rsplit('/').next().unwrap_or_default();
        if into { normal(&format!("{path}/{name}")) } else { path.to_owned() }
    }

    fn mv(&mut self, rest: &[Field], line: usize) -> Truth {
        let arguments = Arguments::new(rest, &["-S", "-t"]);
        self.carry(&arguments, false, line)
    }

    fn cp(&mut self, rest: &[Field], line: usize) -> Truth {
        let arguments = Arguments::new(rest, &["-S", "-t"]);
        self.carry(&arguments, true, line)
    }

    fn install(&mut self, rest: &[Field], line: usize) -> Truth {
        let arguments = Arguments::new(rest, &["-m", "-o", "-g", "-S", "-t"]);
        if arguments.has('d', "directory") { Truth::Yes } else { self.carry(&arguments, true, line) }
    }

    /// Moves or copies.
    fn carry(&mut self, arguments: &Arguments, keeps: bool, line: usize) -> Truth {
        let hesitates =
            arguments.has('u', "update") || arguments.has('i', "interactive") || arguments.has('t', "target-directory");
        let Some(paths) = self.certain(arguments, line) else { return Truth::Maybe };
        if hesitates {
            for path in &paths {
                self.may_change(&path.as_str().into(), line);
            }
            return Truth::Maybe;
        }
        let Some((target, sources)) = paths.split_last().filter(|(_, sources)| !sources.is_empty()) else {
            return Truth::No;
        };
        let Some(last) = arguments.operands.last() else { return Truth::No };
        let mut truth = Truth::Yes;
        for source in sources {
            let place = self.place(source, last, target);
            let one = self.carry_one(source, &place, arguments, keeps, line);
            if one != Truth::Yes {
                truth = one;
            }
        }
        truth
    }

    fn carry_one(&mut self, source: &str, place: &str, arguments: &Arguments, keeps: bool, line: usize) -> Truth {
        let blame = self.blame(line);
        let world = &mut self.env.world;
        let state = world.state(source);
        let there = world.exists(place);
        match world.exists(source) {
            Truth::No => return Truth::No,
            Truth::Maybe => {
                // Nothing is known of the source: it may be there or not.
                if !keeps && world.facts.system.covers(source) {
                    world.put(source, State::Unknown, Some(&blame));
                }
                let state = if arguments.has('n', "no-clobber") && there == Truth::Yes {
                    world.state(place)
                } else {
                    State::Unknown
                };
                world.put(place, state, Some(&blame));
                return Truth::Maybe;
            }
            Truth::Yes => {}
        }
        if source == place {
            return Truth::No;
        }
        if arguments.has('n', "no-clobber") {
            match there {
                Truth::Yes => return Truth::Maybe,
                Truth::Maybe => {
                    self.may_change(&source.into(), line);
                    self.env.world.put(place, State::Unknown, Some(&blame));
                    return Truth::Maybe;
                }
                Truth::No => {}
            }
        }
        if arguments.has('b', "backup") && there != Truth::No {
            let old = world.state(place);
            world.put(&format!("{place}~"), old, Some(&blame));
        }
        if world.is(source, "d") == Truth::Yes {
            return self.carry_directory(source, place, arguments, keeps, line);
        }
        let follows =
            keeps && !(arguments.has('a', "archive") || arguments.has('d', "") || arguments.has('P', "no-dereference"));
        let is_link = |path: &str| there == Truth::Yes && world.is(path, "l") == Truth::Yes;
        let state = if (follows && world.is(source, "l") != Truth::No) || (keeps && is_link(place)) {
            State::Unknown
        } else {
            state
        };
        world.put(place, state, Some(&blame));
        if !keeps {
            world.put(source, State::Missing, Some(&blame));
        }
        Truth::Yes
    }

    fn carry_directory(&mut self, source: &str, place: &str, arguments: &Arguments, keeps: bool, line: usize) -> Truth {
        if keeps && !(arguments.has('r', "recursive") || arguments.has('R', "") || arguments.has('a', "archive")) {
            return Truth::No;
        }
        let blame = self.blame(line);
        let world = &mut self.env.world;
        for path in world.below(source) {
            let state = world.state(&path);
            world.put(&format!("{place}{}", &path[source.len()..]), state, Some(&blame));
            if !keeps {
                world.put(&path, State::Missing, Some(&blame));
            }
        }
        let state = world.state(source);
        world.put(place, state, Some(&blame));
        if !keeps {
            world.put(source, State::Missing, Some(&blame));
        }
        Truth::Yes
    }

    fn rm(&mut self, rest: &[Field], line: usize) -> Truth {
        let arguments = Arguments::new(rest, &[]);
        let Some(paths) = self.certain(&arguments, line) else { return Truth::Maybe };
        let (forced, whole) = (arguments.has('f', "force"), arguments.has('r', "recursive") || arguments.has('R', ""));
        let blame = self.blame(line);
        let mut truth = Truth::Yes;
        for path in paths {
            let world = &mut self.env.world;
            match world.exists(&path) {
                Truth::No if forced => continue,
                Truth::No => {
                    truth = Truth::No;
                    continue;
                }
                Truth::Maybe if !forced => truth = Truth::Maybe,
                _ => {}
            }
            match world.is(&path, "d") {
                Truth::Yes if !whole => truth = Truth::No,
                Truth::Yes => {
                    for inside in world.below(&path) {
                        world.put(&inside, State::Missing, Some(&blame));
                    }
                    world.put(&path, State::Missing, Some(&blame));
                }
                _ => world.put(&path, State::Missing, Some(&blame)),
            }
        }
        truth
    }

    fn ln(&mut self, rest: &[Field], line: usize) -> Truth {
        let arguments = Arguments::new(rest, &["-S", "-t"]);
        // What a link leads to is not changed.
        let Some(last) = arguments.operands.last() else { return Truth::No };
        let target = self.absolute(last);
        let (Some(path), Some(source)) = (target.known(), arguments.operands.first().and_then(Text::known)) else {
            self.may_change(&target, line);
            return Truth::Maybe;
        };
        let place = if arguments.operands.len() < 2 {
            self.absolute(&source.rsplit('/').next().unwrap_or_default().into()).known().unwrap_or_default()
        } else {
            self.place(&source, last, &path)
        };
        if self.env.world.exists(&place) == Truth::Yes && !arguments.has('f', "force") {
            return Truth::No;
        }
        let state = if arguments.has('f', "force") || self.env.world.exists(&place) == Truth::No {
            State::Written
        } else {
            State::Unknown
        };
        let blame = self.blame(line);
        self.env.world.put(&place, state, Some(&blame));
        Truth::Yes
    }

    fn sed(&mut self, rest: &[Field], line: usize) -> Truth {
        let in_place = rest.iter().filter_map(|field| field.text.known()).find_map(|word| {
            let suffix = word.strip_prefix("--in-place").map(|suffix| suffix.trim_start_matches('='));
            let short = || {
                word.strip_prefix('-')
                    .filter(|_| !word.starts_with("--"))
                    .and_then(|letters| letters.split_once('i'))
                    .map(|(_, suffix)| suffix)
            };
            suffix.or_else(short).map(str::to_owned)
        });
        let Some(suffix) = in_place else {
            self.out.append(&Text::any());
            return Truth::Maybe;
        };
        let mut arguments = Arguments::new(rest, &["-e", "-f", "--expression", "--file", "-l"]);
        let has_script = arguments.options.iter().any(|option| {
            option.starts_with("--expression")
                || option.starts_with("--file")
                || (!option.starts_with("--")
                    && !option.starts_with("-i")
                    && (option.contains('e') || option.contains('f')))
        });
        if !has_script && !arguments.operands.is_empty() {
            arguments.operands.remove(0);
        }
        let Some(paths) = self.certain(&arguments, line) else { return Truth::Maybe };
        let mut truth = Truth::Yes;
        for path in paths {
            if self.env.world.exists(&path) == Truth::No {
                truth = Truth::No;
                continue;
            }
            if !suffix.is_empty() {
                let old = self.env.world.state(&path);
                let blame = self.blame(line);
                self.env.world.put(&format!("{path}{suffix}"), old, Some(&blame));
            }
            self.write(&path.as_str().into(), false, line);
        }
        truth
    }

    fn touch(&mut self, rest: &[Field], line: usize) -> Truth {
        let arguments = Arguments::new(rest, &["-d", "-r", "-t"]);
        for text in &arguments.operands {
            let text = self.absolute(text);
            if let Some(path) = text.known().filter(|path| self.env.world.exists(path) == Truth::No) {
                self.write(&path.as_str().into(), true, line);
            }
        }
        Truth::Yes
    }

    fn mkdir(&mut self, rest: &[Field], line: usize) -> Truth {
        let arguments = Arguments::new(rest, &["-m"]);
        let blame = self.blame(line);
        for text in &arguments.operands {
            if let Some(path) = self.absolute(text).known().filter(|path| self.env.world.exists(path) == Truth::No) {
                self.env.world.put(&path, State::Unknown, Some(&blame));
            }
        }
        Truth::Yes
    }

    fn tee(&mut self, rest: &[Field], line: usize) -> Truth {
        let arguments = Arguments::new(rest, &[]);
        for text in &arguments.operands {
            self.write(text, !arguments.has('a', "append"), line);
        }
        self.out.append(&Text::any());
        Truth::Yes
    }

    fn echo(&mut self, rest: &[Field]) -> Truth {
        let mut rest = rest;
        let mut newline = "\n";
        while let Some((first, after)) = rest.split_first() {
            match first.text.known().as_deref() {
                Some("-n") => newline = "",
                Some("-e" | "-E") => {}
                _ => break,
            }
            rest = after;
        }
        for (index, field) in rest.iter().enumerate() {
            self.out.push(if index > 0 { " " } else { "" });
            self.out.append(&field.text);
        }
        self.out.push(newline);
        Truth::Yes
    }

    fn printf(&mut self, rest: &[Field]) -> Truth {
        let Some((format, values)) = rest.split_first() else { return Truth::No };
        let after = match format.text.known().as_deref() {
            Some("%s\\n") => "\n",
            Some("%s ") => " ",
            Some("%s") => "",
            _ => {
                self.out.append(&Text::any());
                return Truth::Yes;
            }
        };
        for field in values {
            self.out.append(&field.text);
            self.out.push(after);
        }
        Truth::Yes
    }

    /// The input, or what is in files, which is not known.
    fn pass(&mut self, rest: &[Field]) {
        let has_files =
            rest.iter().any(|field| field.text.known().is_none_or(|word| !word.starts_with('-') || word == "-o"));
        let input = if has_files { Text::any() } else { self.env.input.take().unwrap_or_else(Text::any) };
        self.out.append(&input);
    }

    fn cat(&mut self, rest: &[Field]) -> Truth {
        self.pass(rest);
        let missing = rest.iter().any(|field| {
            self.absolute(&field.text).known().is_some_and(|path| self.env.world.exists(&path) == Truth::No)
        });
        if missing {
            Truth::No
        } else if rest.is_empty() {
            Truth::Yes
        } else {
            Truth::Maybe
        }
    }

    fn part_of_path(&mut self, program: &str, rest: &[Field]) -> Truth {
        let mut words = rest.iter().filter(|field| field.text.known().as_deref() != Some("--"));
        let (path, suffix) = (words.next(), words.next().and_then(|field| field.text.known()));
        let known = path.and_then(|field| field.text.known()).filter(|path| !path.starts_with('-'));
        let Some(path) = known else {
            self.out.append(&Text::any());
            return Truth::Yes;
        };
        let path = path.trim_end_matches('/');
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        let suffix = suffix.unwrap_or_default();
        let name = name.strip_suffix(suffix.as_str()).filter(|name| !name.is_empty()).unwrap_or(name);
        self.out.push(if program == "basename" {
            name
        } else if parent.is_empty() {
            "/"
        } else {
            parent
        });
        self.out.push("\n");
        Truth::Yes
    }

    fn mktemp(&mut self, rest: &[Field]) -> Truth {
        let template = rest.iter().filter_map(|field| field.text.known()).find(|word| word.contains("XXX"));
        let begin = template.as_deref().map(|word| word.trim_end_matches(|letter| letter != 'X').trim_end_matches('X'));
        // Such a file is nobody's configuration.
        self.out.push(begin.unwrap_or("/tmp/tmp."));
        self.out.append(&Text::any());
        Truth::Yes
    }

    fn ls(&mut self, rest: &[Field]) -> Truth {
        let arguments = Arguments::new(rest, &[]);
        let simple = arguments.options.iter().all(|option| option.chars().all(|letter| "-1dA".contains(letter)));
        let paths: Option<Vec<String>> = arguments.operands.iter().map(|text| self.absolute(text).known()).collect();
        let Some(paths) = paths.filter(|paths| simple && arguments.certain && !paths.is_empty()) else {
            self.out.append(&Text::any());
            return Truth::Maybe;
        };
        let mut truth = Truth::Yes;
        for (path, shown) in paths.iter().zip(&arguments.operands) {
            match self.env.world.exists(path) {
                Truth::No => truth = Truth::No,
                Truth::Yes if arguments.has('d', "directory") || self.env.world.is(path, "d") == Truth::No => {
                    self.out.append(shown);
                    self.out.push("\n");
                }
                Truth::Yes if paths.len() == 1 && self.env.world.facts.system.covers(&format!("{path}/x")) => {
                    let begin = format!("{path}/");
                    for inside in self.env.world.below(path) {
                        let name = &inside[begin.len()..];
                        if !name.contains('/') && (!name.starts_with('.') || arguments.has('A', "")) {
                            self.out.push(&format!("{name}\n"));
                        }
                    }
                }
                _ => {
                    self.out.append(&Text::any());
                    truth = Truth::Maybe;
                }
            }
        }
        truth
    }
}

/// Whether `set` makes a script end when a command fails: then every command is a condition.
fn ends_on_failure(word: &str) -> bool {
    word == "errexit"
        || word == "noglob"
        || (word.starts_with('-') && !word.starts_with("--") && word.contains(['e', 'f']))
}
