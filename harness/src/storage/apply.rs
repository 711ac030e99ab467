//! Carries plans out, and looks at what is there.

use super::found::{Found, Header, Readings, Unreadable, exported};
use super::layer::Layer;
use super::plan::{Command, Input, Word, Work, plan};
use super::stack::Stack;
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
/// what was made or taken up for it is removed and put down again.
pub async fn build(stack: &Stack, executor: &dyn Executor, passphrase: &[u8]) -> Result<(), StorageError> {
    let work = plan(stack);
    let mut found = looks(&work, executor).await?;
    nothing_else(&work, &found)?;
    let mut done = Vec::new();
    for index in 0..work.len() {
        let steps: Vec<_> = match &found[index] {
            Found::AsPlanned | Found::Otherwise(_) => continue,
            Found::Resting => work[index].take_up.iter().collect(),
            Found::Missing => work[index].make.iter().chain(&work[index].take_up).collect(),
        };
        done.push((&work[index], found[index] == Found::Missing));
        let mut outcome = carry_out(&work[index].layer, &steps, executor, passphrase).await;
        if outcome.is_ok() && found[index] == Found::Resting {
            // What is on it shows only now.
            match looks(&work, executor).await {
                Ok(now) => {
                    outcome = nothing_else(&work, &now);
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

/// Nothing else is in the place of a layer.
fn nothing_else(work: &[Work], found: &[Found]) -> Result<(), StorageError> {
    let other = work.iter().zip(found).find(|(_, found)| matches!(found, Found::Otherwise(_)));
    other.map_or(Ok(()), |(work, found)| {
        Err(StorageError::InTheWay { layer: work.layer.to_string(), found: found.to_string() })
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

async fn run(executor: &dyn Executor, argv: &[String], input: &[u8]) -> Result<Ran, StorageError> {
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
async fn said(executor: &dyn Executor, command: &[&str]) -> Result<String, StorageError> {
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
    if has(|layer| matches!(layer, Layer::Luks(_) | Layer::Ext4(_) | Layer::Group(_))) {
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
        Layer::Luks(_) if !below.is_empty() => {
            let dump = ["cryptsetup", "luksDump", below];
            if let Some(output) = perhaps(executor, &["cryptsetup", "luksDump", "--dump-json-metadata", below]).await? {
                readings.headers.insert(below.to_owned(), Header::version_2(&output)?);
            } else if let Some(output) = perhaps(executor, &dump).await? {
                readings.headers.insert(below.to_owned(), Header::version_1(&output)?);
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
