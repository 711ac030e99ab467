//! A walk through a stack, as PAM's dispatcher does it (`_pam_dispatch_aux`), for a user whom only the directory knows.

use super::Entry;
use crate::mail::diagnosis::evidence::Evidence;
use std::collections::BTreeSet;

/// Modules that know users from elsewhere than the machine itself, beside `pam_sss`.
const PROVIDERS: [&str; 9] = [
    "pam_ldap.so",
    "pam_winbind.so",
    "pam_krb5.so",
    "pam_mysql.so",
    "pam_pgsql.so",
    "pam_radius_auth.so",
    "pam_userdb.so",
    "pam_pwdfile.so",
    "pam_oath.so",
];

/// Modules that decide nothing.
const NEUTRAL: [&str; 7] = [
    "pam_env.so",
    "pam_warn.so",
    "pam_faildelay.so",
    "pam_echo.so",
    "pam_cap.so",
    "pam_gnome_keyring.so",
    "pam_ecryptfs.so",
];

/// What a module answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Success,
    Ignore,
    UserUnknown,
    AuthErr,
    PermDenied,
    ModuleUnknown,
}

impl Code {
    /// Its name in a control between brackets.
    fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Ignore => "ignore",
            Self::UserUnknown => "user_unknown",
            Self::AuthErr => "auth_err",
            Self::PermDenied => "perm_denied",
            Self::ModuleUnknown => "module_unknown",
        }
    }
}

/// What PAM does with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Ignore,
    Ok,
    Done,
    Bad,
    Die,
    Reset,
    Jump(usize),
}

impl Action {
    fn of(control: &str, code: Code) -> Self {
        let is_good = code == Code::Success;
        match control.to_ascii_lowercase().as_str() {
            "required" | "requisite" | "sufficient" | "optional" if code == Code::Ignore => Self::Ignore,
            "required" => {
                if is_good {
                    Self::Ok
                } else {
                    Self::Bad
                }
            }
            "requisite" => {
                if is_good {
                    Self::Ok
                } else {
                    Self::Die
                }
            }
            "sufficient" => {
                if is_good {
                    Self::Done
                } else {
                    Self::Ignore
                }
            }
            "optional" => {
                if is_good {
                    Self::Ok
                } else {
                    Self::Ignore
                }
            }
            list => {
                let action = |name: &str| {
                    list.split_whitespace().filter_map(|word| word.split_once('=')).find(|(value, _)| *value == name)
                };
                let (_, word) = action(code.name()).or_else(|| action("default")).unwrap_or(("", "bad"));
                match word {
                    "ignore" => Self::Ignore,
                    "ok" => Self::Ok,
                    "done" => Self::Done,
                    "die" => Self::Die,
                    "reset" => Self::Reset,
                    number => number.parse().map_or(Self::Bad, Self::Jump),
                }
            }
        }
    }
}

/// What came of a phase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::mail::diagnosis) struct Walk<'a> {
    /// Whether the phase ends well.
    pub(in crate::mail::diagnosis) lets_in: bool,
    /// The modules that were called.
    pub(in crate::mail::diagnosis) called: Vec<&'a str>,
    /// The first module whose answer made it fail, and its file.
    pub(in crate::mail::diagnosis) refused_by: Option<(&'a str, &'a str)>,
    /// Modules that are named and not installed, where that counts, and their files.
    pub(in crate::mail::diagnosis) missing: Vec<(&'a str, &'a str)>,
    /// Files that are included and not there, and who includes them.
    pub(in crate::mail::diagnosis) absent: Vec<(&'a str, &'a str)>,
}

impl Walk<'_> {
    pub(in crate::mail::diagnosis) fn asks_sssd(&self) -> bool {
        self.called.contains(&"pam_sss.so")
    }

    /// Whether anything is asked that knows users of another place than this machine.
    pub(in crate::mail::diagnosis) fn asks_elsewhere(&self) -> bool {
        self.asks_sssd() || self.called.iter().any(|module| PROVIDERS.contains(module))
    }
}

