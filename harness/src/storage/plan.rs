//! What is to be done for each layer, as commands.
//!
//! Sources: losetup(8), mdadm(8), lvmcreate and friends (8), cryptsetup-luksFormat(8), cryptsetup-open(8), qemu-img(1).

use super::layer::{Disks, Ext4, Group, Layer, Luks, Qcow2, Raid10, Volume};
use super::stack::Stack;
use std::fmt;

/// A command, without a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments.
    pub words: Vec<Word>,
    /// What it reads.
    pub input: Input,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// As it is.
    Text(String),
    /// The loop device of this file, whichever it became.
    LoopOf(String),
}

/// What a command reads from its standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nothing. Whoever asks a question gets no answer.
    Nothing,
    /// The passphrase.
    Passphrase,
}

/// All that can be done for one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The layer.
    pub layer: Layer,
    /// Makes it, where there is nothing.
    pub make: Vec<Command>,
    /// Takes it up, after it was made, or where it is there and rests: closed, detached or not mounted.
    pub take_up: Vec<Command>,
    /// Lets it rest.
    pub put_down: Vec<Command>,
    /// Removes it when it rests.
    pub remove: Vec<Command>,
    /// Where the next layer finds it, if that is one place.
    pub place: String,
}

/// The work of each layer of a stack, the lowest first.
#[must_use]
pub fn plan(stack: &Stack) -> Vec<Work> {
    let mut work: Vec<Work> = Vec::new();
    let mut group = String::new();
    for layer in stack.layers() {
        let below = work.last();
        let next = match layer {
            Layer::Disks(disks) => of_disks(layer, disks),
            Layer::Raid10(raid) => of_raid(layer, raid, stack),
            Layer::Group(it) => {
                group.clone_from(&it.name);
                of_group(layer, it, &device(below))
            }
            Layer::Volume(volume) => of_volume(layer, volume, &group),
            Layer::Luks(luks) => of_luks(layer, luks, &device(below)),
            Layer::Ext4(ext4) => of_ext4(layer, ext4, device(below)),
            Layer::Qcow2(qcow2) => of_qcow2(layer, qcow2, &place(below)),
        };
        work.push(next);
    }
    work
}

fn place(below: Option<&Work>) -> String {
    below.map(|work| work.place.clone()).unwrap_or_default()
}

/// The device that a layer offers: of a single disk it is its loop device.
fn device(below: Option<&Work>) -> Word {
    match below.map(|work| &work.layer) {
        Some(Layer::Disks(disks)) => Word::LoopOf(disks.file(0)),
        _ => Word::Text(place(below)),
    }
}

impl Disks {
    /// The file of the disk with this number.
    #[must_use]
    pub fn file(&self, number: usize) -> String {
        format!("{}/disk{number}.img", self.directory)
    }

    /// The files of all disks, with their sizes in bytes.
    pub fn files(&self) -> impl Iterator<Item = (String, u64)> {
        self.sizes_mib.iter().enumerate().map(|(number, size)| (self.file(number), size << 20))
    }
}

fn of_disks(layer: &Layer, disks: &Disks) -> Work {
    let files: Vec<_> = disks.files().collect();
    let make =
        files.iter().map(|(file, size)| command(&["truncate", "--no-create", "--size", &size.to_string(), file]));
    let touch = files
        .iter()
        .map(|(file, _)| command(&["dd", "status=none", "if=/dev/null", "conv=excl", &format!("of={file}")]));
    let attach = files.iter().map(|(file, _)| command(&["losetup", "--direct-io=on", "--find", file]));
    let detach =
        files.iter().map(|(file, _)| words(vec!["losetup".into(), "--detach".into(), Word::LoopOf(file.clone())]));
    let remove = files.iter().map(|(file, _)| command(&["rm", "--force", "--", file]));
    Work {
        layer: layer.clone(),
        make: [command(&["mkdir", "-p", &disks.directory])].into_iter().chain(touch).chain(make).collect(),
        take_up: attach.collect(),
        put_down: detach.collect(),
        remove: remove.collect(),
        place: disks.directory.clone(),
    }
}

