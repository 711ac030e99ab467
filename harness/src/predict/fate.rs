//! rpm's decision about one file, as a pure function of three things: what the installed package says of it, what the
//! coming package says, and what is on disk.
//!
//! The rules are those of rpm 4.11 to 4.20 (where they differ, of the later ones), from its sources: `rpmfilesDecideFate` and `rpmfilesConfigConflict` in
//! lib/rpmfi.c, their callers `handleInstInstalledFile` and `handleOverlappedFiles` in lib/transaction.c, and the suffixes
//! of backups in lib/fsm.c. `cargo xtask selftest predict` compares them with what an installed rpm really does.

#[cfg(test)]
mod tests;

use super::disk::OnDisk;
use super::entry::{Care, Content, FileEntry};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What becomes of a file. Ordered from the worst to nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// A file that differs from what the package brought is removed, and no copy is kept.
    ///
    /// The package goes, or its new version has the file no more. For a file that is not `%config`, `handleOverlappedFiles`
    /// chooses plain erasure without a look at the disk; a `%ghost` that is not `%config` goes the same way.
    DeletedWithoutBackup,
    /// A file that differs from what the packages bring is replaced, and no copy is kept.
    ///
    /// Neither the old nor the new package marks it `%config`, so nobody asks `rpmfilesDecideFate`, and it is created anew.
    /// A file that belonged to no package is lost in the same way when a package brings one that is not `%config`.
    OverwrittenWithoutBackup,
    /// rpm cannot put a file where a directory is: the upgrade of the package fails while it is unpacked.
    Blocked,
    /// A scriptlet touches the file, and what it does with it cannot be told.
    Unknown,
    /// The package's new file is in force, the changed one is beside it as `.rpmsave`.
    ///
    /// `rpmfilesDecideFate`: the file on disk is neither the old nor the new one, the two differ (or cannot be compared,
    /// since their digests have different algorithms, or it is `%config` no more), and the new package does not say `noreplace`.
    ReplacedWithRpmsave,
    /// The package's file is in force, one that belonged to no package is beside it as `.rpmorig`.
    ///
    /// `rpmfilesConfigConflict` for a path that no installed package has, when the new file is `%config`.
    ReplacedWithRpmorig,
    /// The file is gone from its place; the changed content is beside it as `.rpmsave`.
    ///
    /// `rpmfilesConfigConflict` for a `%config` file of a package that goes: what differs from the package's is renamed.
    RemovedWithRpmsave,
    /// A scriptlet moves the file elsewhere: it is no longer in force, and its content is there.
    Moved,
    /// The file stays, and another one that comes is read in its place.
    Shadowed,
    /// The file stays, but no package has it, or its directory, any more: what read it is gone, or reads something else.
    LeftBehind,
    /// A scriptlet edits the file in its place, as `sed -i` does; no copy is kept.
    Edited,
    /// A scriptlet writes the file, which belongs to no package, anew; that of the installed version wrote it as well. What
    /// somebody changed in it since then is gone, and whether somebody did cannot be told.
    Rewritten,
    /// The changed file stays in force, the package's new one is beside it as `.rpmnew`.
    KeptWithRpmnew,
    /// The changed file is set aside at first, and a scriptlet puts it back: it stays in force.
    Restored,
    /// A file that is just what the package brought is removed with it.
    Removed,
    /// A file is created where there is none now: also one that the administrator had deleted.
    Created,
    /// A file that is just what a package brought is replaced by the new version, which may be the same.
    Updated,
    /// The file on disk stays as it is.
    ///
    /// The package brings what it brought before (`rpmfilesDecideFate` compares the digests of both, if they have the same
    /// algorithm), or owns it as `%ghost` only, or another package that stays owns it as well.
    Kept,
    /// Nothing is there, and nothing will be.
    Absent,
}

impl Fate {
    /// Whether content that no package has is gone afterwards, with no copy left beside it.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::DeletedWithoutBackup | Self::OverwrittenWithoutBackup)
    }

    /// Whether the administrator's content is not what is in force afterwards, as it was before, or nobody can tell.
    pub fn is_alarm(self) -> bool {
        self.is_loss()
            || matches!(
                self,
                Self::Blocked
                    | Self::Unknown
                    | Self::ReplacedWithRpmsave
                    | Self::ReplacedWithRpmorig
                    | Self::RemovedWithRpmsave
                    | Self::Moved
                    | Self::Shadowed
                    | Self::LeftBehind
                    | Self::Edited
                    | Self::Rewritten
            )
    }

    /// What rpm appends to the path for the second file that it leaves, if it leaves one.
    pub fn suffix(self) -> Option<&'static str> {
        match self {
            Self::ReplacedWithRpmsave | Self::RemovedWithRpmsave => Some(".rpmsave"),
            Self::ReplacedWithRpmorig => Some(".rpmorig"),
            Self::KeptWithRpmnew => Some(".rpmnew"),
            _ => None,
        }
    }

    /// Whether the second file that rpm leaves has the administrator's content.
    pub fn keeps_copy(self) -> bool {
        matches!(
            self,
            Self::ReplacedWithRpmsave
                | Self::RemovedWithRpmsave
                | Self::ReplacedWithRpmorig
                | Self::Moved
                | Self::Restored
        )
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::DeletedWithoutBackup => "deleted without backup",
            Self::OverwrittenWithoutBackup => "overwritten without backup",
            Self::Blocked => "blocked by a directory",
            Self::Unknown => "unknown",
            Self::Moved => "moved elsewhere by a scriptlet",
            Self::Shadowed => "kept, but another file is read",
            Self::LeftBehind => "kept, but left behind",
            Self::Edited => "edited by a scriptlet",
            Self::Rewritten => "written anew, as at installation",
            Self::Restored => "set aside and put back",
            Self::ReplacedWithRpmsave => "replaced, old one in .rpmsave",
            Self::ReplacedWithRpmorig => "replaced, old one in .rpmorig",
            Self::RemovedWithRpmsave => "removed, old one in .rpmsave",
            Self::KeptWithRpmnew => "kept, new one in .rpmnew",
            Self::Removed => "removed, was unchanged",
            Self::Created => "created",
            Self::Updated => "updated, was unchanged",
            Self::Kept => "kept",
            Self::Absent => "absent",
        })
    }
}