/// Walks through a stack.
pub(super) fn walk<'a>(stack: &[Entry<'a>], world: &World<'_>) -> Walk<'a> {
    let mut walk = Walk::default();
    walk.lets_in = frame(stack, world, &mut walk) == Some(true);
    walk
}

/// What the modules stand before.
pub(super) struct World<'e> {
    phase: &'e str,
    /// Whether the machine has names of the directory's users (nsswitch.conf).
    knows_names: bool,
    evidence: &'e Evidence,
    /// Modules that cannot be opened.
    faulty: &'e BTreeSet<String>,
}

impl<'e> World<'e> {
    pub(super) fn new(phase: &'e str, evidence: &'e Evidence, faulty: &'e BTreeSet<String>, is_nameless: bool) -> Self {
        Self { phase, knows_names: !is_nameless && knows_names(evidence), evidence, faulty }
    }

    fn answer(&self, module: &str) -> Code {
        match module {
            "pam_unix.so" | "pam_unix2.so" | "pam_pwdb.so" => match (self.phase, self.knows_names) {
                ("auth", _) => Code::AuthErr,
                (_, true) => Code::Success,
                (_, false) => Code::UserUnknown,
            },
            "pam_deny.so" | "pam_rootok.so" => Code::AuthErr,
            "pam_localuser.so" => Code::PermDenied,
            _ if NEUTRAL.contains(&module) => Code::Ignore,
            // `pam_sss` and what is not known here: it is not to be blamed.
            _ => Code::Success,
        }
    }

    fn is_installed(&self, module: &str) -> bool {
        !self.faulty.contains(module) && self.evidence.modules.as_ref().is_none_or(|modules| modules.contains(module))
    }
}

/// Without nsswitch.conf in the evidence, nothing is held against the files.
fn knows_names(evidence: &Evidence) -> bool {
    let Some(text) = evidence.text("/etc/nsswitch.conf") else { return true };
    let passwd = text.lines().filter_map(|line| line.trim().strip_prefix("passwd:"));
    passwd.flat_map(str::split_whitespace).any(|word| ["sss", "ldap", "winbind"].contains(&word))
}

/// Walks through one stack: well, badly, or nothing was decided.
fn frame<'a>(stack: &[Entry<'a>], world: &World<'_>, walk: &mut Walk<'a>) -> Option<bool> {
    let (mut impression, mut skip) = (None, 0);
    for entry in stack {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let (control, code, blamed) = match entry {
            Entry::Call { control, module, file, optional } if !world.is_installed(module) => {
                if *optional {
                    continue;
                }
                walk.missing.push((module, file));
                (*control, Code::ModuleUnknown, (*module, *file))
            }
            Entry::Call { control, module, file, .. } => {
                walk.called.push(module);
                (*control, world.answer(module), (*module, *file))
            }
            Entry::Missing { name, file } => {
                walk.absent.push((name, file));
                ("required", Code::PermDenied, (*name, *file))
            }
            Entry::Substack(entries) => {
                match frame(entries, world, walk) {
                    Some(true) if impression.is_none() => impression = Some(true),
                    Some(false) => impression = Some(false),
                    _ => {}
                }
                continue;
            }
        };
        match Action::of(control, code) {
            Action::Ignore => {}
            Action::Reset => impression = None,
            Action::Jump(count) => skip = count,
            Action::Ok => impression = impression.or(Some(true)),
            Action::Done => {
                impression = impression.or(Some(true));
                if impression == Some(true) {
                    return impression;
                }
            }
            action @ (Action::Bad | Action::Die) => {
                impression = Some(false);
                walk.refused_by = walk.refused_by.or(Some(blamed));
                if action == Action::Die {
                    return impression;
                }
            }
        }
    }
    impression
}