fn of_raid(layer: &Layer, raid: &Raid10, stack: &Stack) -> Work {
    let place = format!("/dev/md/{}", raid.name);
    let disks: Vec<_> = stack
        .layers()
        .iter()
        .find_map(|layer| match layer {
            Layer::Disks(disks) => Some(disks.files().map(|(file, _)| Word::LoopOf(file)).collect()),
            _ => None,
        })
        .unwrap_or_default();
    let count = format!("--raid-devices={}", disks.len());
    // New files hold zeroes only: their mirrors are equal. The bitmap makes the rebuild of a disk that comes back short. A
    // disk that is part of something already makes mdadm ask, and nobody says yes.
    let create = [
        "mdadm",
        "--create",
        &place,
        "--quiet",
        "--level=10",
        "--layout=n2",
        "--metadata=1.2",
        "--bitmap=internal",
        "--homehost=any",
        "--assume-clean",
        &count,
    ];
    let zero = disks.iter().map(|disk| words(vec!["mdadm".into(), "--zero-superblock".into(), disk.clone()]));
    Work {
        layer: layer.clone(),
        make: vec![words(create.iter().map(|&word| word.into()).chain(disks.clone()).collect())],
        take_up: Vec::new(),
        put_down: vec![command(&["mdadm", "--quiet", "--stop", &place])],
        remove: zero.collect(),
        place,
    }
}

fn of_group(layer: &Layer, group: &Group, below: &Word) -> Work {
    let on_device =
        |words_before: &[&str]| words(words_before.iter().map(|&word| word.into()).chain([below.clone()]).collect());
    Work {
        layer: layer.clone(),
        make: vec![on_device(&["pvcreate", "--quiet"]), on_device(&["vgcreate", "--quiet", &group.name])],
        take_up: Vec::new(),
        put_down: Vec::new(),
        remove: vec![command(&["vgremove", "--quiet", &group.name]), on_device(&["pvremove", "--quiet"])],
        place: group.name.clone(),
    }
}

fn of_volume(layer: &Layer, volume: &Volume, group: &str) -> Work {
    let name = format!("{group}/{}", volume.name);
    let size = format!("{}m", volume.size_mib);
    let create =
        ["lvcreate", "--quiet", "--yes", "--wipesignatures", "y", "--size", &size, "--name", &volume.name, group];
    Work {
        layer: layer.clone(),
        make: vec![command(&create)],
        take_up: Vec::new(),
        put_down: vec![command(&["lvchange", "--quiet", "--activate", "n", &name])],
        remove: vec![command(&["lvremove", "--quiet", "--yes", &name])],
        place: format!("/dev/{name}"),
    }
}

/// The command of the story, but for `--verify-passphrase`: that is for somebody who types, and cryptsetup refuses it where no
/// terminal is.
fn of_luks(layer: &Layer, luks: &Luks, below: &Word) -> Work {
    let mut format: Vec<String> = ["cryptsetup", "--batch-mode", "luksFormat"].map(Into::into).into();
    format.push(format!("--type={}", luks.version.name()));
    format.push(format!("--hash={}", luks.hash));
    format.push(format!("--key-size={}", luks.key_size));
    format.push(format!("--cipher={}", luks.cipher));
    format.extend(luks.pbkdf.map(|pbkdf| format!("--pbkdf={}", pbkdf.name())));
    format.extend(luks.memory_kib.map(|memory| format!("--pbkdf-memory={memory}")));
    format.extend(luks.iter_time_ms.map(|time| format!("--iter-time={time}")));
    format.push("--key-file=-".into());
    let mut open: Vec<String> = ["cryptsetup", "open", "--type=luks", "--key-file=-"].map(Into::into).into();
    if luks.discards {
        open.push("--allow-discards".into());
    }
    let with_passphrase = |before: Vec<String>, after: Option<String>| Command {
        words: before.into_iter().map(Word::Text).chain([below.clone()]).chain(after.map(Word::Text)).collect(),
        input: Input::Passphrase,
    };
    Work {
        layer: layer.clone(),
        make: vec![with_passphrase(format, None)],
        take_up: vec![with_passphrase(open, Some(luks.name.clone()))],
        put_down: vec![command(&["cryptsetup", "close", &luks.name])],
        remove: Vec::new(),
        place: format!("/dev/mapper/{}", luks.name),
    }
}

