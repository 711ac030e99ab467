//! The cases: how a packager may treat a file in two releases, and what an administrator may do with it in between.

use std::fmt;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thing {
    /// Nothing.
    Nothing,
    /// A regular file with this content.
    File(String),
    /// A symbolic link to this target.
    Link(String),
    /// A directory.
    Directory,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::File(content) => write!(f, "a file of {content:?}"),
            Self::Link(target) => write!(f, "a link to {target:?}"),
            Self::Directory => f.write_str("a directory"),
        }
    }
}

/// A file as one release packages it.
#[derive(Debug, Clone)]
pub(super) struct Packaged {
    /// The directive of the spec file, such as `%config(noreplace)`.
    pub(super) directive: &'static str,
    /// What is in the package; for a `%ghost`, what it could be.
    pub(super) thing: Thing,
    /// `_binary_filedigest_algorithm`: 1 for MD5, 8 for SHA-256.
    pub(super) algorithm: u8,
}

impl Packaged {
    pub(super) fn is_ghost(&self) -> bool {
        self.directive.contains("%ghost")
    }
}

/// Who has the file in the second release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heir {
    /// The same package.
    Itself,
    /// A package that obsoletes it.
    Obsoleter,
    /// A new package that the second release of the same one requires.
    Part,
    /// A package that conflicts with it, which makes it go.
    Enemy,
    /// No package: the repository has nothing for it, so it stays.
    Nobody,
}

/// One way to treat a file in two releases.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) old: Option<Packaged>,
    pub(super) heir: Heir,
    pub(super) new: Option<Packaged>,
}

/// What the administrator does with a file between the releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Nothing.
    Untouched,
    /// Writes something of their own.
    Edited,
    /// Writes what the second release will bring.
    AlreadyNew,
    /// Deletes it.
    Deleted,
    /// Puts a link to somewhere else in its place.
    Linked,
    /// Puts a directory with a file in its place. For this, each case has a package of its own: rpm may fail on it.
    Directory,
}

impl Deed {
    pub(super) const ALL: [Self; 6] =
        [Self::Untouched, Self::Edited, Self::AlreadyNew, Self::Deleted, Self::Linked, Self::Directory];

    /// The name of the file that it is done to.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Edited => "edited",
            Self::AlreadyNew => "already-new",
            Self::Deleted => "deleted",
            Self::Linked => "linked",
            Self::Directory => "directory",
        }
    }
}

impl Case {
    /// Where the file of a deed is.
    pub(super) fn path(&self, deed: Deed) -> String {
        format!("/etc/fate/{}/{}", self.name, deed.name())
    }

    /// Whether the deed makes a difference here.
    pub(super) fn has(&self, deed: Deed) -> bool {
        match deed {
            Deed::Untouched => self.old.is_some(),
            Deed::AlreadyNew => self.new.is_some(),
            _ => true,
        }
    }

    /// What the second release brings to the place, if anything.
    pub(super) fn brought(&self) -> Thing {
        self.new.as_ref().filter(|new| !new.is_ghost()).map_or(Thing::Nothing, |new| new.thing.clone())
    }
}

const CARES: [(&str, &str); 3] = [("plain", ""), ("config", "%config"), ("noreplace", "%config(noreplace)")];

fn file(directive: &'static str, content: &str, algorithm: u8) -> Packaged {
    Packaged { directive, thing: Thing::File(format!("{content}\n")), algorithm }
}

fn link(directive: &'static str, target: &str) -> Packaged {
    Packaged { directive, thing: Thing::Link(target.to_owned()), algorithm: 8 }
}

/// All cases.
pub(super) fn all() -> Vec<Case> {
    let mut cases = in_both();
    cases.extend(leaving());
    cases.extend(arriving());
    cases.extend(special());
    cases
}

/// The same package has the file in both releases: every care, with changes of content and digest algorithm.
fn in_both() -> Vec<Case> {
    let mut cases = Vec::new();
    for (before, old) in CARES {
        for (after, new) in CARES {
            for (change, content) in [("same", "old"), ("changed", "new")] {
                for (digests, algorithms) in [("md5", (1, 1)), ("md5-sha256", (1, 8)), ("sha256", (8, 8))] {
                    cases.push(Case {
                        name: format!("{before}-to-{after}-{change}-{digests}"),
                        old: Some(file(old, "old", algorithms.0)),
                        heir: Heir::Itself,
                        new: Some(file(new, content, algorithms.1)),
                    });
                }
            }
        }
    }
    cases
}

/// The file is dropped, or its package goes, or another package has it.
fn leaving() -> Vec<Case> {
    let more = [
        ("missingok", "%config(missingok)"),
        ("ghost", "%ghost"),
        ("ghost-config", "%ghost %config"),
        ("ghost-noreplace", "%ghost %config(noreplace)"),
    ];
    let mut cases = Vec::new();
    for (care, directive) in CARES.into_iter().chain(more) {
        let mut add = |how: &str, heir, new| {
            cases.push(Case { name: format!("{care}-{how}"), old: Some(file(directive, "old", 8)), heir, new });
        };
        add("dropped", Heir::Itself, None);
        add("obsoleted", Heir::Obsoleter, None);
        add("driven-out", Heir::Enemy, None);
        add("orphaned", Heir::Nobody, None);
        add("obsoleted-by-owner", Heir::Obsoleter, Some(file(directive, "new", 8)));
        add("moved-to-part", Heir::Part, Some(file(directive, "new", 8)));
    }
    cases
}

/// The file belongs to no package in the first release.
fn arriving() -> Vec<Case> {
    let more = [("ghost", "%ghost"), ("ghost-config", "%ghost %config")];
    let case = |(care, directive)| Case {
        name: format!("unowned-to-{care}"),
        old: None,
        heir: Heir::Itself,
        new: Some(file(directive, "new", 8)),
    };
    CARES.into_iter().chain(more).map(case).collect()
}

/// Links, ghosts and missingok.
fn special() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add =
        |name: String, old, new| cases.push(Case { name, old: Some(old), heir: Heir::Itself, new: Some(new) });
    for (care, directive) in CARES {
        add(format!("{care}-link-same"), link(directive, "old"), link(directive, "old"));
        add(format!("{care}-link-changed"), link(directive, "old"), link(directive, "new"));
        add(format!("{care}-file-to-link"), file(directive, "old", 8), link(directive, "new"));
        add(format!("{care}-link-to-file"), link(directive, "old"), file(directive, "new", 8));
        add(format!("{care}-to-ghost"), file(directive, "old", 8), file("%ghost", "new", 8));
        add(format!("ghost-to-{care}"), file("%ghost", "old", 8), file(directive, "new", 8));
    }
    add("missingok".into(), file("%config(missingok)", "old", 8), file("%config(missingok)", "new", 8));
    add("ghost-config-to-config".into(), file("%ghost %config", "old", 8), file("%config", "new", 8));
    cases
}
