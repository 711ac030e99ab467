//! The control file of a Debian package.

use super::relation::{Alternatives, parse};
use std::collections::BTreeMap;

/// The fields that we use, of the one paragraph that a control file has (deb-control(5)).
#[derive(Debug, Clone)]
pub(super) struct Control {
    pub(super) package: String,
    pub(super) version: String,
    /// Whether it is the same on every architecture.
    pub(super) all_architectures: bool,
    /// The first line of the description.
    pub(super) summary: String,
    pub(super) section: String,
    pub(super) pre_depends: Vec<Alternatives>,
    pub(super) depends: Vec<Alternatives>,
    pub(super) provides: Vec<Alternatives>,
    pub(super) breaks: Vec<Alternatives>,
    pub(super) conflicts: Vec<Alternatives>,
    pub(super) replaces: Vec<Alternatives>,
}

impl Control {
    /// Reads a control file; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields = fields(text);
        let optional = |name: &str| fields.get(name).map_or("", String::as_str);
        let needed = |name: &str| match optional(name) {
            "" => Err(format!("its control file has no `{name}`")),
            value => Ok(value.to_owned()),
        };
        let relations = |name: &str| parse(optional(name)).map_err(|error| format!("{name}: {error}"));
        Ok(Self {
            package: needed("Package")?,
            version: needed("Version")?,
            all_architectures: needed("Architecture")? == "all",
            summary: optional("Description").lines().next().unwrap_or_default().to_owned(),
            section: optional("Section").to_owned(),
            pre_depends: relations("Pre-Depends")?,
            depends: relations("Depends")?,
            provides: relations("Provides")?,
            breaks: relations("Breaks")?,
            conflicts: relations("Conflicts")?,
            replaces: relations("Replaces")?,
        })
    }
}

/// The fields of a paragraph; a line that begins with a blank goes on with the field before.
fn fields(text: &str) -> BTreeMap<&str, String> {
    let mut fields: BTreeMap<&str, String> = BTreeMap::new();
    let mut last = None;
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some(value) = last.and_then(|name| fields.get_mut(name)) {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.insert(name, value.trim().to_owned());
            last = Some(name);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_read() {
        let text = "Package: postfix\nVersion: 3.7.11-0+deb12u1\nArchitecture: amd64\nDepends: libc6 (>= 2.34),\n netbase\n\
                    Section: mail\nDescription: High-performance mail transport agent\n Postfix is …\n";
        let control = Control::parse(text).unwrap();
        assert_eq!((control.package.as_str(), control.all_architectures), ("postfix", false));
        assert_eq!(control.summary, "High-performance mail transport agent");
        assert_eq!(control.depends.len(), 2);
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = Control::parse("Package: x\nArchitecture: all\n").unwrap_err();
        assert_eq!(error, "its control file has no `Version`");
    }
}
