//! Versions: Debian's, and what they are called in rpm.

use std::fmt;

/// A version as rpm knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Evr {
    /// Beats version and release; none is the same as 0.
    pub epoch: Option<u32>,
    /// What upstream calls it.
    pub version: String,
    /// The packager's count; `0` where Debian has none.
    pub release: String,
}

impl Evr {
    /// The version of a package with this `Version:` (deb-version(7), `[epoch:]upstream[-revision]`).
    ///
    /// rpm allows a hyphen in neither part, so those of the upstream version become dots. A version without a revision gets
    /// release 0, which Debian's own order takes for the same.
    #[must_use]
    pub fn of_debian(version: &str) -> Self {
        let (epoch, upstream, revision) = parts(version);
        Self { epoch, version: upstream.replace('-', "."), release: revision.unwrap_or("0").to_owned() }
    }

    /// Version and release, as they stand in a file's name.
    #[must_use]
    pub fn without_epoch(&self) -> String {
        format!("{}-{}", self.version, self.release)
    }
}

impl fmt::Display for Evr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(epoch) = self.epoch {
            write!(f, "{epoch}:")?;
        }
        write!(f, "{}-{}", self.version, self.release)
    }
}

/// The version in a relation such as `>= 1:2.3-4`, for rpm. Without a revision there is no release: rpm then compares
/// none.
pub(super) fn in_relation(version: &str) -> String {
    let (epoch, upstream, revision) = parts(version);
    let epoch = epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
    let revision = revision.map(|revision| format!("-{revision}")).unwrap_or_default();
    format!("{epoch}{}{revision}", upstream.replace('-', "."))
}

/// Whether a version in a relation has a revision.
pub(super) fn has_revision(version: &str) -> bool {
    parts(version).2.is_some()
}

fn parts(version: &str) -> (Option<u32>, &str, Option<&str>) {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().ok(), rest),
        None => (None, version),
    };
    match rest.rsplit_once('-') {
        Some((upstream, revision)) => (epoch, upstream, Some(revision)),
        None => (epoch, rest, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::plain("2.36-9+deb12u10", "2.36-9+deb12u10")]
    #[case::epoch("1:9.2p1-2", "1:9.2p1-2")]
    #[case::native("12.4", "12.4-0")]
    #[case::hyphens_upstream("2.4+20151223.gitfa8646d.1-2+b5", "2.4+20151223.gitfa8646d.1-2+b5")]
    #[case::a_hyphen_upstream("1.0-rc1-3", "1.0.rc1-3")]
    #[case::tilde("3.5.9-1~deb13u1", "3.5.9-1~deb13u1")]
    fn packages_are_versioned(#[case] debian: &str, #[case] rpm: &str) {
        assert_eq!(Evr::of_debian(debian).to_string(), rpm);
    }

    #[rstest]
    #[case("2.36", "2.36")]
    #[case("1:2.36-3", "1:2.36-3")]
    #[case("1.0-rc1-3~", "1.0.rc1-3~")]
    fn relations_keep_what_they_leave_open(#[case] debian: &str, #[case] rpm: &str) {
        assert_eq!(in_relation(debian), rpm);
    }
}