fn of_ext4(layer: &Layer, ext4: &Ext4, below: Word) -> Work {
    let make = words(vec!["mkfs.ext4".into(), "-q".into(), below.clone()]);
    let mount = words(vec!["mount".into(), below, Word::Text(ext4.mount.clone())]);
    Work {
        layer: layer.clone(),
        make: vec![make],
        take_up: vec![command(&["mkdir", "-p", &ext4.mount]), mount],
        put_down: vec![command(&["umount", &ext4.mount])],
        remove: Vec::new(),
        place: ext4.mount.clone(),
    }
}

fn of_qcow2(layer: &Layer, qcow2: &Qcow2, directory: &str) -> Work {
    let place = format!("{directory}/{}", qcow2.name);
    Work {
        layer: layer.clone(),
        make: vec![command(&["qemu-img", "create", "-q", "-f", "qcow2", &place, &format!("{}M", qcow2.size_mib)])],
        take_up: Vec::new(),
        put_down: Vec::new(),
        remove: vec![command(&["rm", "--force", "--", &place])],
        place,
    }
}

fn command(text: &[&str]) -> Command {
    words(text.iter().map(|&word| word.into()).collect())
}

fn words(words: Vec<Word>) -> Command {
    Command { words, input: Input::Nothing }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::LoopOf(file) => write!(f, "<loop device of {file}>"),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.words.iter().map(ToString::to_string).collect();
        f.write_str(&words.join(" "))?;
        if self.input == Input::Passphrase { f.write_str(" < passphrase") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn text(layers: &str) -> String {
        let stack = Stack::new(serde_json::from_str(layers).unwrap()).unwrap();
        let mut text = String::new();
        for work in plan(&stack) {
            writeln!(text, "{}", work.layer).unwrap();
            let parts = [
                ("make", &work.make),
                ("take up", &work.take_up),
                ("put down", &work.put_down),
                ("remove", &work.remove),
            ];
            for (what, commands) in parts {
                for command in commands {
                    writeln!(text, "  {what}: {command}").unwrap();
                }
            }
        }
        text
    }

    #[test]
    fn the_stack_of_the_story() {
        let layers = r#"[
            {"disks": {"sizes_mib": [1024, 1024, 1024, 1024]}}, {"raid10": {}}, {"group": {}},
            {"volume": {"name": "lvimap_old", "size_mib": 900}}, {"volume": {"size_mib": 904}}, {"luks": {}}]"#;
        insta::assert_snapshot!(text(layers));
    }

    #[test]
    fn the_other_layering() {
        let layers = r#"[
            {"disks": {"sizes_mib": [1024]}}, {"group": {"name": "vg"}}, {"volume": {"size_mib": 900}},
            {"luks": {"version": "luks2", "pbkdf": "argon2id", "memory_kib": 65536, "iter_time_ms": 200, "discards": true}},
            {"ext4": {"mount": "/srv/encrypted"}}, {"qcow2": {"name": "imap.qcow2", "size_mib": 800}}]"#;
        insta::assert_snapshot!(text(layers));
    }

    /// Nobody who lists processes learns a passphrase.
    #[test]
    fn a_passphrase_is_no_argument() {
        let stack =
            Stack::new(serde_json::from_str(r#"[{"disks": {"sizes_mib": [64]}}, {"luks": {}}]"#).unwrap()).unwrap();
        let work = plan(&stack);
        let luks: Vec<_> = work[1].make.iter().chain(&work[1].take_up).collect();
        assert_eq!(luks.len(), 2);
        for command in luks {
            assert_eq!(command.input, Input::Passphrase);
            assert!(command.words.contains(&"--key-file=-".into()), "{command}");
        }
    }
}
