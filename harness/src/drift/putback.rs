//! Puts files of a machine back as they were: content, kind, mode and owner.

use super::contents::Contents;
use super::difference::{Change, How};
use super::inventory::{Entry, Inventory, What};
use crate::guest_path::GuestPath;
use crate::machine::{Machine, VerbError};
use crate::time::Deadline;
use std::collections::BTreeSet;

/// Runs in the guest; its words are in the file's head.
const PUT_BACK: &str = include_str!("putback.pl");

/// Why a file cannot be put back.
#[derive(Debug, thiserror::Error)]
pub enum PutBackError {
    /// Its content was not kept.
    #[error("the content of {0} before was not kept: it is too large, or the inventory of then is of another run")]
    NoContent(GuestPath),
    /// It is something that is not put back.
    #[error("{0} was a device, socket or pipe")]
    Special(GuestPath),
    /// The machine did not do it.
    #[error(transparent)]
    Verb(#[from] VerbError),
}

/// Undoes changes on the machine that they were found on: at each path lies again what `before` says, with the content of
/// then.
pub async fn put_back(
    machine: &Machine,
    changes: &[&Change],
    before: &Inventory,
    contents: &Contents,
    deadline: Deadline,
) -> Result<(), PutBackError> {
    let orders = orders(changes, before, contents)?;
    machine.run("/usr/bin/perl", &["-e", PUT_BACK], &orders, deadline).await?;
    Ok(())
}

/// Whether all that is needed to undo the change was kept.
pub fn can_put_back(change: &Change, before: &Inventory, contents: &Contents) -> Result<(), PutBackError> {
    orders(&[change], before, contents).map(drop)
}

/// What the program is told.
fn orders(changes: &[&Change], before: &Inventory, contents: &Contents) -> Result<Vec<u8>, PutBackError> {
    let mut orders = Vec::new();
    for directory in directories_above(changes, before) {
        if let Some(entry) = before.files.get(&directory) {
            record(&mut orders, b'D', &[&[directory.as_bytes()], dress(entry).as_slice()].concat());
        }
    }
    for change in changes {
        let path = change.path.as_bytes();
        let Some(entry) = before.files.get(&change.path) else {
            record(&mut orders, b'R', &[path]);
            continue;
        };
        let dress = dress(entry);
        match &entry.what {
            _ if change.how == How::Attributes => record(&mut orders, b'A', &[&[path], dress.as_slice()].concat()),
            What::File { sha256, .. } => {
                let content = contents.get(sha256).ok_or_else(|| PutBackError::NoContent(change.path.clone()))?;
                record(&mut orders, b'F', &[&[path], dress.as_slice(), &[content]].concat());
            }
            What::Link { target } => {
                let [_, user, group] = dress;
                record(&mut orders, b'L', &[path, user, group, target.as_bytes()]);
            }
            What::Directory => record(&mut orders, b'D', &[&[path], dress.as_slice()].concat()),
            What::Special => return Err(PutBackError::Special(change.path.clone())),
        }
    }
    record(&mut orders, b'E', &[]);
    Ok(orders)
}

/// The directories that files are put back into, each before what is in it.
fn directories_above(changes: &[&Change], before: &Inventory) -> BTreeSet<GuestPath> {
    let files = changes.iter().filter(|change| before.files.contains_key(&change.path));
    files.flat_map(|change| change.path.ancestors()).collect()
}

/// Mode, user and group.
fn dress(entry: &Entry) -> [&[u8]; 3] {
    [entry.mode.as_bytes(), entry.user.as_bytes(), entry.group.as_bytes()]
}

fn record(orders: &mut Vec<u8>, letter: u8, fields: &[&[u8]]) {
    orders.push(letter);
    orders.push(u8::try_from(fields.len()).expect("a record has few fields"));
    for field in fields {
        let length = u32::try_from(field.len()).expect("contents are no larger than the collector takes");
        orders.extend(length.to_be_bytes());
        orders.extend_from_slice(field);
    }
}

#[cfg(test)]
#[path = "putback_tests.rs"]
mod tests;
