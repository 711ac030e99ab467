//! A drift as people read it.

use super::difference::{Change, Drift, How, PackageChange};
use super::inventory::Entry;
use std::fmt;

/// Drift that is told together, worst first.
const GROUPS: [(How, &str); 4] = [
    (How::Removed, "Removed"),
    (How::Changed, "Changed"),
    (How::Attributes, "Other mode or owner"),
    (How::Added, "Added"),
];

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Configuration of {} between {:.0} and {:.0}:", self.machine, self.before, self.after)?;
        if self.is_empty() {
            writeln!(f, "nothing changed on its disk.")?;
        }
        for (how, title) in GROUPS {
            let changes: Vec<_> = self.changes.iter().filter(|change| change.how == how).collect();
            if !changes.is_empty() {
                writeln!(f, "\n{title} ({}):", changes.len())?;
            }
            for change in changes {
                write!(f, "{change}")?;
            }
        }
        let claims = self.changes.iter().filter(|change| change.how == How::Claims).count();
        if claims > 0 {
            writeln!(f, "\nThe same on disk, but packages say other things about them: {claims}")?;
        }
        if !self.packages.is_empty() {
            writeln!(f, "\nPackages ({}):", self.packages.len())?;
        }
        self.packages.iter().try_for_each(|package| writeln!(f, "  {package}"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.path)?;
        writeln!(f, "      {}", self.words())?;
        for second in &self.seconds {
            writeln!(f, "      {} holds {}", second.path, second.holds)?;
        }
        if let Some(step) = &self.step {
            match step.number {
                Some(number) => writeln!(f, "      by {}, step {number} of {}", step.package, step.of)?,
                None => writeln!(f, "      by {}, %posttrans after {} steps", step.package, step.of)?,
            }
        }
        let lines = self.diff.iter().flat_map(|diff| diff.lines());
        // The first two lines name the file, which stands above.
        lines.skip(2).try_for_each(|line| writeln!(f, "      {line}"))
    }
}

impl Change {
    fn words(&self) -> String {
        let mut words = vec![self.ownership()];
        if let (Some(before), Some(after)) = (&self.before, &self.after) {
            if before.what.kind() != after.what.kind() {
                words.push(format!("{} → {}", before.what.kind(), after.what.kind()));
            } else if self.how == How::Changed && self.diff.is_none() {
                words.push("its content differs, and is not shown".into());
            }
        }
        words.extend(self.attributes());
        words.extend(self.second_of.as_ref().map(|first| format!("a second file of {first}")));
        words.join("; ")
    }

    fn ownership(&self) -> String {
        let flags = |entry: &Option<Entry>| {
            let claims = entry.iter().flat_map(|entry| &entry.claims);
            claims.map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        let names = |owners: &[String], flags: String| match owners {
            [] => "no package's".to_owned(),
            [one] => match flags.split_once(' ') {
                Some((_, flags)) => format!("{one}'s {flags}"),
                None => format!("{one}'s"),
            },
            _ => format!("{} ({flags})", owners.join(", ")),
        };
        let before = names(&self.owners_before, flags(&self.before));
        let after = names(&self.owners_after, flags(&self.after));
        match (&self.before, &self.after) {
            (Some(_), None) => format!("was {before}"),
            (None, Some(_)) => after,
            _ if before == after => after,
            _ => format!("{before} → {after}"),
        }
    }
}

impl fmt::Display for PackageChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{} {before} → {after}", self.name),
            (Some(before), None) => write!(f, "{} {before} went", self.name),
            (None, Some(after)) => write!(f, "{} {after} came", self.name),
            (None, None) => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
