//! Carries plans out, and looks at what is there.

use super::found::{Discards, Found, Header, Readings, Unreadable, exported};
use super::layer::Layer;
use super::plan::{Command, Input, Word, Work, plan};
use super::room::{self, Room, TooSmall};
use super::stack::{NoRoomForHeader, Stack};
use futures_util::future::LocalBoxFuture;

/// Whatever runs commands: a guest, or this machine.
pub trait Executor {
    /// Runs a program with arguments, without a shell, with `input` on its standard input.
    fn run<'a>(&'a self, argv: &'a [String], input: &'a [u8]) -> LocalBoxFuture<'a, Result<Ran, String>>;
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit status.
    pub status: i64,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Why storage is not as it was to be.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Something else is in the place of a layer. Nothing was done.
    #[error("{layer}: {found}; nothing was changed: choose another name, or remove what is there")]
    InTheWay {
        /// The layer.
        layer: String,
        /// What is there.
        found: String,
    },
    /// Something is in the place of a layer that its tools do not see. Nothing was done.
    #[error("{layer}: {found}; nothing was changed")]
    Unseen {
        /// The layer.
        layer: String,
        /// What is there, and how to see it.
        found: String,
    },
    /// A command failed. What was made before it is removed again.
    #[error("{layer}: `{command}` ended with status {status}: {words}")]
    Failed {
        /// The layer.
        layer: String,
        /// The command.
        command: String,
        /// Its exit status.
        status: i64,
        /// What it said.
        words: String,
    },
    /// A header is larger than the device that it is to be on. Nothing was done.
    #[error(transparent)]
    NoRoomForHeader(#[from] NoRoomForHeader),
    /// What is to be copied does not fit. What was made before is removed again.
    #[error("{layer}: {small}")]
    TooSmall {
        /// The layer.
        layer: String,
        /// How much is missing.
        small: TooSmall,
    },
    /// A command could not be run.
    #[error("`{command}` could not be run: {reason}")]
    NotRun {
        /// The command.
        command: String,
        /// Why not.
        reason: String,
    },
    /// A layer stands on a loop device that is not there.
    #[error("{file} has no loop device")]
    NoLoop {
        /// The file.
        file: String,
    },
    /// A tool said something that cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// Builds what is missing of a stack, and takes up what rests; what is there as planned stays as it is. If a command fails,
/// what was made or taken up for it is removed and put down again. What is encrypted must have room for `needed` bytes, if any are:
/// each volume is asked before it is formatted.
pub async fn build(
    stack: &Stack,
    executor: &dyn Executor,
    passphrase: &[u8],
    needed: Option<u64>,
) -> Result<(), StorageError> {
    stack.check_headers()?;
    let work = plan(stack);
    let mut found = looks(&work, executor).await?;
    nothing_else(&work, &found)?;
    nothing_unseen(&work, &found)?;
    let mut done = Vec::new();
    for index in 0..work.len() {
        if let Err(error) = has_room(&work, index, &found[index], needed, executor).await {
            undo(&done, executor).await;
            return Err(error);
        }
        let steps: Vec<_> = match &found[index] {
            Found::AsPlanned | Found::Otherwise(_) | Found::Unseen(_) => continue,
            Found::Resting => work[index].take_up.iter().collect(),
            Found::Missing => work[index].make.iter().chain(&work[index].take_up).collect(),
        };
        done.push((&work[index], found[index] == Found::Missing));
        let mut outcome = carry_out(&work[index].layer, &steps, executor, passphrase).await;
        if outcome.is_ok() && found[index] == Found::Resting {
            // What is on it shows only now.
            match looks(&work, executor).await {
                Ok(now) => {
                    outcome = nothing_else(&work, &now).and_then(|()| nothing_unseen(&work, &now));
                    found = now;
                }
                Err(error) => outcome = Err(error),
            }
        }
        if let Err(error) = outcome {
            undo(&done, executor).await;
            return Err(error);
        }
    }
    Ok(())
}

/// What is encrypted at this layer holds what is to be copied.
async fn has_room(
    work: &[Work],
    index: usize,
    found: &Found,
    needed: Option<u64>,
    executor: &dyn Executor,
) -> Result<(), StorageError> {
    let (Layer::Luks(luks), Some(needed)) = (&work[index].layer, needed) else { return Ok(()) };
    let Some(device) = index.checked_sub(1).map(|below| device_of(&work[below], executor)) else { return Ok(()) };
    let device = device.await?;
    let room = match found {
        Found::Missing => room::dry_run(&device, luks, executor).await?,
        _ => match read_header(&device, executor).await? {
            Some(header) => Room { volume: room::size(&device, executor).await?, header: header.offset },
            None => return Ok(()),
        },
    };
    room.holds(needed).map_err(|small| StorageError::TooSmall { layer: work[index].layer.to_string(), small })
}

/// The device that a layer offers to the next.
async fn device_of(below: &Work, executor: &dyn Executor) -> Result<String, StorageError> {
    let word = match &below.layer {
        Layer::Disks(disks) => Word::LoopOf(disks.file(0)),
        _ => Word::Text(below.place.clone()),
    };
    let argv = resolved(&Command { words: vec![word], input: Input::Nothing }, executor).await?;
    Ok(argv.into_iter().next().unwrap_or_default())
}

/// The LUKS header on a device, if there is one. A device that cannot be read is an error: it is not one without a header.
pub(super) async fn read_header(device: &str, executor: &dyn Executor) -> Result<Option<Header>, StorageError> {
    let is_luks = ["cryptsetup", "isLuks", device].map(str::to_owned);
    let ran = run(executor, &is_luks, &[]).await?;
    match ran.status {
        0 => {}
        // What cannot be opened has another status than what holds something else.
        1 => return Ok(None),
        status => {
            let reason = format!("status {status}: {}", ran.stderr.trim());
            return Err(StorageError::NotRun { command: is_luks.join(" "), reason });
        }
    }
    if let Some(output) = perhaps(executor, &["cryptsetup", "luksDump", "--dump-json-metadata", device]).await? {
        return Ok(Some(Header::version_2(&output)?));
    }
    Ok(Some(Header::version_1(&said(executor, &["cryptsetup", "luksDump", device]).await?)?))
}

/// Nothing else is in the place of a layer.
fn nothing_else(work: &[Work], found: &[Found]) -> Result<(), StorageError> {
    let other = work.iter().zip(found).find(|(_, found)| matches!(found, Found::Otherwise(_)));
    other.map_or(Ok(()), |(work, found)| {
        Err(StorageError::InTheWay { layer: work.layer.to_string(), found: found.to_string() })
    })
}

/// What is there, and not seen by its tools, is not made anew.
fn nothing_unseen(work: &[Work], found: &[Found]) -> Result<(), StorageError> {
    let unseen = work.iter().zip(found).find(|(_, found)| matches!(found, Found::Unseen(_)));
    unseen.map_or(Ok(()), |(work, found)| {
        Err(StorageError::Unseen { layer: work.layer.to_string(), found: found.to_string() })
    })
}

/// What is there of each layer, the lowest first.
pub async fn compare(stack: &Stack, executor: &dyn Executor) -> Result<Vec<(Layer, Found)>, StorageError> {
    let work = plan(stack);
    let found = looks(&work, executor).await?;
    Ok(work.into_iter().map(|work| work.layer).zip(found).collect())
}

/// Takes a stack down, the highest layer first, in whatever state it is. Of a stack in which something else is in the place of a
/// layer nothing is touched.
pub async fn remove(stack: &Stack, executor: &dyn Executor) -> Result<(), StorageError> {
    let work = plan(stack);
    let found = looks(&work, executor).await?;
    nothing_else(&work, &found)?;
    for (work, found) in work.iter().zip(found).rev() {
        let down: &[Command] = if found == Found::AsPlanned { &work.put_down } else { &[] };
        let gone: &[Command] = if found == Found::Missing { &[] } else { &work.remove };
        carry_out(&work.layer, &down.iter().chain(gone).collect::<Vec<_>>(), executor, &[]).await?;
    }
    Ok(())
}

/// What a failed building left behind goes; what cannot be removed was never made.
async fn undo(done: &[(&Work, bool)], executor: &dyn Executor) {
    for (work, made) in done.iter().rev() {
        let gone: &[Command] = if *made { &work.remove } else { &[] };
        for command in work.put_down.iter().chain(gone) {
            let _ = carry_out(&work.layer, &[command], executor, &[]).await;
        }
    }
}

async fn carry_out(
    layer: &Layer,
    commands: &[&Command],
    executor: &dyn Executor,
    passphrase: &[u8],
) -> Result<(), StorageError> {
    for command in commands {
        let argv = resolved(command, executor).await?;
        let input = if command.input == Input::Passphrase { passphrase } else { &[] };
        let ran = run(executor, &argv, input).await?;
        if ran.status != 0 {
            let words = if ran.stderr.trim().is_empty() { ran.stdout } else { ran.stderr };
            let (layer, command) = (layer.to_string(), command.to_string());
            return Err(StorageError::Failed { layer, command, status: ran.status, words: words.trim().to_owned() });
        }
    }
    Ok(())
}

pub(super) async fn run(executor: &dyn Executor, argv: &[String], input: &[u8]) -> Result<Ran, StorageError> {
    let failed = |reason| StorageError::NotRun { command: argv.join(" "), reason };
    executor.run(argv, input).await.map_err(failed)
}

/// The words of a command, with the loop devices as they are now.
async fn resolved(command: &Command, executor: &dyn Executor) -> Result<Vec<String>, StorageError> {
    let mut loops = None;
    let mut argv = Vec::new();
    for word in &command.words {
        argv.push(match word {
            Word::Text(text) => text.clone(),
            Word::LoopOf(file) => {
                if loops.is_none() {
                    let mut readings = Readings::default();
                    readings.read_loops(&said(executor, LOSETUP).await?)?;
                    loops = Some(readings.loops);
                }
                let device = loops.as_ref().and_then(|loops| loops.get(file)).cloned();
                device.ok_or_else(|| StorageError::NoLoop { file: file.clone() })?
            }
        });
    }
    Ok(argv)
}

const LOSETUP: &[&str] = &["losetup", "--list", "--json", "--output", "NAME,BACK-FILE"];
const LSBLK: &[&str] = &["lsblk", "--json", "--bytes", "--output", "PATH,TYPE,FSTYPE,MOUNTPOINTS"];
const PVS: &[&str] = &["pvs", "--reportformat", "json", "--options", "pv_name,vg_name"];
const LVS: &[&str] =
    &["lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "--options", "vg_name,lv_name,lv_size"];

/// The output of a command that only looks and must succeed.
pub(super) async fn said(executor: &dyn Executor, command: &[&str]) -> Result<String, StorageError> {
    let argv: Vec<_> = command.iter().map(|&word| word.to_owned()).collect();
    let ran = run(executor, &argv, &[]).await?;
    if ran.status == 0 {
        return Ok(ran.stdout);
    }
    let reason = format!("status {}: {}", ran.status, ran.stderr.trim());
    Err(StorageError::NotRun { command: argv.join(" "), reason })
}

/// The output of a command that fails where there is nothing to see.
async fn perhaps(executor: &dyn Executor, command: &[&str]) -> Result<Option<String>, StorageError> {
    let argv: Vec<_> = command.iter().map(|&word| word.to_owned()).collect();
    let ran = run(executor, &argv, &[]).await?;
    Ok((ran.status == 0).then_some(ran.stdout))
}

/// What is there of each layer, in order.
async fn looks(work: &[Work], executor: &dyn Executor) -> Result<Vec<Found>, StorageError> {
    let has = |wanted: fn(&Layer) -> bool| work.iter().any(|work| wanted(&work.layer));
    let mut readings = Readings::default();
    readings.read_loops(&said(executor, LOSETUP).await?)?;
    if has(|layer| !matches!(layer, Layer::Disks(_) | Layer::Qcow2(_))) {
        readings.read_devices(&said(executor, LSBLK).await?)?;
    }
    if has(|layer| matches!(layer, Layer::Group(_))) {
        readings.read_groups(&said(executor, PVS).await?)?;
        readings.read_volumes(&said(executor, LVS).await?)?;
    }
    let mut below = String::new();
    let mut found = Vec::new();
    for work in work {
        read_layer(&mut readings, work, &below, executor).await?;
        found.push(readings.of(work, &below));
        below = match &work.layer {
            Layer::Disks(disks) => readings.loops.get(&disks.file(0)).cloned().unwrap_or_default(),
            _ => work.place.clone(),
        };
    }
    Ok(found)
}

/// Adds what has to be asked about one layer by itself.
async fn read_layer(
    readings: &mut Readings,
    work: &Work,
    below: &str,
    executor: &dyn Executor,
) -> Result<(), StorageError> {
    let place = work.place.as_str();
    let files = match &work.layer {
        Layer::Disks(disks) => disks.files().map(|(file, _)| file).collect(),
        Layer::Qcow2(_) => vec![work.place.clone()],
        Layer::Raid10(_) => {
            if let Some(output) = perhaps(executor, &["mdadm", "--detail", "--export", place]).await? {
                let mut array = exported(&output);
                let device = perhaps(executor, &["readlink", "--canonicalize", place]).await?.unwrap_or_default();
                array.insert("DEVNAME".into(), device.trim().to_owned());
                readings.arrays.insert(work.place.clone(), array);
            }
            Vec::new()
        }
        // Where the layers below are missing, there is no device to ask.
        Layer::Luks(_) if !below.is_empty() && perhaps(executor, &["test", "-e", below]).await?.is_some() => {
            if let Some(header) = read_header(below, executor).await? {
                readings.headers.insert(below.to_owned(), header);
            }
            if readings.is_open(place) {
                let status = said(executor, &["cryptsetup", "status", place]).await?;
                readings.opened.insert(work.place.clone(), Discards::read(&status));
            }
            Vec::new()
        }
        _ => Vec::new(),
    };
    for file in files {
        if let Some(size) = perhaps(executor, &["stat", "--format=%s", "--", &file]).await? {
            readings.files.insert(file, size.trim().parse().unwrap_or_default());
        }
    }
    Ok(())
}