/// What rpm decides to do with a file that a package brings (`rpmFileAction` in rpmfiles.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// `FA_CREATE`: put it there, whatever is there.
    Create,
    /// `FA_SKIP`: leave alone what is there.
    Skip,
    /// `FA_SAVE`: rename what is there to `.rpmsave` first.
    Save,
    /// `FA_BACKUP`: rename what is there to `.rpmorig` first.
    Backup,
    /// `FA_ALTNAME`: put it beside what is there, as `.rpmnew`.
    AltName,
}

/// The fate of a file that an installed package has and a coming one brings.
pub fn upgrade(old: &FileEntry, new: &FileEntry, disk: &OnDisk) -> Fate {
    let action = if old.care.is_config() || new.care.is_config() { decide(old, new, disk) } else { without_care(new) };
    let known = disk.equals(&old.content) || disk.equals(&new.content);
    fate_of(action, new, disk, known)
}

/// The fate of what is on disk when a package brings a path that no installed package has.
pub fn install(new: &FileEntry, disk: &OnDisk) -> Fate {
    let differs = disk.exists() && !disk.equals(&new.content);
    let action = match new.care {
        Care::NoReplace if differs => Action::AltName,
        Care::Config if differs => Action::Backup,
        _ => Action::Create,
    };
    let action = if new.ghost { Action::Skip } else { action };
    fate_of(action, new, disk, !differs)
}

/// The fate of a file whose package goes, or comes back without it, and that no other package has.
pub fn erase(old: &FileEntry, disk: &OnDisk) -> Fate {
    match disk {
        OnDisk::Missing => Fate::Absent,
        _ if !old.present => Fate::Kept,
        // Counted as changed, but never renamed: an old habit that rpm's sources keep on purpose.
        _ if old.ghost && old.care.is_config() => Fate::Kept,
        _ if disk.equals(&old.content) => Fate::Removed,
        _ if old.care.is_config() => Fate::RemovedWithRpmsave,
        // What cannot be unlinked stays, with a warning.
        OnDisk::Directory => Fate::Kept,
        _ => Fate::DeletedWithoutBackup,
    }
}

/// What happens to files that are not `%config`: the package's file, unless it is a ghost and so not in the package.
fn without_care(new: &FileEntry) -> Action {
    if new.ghost { Action::Skip } else { Action::Create }
}

/// `rpmfilesDecideFate`, in its order.
fn decide(old: &FileEntry, new: &FileEntry, disk: &OnDisk) -> Action {
    if new.ghost {
        return Action::Skip;
    }
    if !disk.exists() {
        return if new.missing_ok { Action::Skip } else { Action::Create };
    }
    // Only regular files and links of the old package can ask for a backup.
    if !matches!(old.content, Content::Regular(_) | Content::Link(_)) {
        return Action::Create;
    }
    // A file that became a link, or a link that became a file, is not compared with the new one.
    let same_kind = std::mem::discriminant(&old.content) == std::mem::discriminant(&new.content);
    if disk.equals(&old.content) || (same_kind && disk.equals(&new.content)) {
        return Action::Create;
    }
    // rpm 4.11 goes on to the next question here; the copy in `.rpmsave` that later ones make is the worse of the two.
    if !new.care.is_config() {
        return Action::Save;
    }
    if same_in_both(old, new) {
        return Action::Skip;
    }
    if new.care == Care::NoReplace { Action::AltName } else { Action::Save }
}

/// Whether rpm can see that the packager changed nothing. Digests by different algorithms are never the same to it, which is
/// how a change of rpm's default from MD5 to SHA-256 sets changed files aside whose content upstream is what it was.
fn same_in_both(old: &FileEntry, new: &FileEntry) -> bool {
    match (&old.content, &new.content) {
        (Content::Regular(Some(old)), Content::Regular(Some(new))) => old == new,
        (Content::Link(old), Content::Link(new)) => old == new,
        _ => false,
    }
}

/// What an action means for the file on disk; `known` says that its content is also in one of the packages.
fn fate_of(action: Action, new: &FileEntry, disk: &OnDisk, known: bool) -> Fate {
    match (action, disk) {
        (Action::Skip, OnDisk::Missing) => Fate::Absent,
        (Action::Skip, _) => Fate::Kept,
        (_, OnDisk::Missing) => Fate::Created,
        (Action::Create, OnDisk::Directory) if new.content != Content::Directory => Fate::Blocked,
        (Action::Create, _) if known => Fate::Updated,
        (Action::Create, _) => Fate::OverwrittenWithoutBackup,
        (Action::Save, _) => Fate::ReplacedWithRpmsave,
        (Action::Backup, _) => Fate::ReplacedWithRpmorig,
        (Action::AltName, _) => Fate::KeptWithRpmnew,
    }
}
