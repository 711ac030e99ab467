//! How much room a LUKS header takes on a device, by a dry run of cryptsetup.
//!
//! Where the encrypted content begins depends on how the device likes to be written to, which cryptsetup asks the kernel: on stripes
//! of a RAID it is at a multiple of the whole stripe. No option of cryptsetup says where, so it formats a device of the same size
//! and with the same limits, whose beginning is a file: device-mapper puts the two together, and the limits of the device below
//! hold for both. Nothing is written to the device itself.
//!
//! Measured with cryptsetup 2.6.1 and Linux 6.1, on a RAID 10 of six disks (stripes of 1.5 MiB): 3 MiB in LUKS1, 16.5 MiB in LUKS2, and
//! the same on the device itself. A detached header tells nothing: its offset is 0 on every device. On a device that is smaller
//! than its header, `luksFormat` succeeds, with a warning.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use super::apply::{Executor, StorageError, read_header, run, said};
use super::layer::{Luks, LuksVersion};
use super::stack::whole_extents;

/// The name of the device that is put together.
const NAME: &str = "rehearsal-dry-run";

/// How much of the beginning is a file: more than any header takes, and a whole number of all usual stripes.
const HEAD: u64 = 192 << 20;
/// How much of the device there is at least, since it is what is asked.
const TAIL: u64 = 1 << 20;
const SECTOR: u64 = 512;

/// What was to be copied does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{needed} bytes do not fit: the volume has {volume}, its LUKS header takes {header} of them, and {short} are missing; \
     make it at least {} MiB", enough >> 20
)]
pub struct TooSmall {
    /// What is to be copied.
    pub needed: u64,
    /// The size of the volume below.
    pub volume: u64,
    /// What its header takes.
    pub header: u64,
    /// How much is missing.
    pub short: u64,
    /// The least size of a volume that does.
    pub enough: u64,
}

/// What a device has, and what a header takes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The size of the device, in bytes.
    pub volume: u64,
    /// What the header takes, in bytes.
    pub header: u64,
}

impl Room {
    /// Whether what takes `needed` bytes fits: an encrypted volume has less room than the device that it is on.
    pub fn holds(self, needed: u64) -> Result<(), TooSmall> {
        let Self { volume, header } = self;
        match needed.saturating_add(header).checked_sub(volume).filter(|short| *short > 0) {
            Some(short) => {
                Err(TooSmall { needed, volume, header, short, enough: whole_extents(needed.saturating_add(header)) })
            }
            None => Ok(()),
        }
    }
}

/// The size of a device, in bytes.
pub(super) async fn size(device: &str, executor: &dyn Executor) -> Result<u64, StorageError> {
    let text = said(executor, &["blockdev", "--getsize64", device]).await?;
    let reason = || StorageError::NotRun {
        command: format!("blockdev --getsize64 {device}"),
        reason: format!("it says {text}"),
    };
    text.trim().parse().map_err(|_| reason())
}

/// What a header of this kind would take on a device.
pub(super) async fn dry_run(device: &str, luks: &Luks, executor: &dyn Executor) -> Result<Room, StorageError> {
    let volume = size(device, executor).await?;
    let file = said(executor, &["mktemp", "--tmpdir=/run", "rehearsal-header.XXXXXX"]).await?;
    let file = file.trim();
    let header = on_file(device, luks, volume, file, executor).await;
    let removed = said(executor, &["rm", "--force", "--", file]).await;
    let header = header?;
    removed?;
    Ok(Room { volume, header })
}

async fn on_file(
    device: &str,
    luks: &Luks,
    volume: u64,
    file: &str,
    executor: &dyn Executor,
) -> Result<u64, StorageError> {
    let head = (HEAD.min(volume.saturating_sub(TAIL)) / TAIL).saturating_mul(TAIL);
    said(executor, &["truncate", "--size", &head.to_string(), file]).await?;
    let attached = said(executor, &["losetup", "--find", "--show", file]).await?;
    let attached = attached.trim();
    let header = on_loop(device, luks, (head / SECTOR, volume / SECTOR), attached, executor).await;
    let detached = said(executor, &["losetup", "--detach", attached]).await;
    let header = header?;
    detached.map(|_| header)
}

async fn on_loop(
    device: &str,
    luks: &Luks,
    (head, all): (u64, u64),
    file: &str,
    executor: &dyn Executor,
) -> Result<u64, StorageError> {
    let table = table((head, all), file, device);
    let create = words(&["dmsetup", "create", NAME]);
    succeed(executor, &create, table.as_bytes()).await?;
    let header = formatted(luks, executor).await;
    let removed = said(executor, &["dmsetup", "remove", "--retry", NAME]).await;
    let header = header?;
    removed.map(|_| header)
}

/// The beginning from the file, the rest from the device itself, at the same place.
fn table((head, all): (u64, u64), file: &str, device: &str) -> String {
    format!("0 {head} linear {file} 0\n{head} {} linear {device} {head}\n", all.saturating_sub(head))
}

async fn formatted(luks: &Luks, executor: &dyn Executor) -> Result<u64, StorageError> {
    let place = format!("/dev/mapper/{NAME}");
    succeed(executor, &format_command(luks, &place), b"dry run").await?;
    let header = read_header(&place, executor).await?;
    let reason = || StorageError::NotRun {
        command: format!("cryptsetup luksDump {place}"),
        reason: "there is no header".into(),
    };
    header.map(|header| header.offset).ok_or_else(reason)
}

/// As the real one, but for the passphrase's derivation, which has nothing to do with room.
fn format_command(luks: &Luks, place: &str) -> Vec<String> {
    let version = luks.version.name();
    let mut command = words(&["cryptsetup", "--batch-mode", "luksFormat", "--key-file=-"]);
    command.push(format!("--type={version}"));
    command.push(format!("--hash={}", luks.hash));
    command.push(format!("--key-size={}", luks.key_size));
    command.push(format!("--cipher={}", luks.cipher));
    match luks.version {
        LuksVersion::Luks1 => command.push("--iter-time=1".into()),
        LuksVersion::Luks2 => command.extend(words(&["--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000"])),
    }
    command.push(place.to_owned());
    command
}

async fn succeed(executor: &dyn Executor, command: &[String], input: &[u8]) -> Result<(), StorageError> {
    let ran = run(executor, command, input).await?;
    if ran.status == 0 {
        return Ok(());
    }
    let reason = format!("status {}: {}", ran.status, ran.stderr.trim());
    Err(StorageError::NotRun { command: command.join(" "), reason })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Ran;
    use futures_util::future::LocalBoxFuture;
    use proptest::prelude::*;
    use std::cell::RefCell;

    const MIB: u64 = 1 << 20;

    /// The parts of `cryptsetup luksDump --dump-json-metadata` that are read.
    const DUMP: &str = r#"{"keyslots":{"0":{"type":"luks2","key_size":64,"kdf":{"type":"pbkdf2","hash":"sha512"}}},
        "segments":{"0":{"type":"crypt","offset":"16777216","encryption":"aes-xts-plain64"}},
        "digests":{"0":{"type":"pbkdf2","hash":"sha512"}}}"#;

    /// Runs nothing: it keeps the commands, with what they read, and answers as the tools do for a device of this size.
    struct Answers {
        bytes: u64,
        /// How the command begins that fails.
        fails: Option<&'static str>,
        commands: RefCell<Vec<String>>,
    }

    impl Answers {
        fn new(bytes: u64, fails: Option<&'static str>) -> Self {
            Self { bytes, fails, commands: RefCell::default() }
        }

        async fn dry_run(&self) -> Result<Room, String> {
            let luks: Luks = serde_json::from_str(r#"{"version": "luks2"}"#).unwrap();
            dry_run("/dev/vg/lv", &luks, self).await.map_err(|error| error.to_string())
        }
    }

    impl Executor for Answers {
        fn run<'a>(&'a self, argv: &'a [String], input: &'a [u8]) -> LocalBoxFuture<'a, Result<Ran, String>> {
            let command = argv.join(" ");
            let fails = self.fails.is_some_and(|fails| command.starts_with(fails));
            let stdout = match (argv[0].as_str(), argv[1].as_str()) {
                ("blockdev", _) => format!("{}\n", self.bytes),
                ("mktemp", _) => "/run/rehearsal-header.a1B2c3\n".into(),
                ("losetup", "--find") => "/dev/loop7\n".into(),
                ("cryptsetup", "luksDump") => DUMP.into(),
                _ => String::new(),
            };
            let input = String::from_utf8_lossy(input);
            let read = if input.is_empty() { String::new() } else { format!(" < {input}") };
            self.commands.borrow_mut().push(format!("{command}{read}"));
            let ran = if fails {
                Ran { status: 1, stdout: String::new(), stderr: "it cannot be done\n".into() }
            } else {
                Ran { status: 0, stdout, stderr: String::new() }
            };
            Box::pin(async move { Ok(ran) })
        }
    }

    #[rstest::rstest]
    #[case::large(
        1024 * MIB,
        "truncate --size 201326592 /run/rehearsal-header.a1B2c3",
        "0 393216 linear /dev/loop7 0\n393216 1703936 linear /dev/vg/lv 393216\n"
    )]
    #[case::smaller_than_the_head(
        68 * MIB,
        "truncate --size 70254592 /run/rehearsal-header.a1B2c3",
        "0 137216 linear /dev/loop7 0\n137216 2048 linear /dev/vg/lv 137216\n"
    )]
    #[case::no_whole_number_of_mib(
        10 * MIB + 3 * SECTOR,
        "truncate --size 9437184 /run/rehearsal-header.a1B2c3",
        "0 18432 linear /dev/loop7 0\n18432 2051 linear /dev/vg/lv 18432\n"
    )]
    #[tokio::test]
    async fn a_dry_run_asks_a_device_of_the_same_size(#[case] volume: u64, #[case] head: &str, #[case] table: &str) {
        let answers = Answers::new(volume, None);
        assert_eq!(answers.dry_run().await, Ok(Room { volume, header: 16 * MIB }));
        let commands = answers.commands.into_inner();
        assert_eq!(commands[2], head);
        assert_eq!(commands[4], format!("dmsetup create rehearsal-dry-run < {table}"));
    }

    #[rstest::rstest]
    #[case::created(
        "dmsetup create",
        "`dmsetup create rehearsal-dry-run` could not be run: status 1: it cannot be done",
        &["losetup --detach /dev/loop7", "rm --force -- /run/rehearsal-header.a1B2c3"]
    )]
    #[case::formatted(
        "cryptsetup --batch-mode luksFormat",
        "`cryptsetup --batch-mode luksFormat --key-file=- --type=luks2 --hash=sha512 --key-size=512 \
         --cipher=aes-xts-plain64 --pbkdf=pbkdf2 --pbkdf-force-iterations=1000 /dev/mapper/rehearsal-dry-run` \
         could not be run: status 1: it cannot be done",
        &[
            "dmsetup remove --retry rehearsal-dry-run",
            "losetup --detach /dev/loop7",
            "rm --force -- /run/rehearsal-header.a1B2c3",
        ]
    )]
    #[tokio::test]
    async fn a_dry_run_that_fails_says_so_and_leaves_nothing_behind(
        #[case] fails: &'static str,
        #[case] words: &str,
        #[case] after: &[&str],
    ) {
        let answers = Answers::new(1024 * MIB, Some(fails));
        assert_eq!(answers.dry_run().await, Err(words.to_owned()));
        let commands = answers.commands.into_inner();
        let failed = commands.iter().position(|command| command.starts_with(fails)).unwrap();
        assert_eq!(commands[failed + 1..], *after);
    }

    #[rstest::rstest]
    #[case::as_in_the_story(Room { volume: 1028 * MIB, header: 2 * MIB }, 1028 * MIB, Some((2 * MIB, 1032 * MIB)))]
    #[case::larger(Room { volume: 1032 * MIB, header: 2 * MIB }, 1028 * MIB, None)]
    #[case::exactly(Room { volume: 1030 * MIB, header: 2 * MIB }, 1028 * MIB, None)]
    #[case::stripes(Room { volume: 68 * MIB, header: 3 * MIB }, 66 * MIB, Some((MIB, 72 * MIB)))]
    #[case::luks2(Room { volume: 68 * MIB, header: 33 * MIB / 2 }, 52 * MIB, Some((MIB / 2, 72 * MIB)))]
    #[case::more_than_numbers_have(Room { volume: MIB, header: u64::MAX }, u64::MAX, Some((u64::MAX - MIB, u64::MAX)))]
    fn a_header_makes_a_volume_smaller(#[case] room: Room, #[case] needed: u64, #[case] expected: Option<(u64, u64)>) {
        assert_eq!(room.holds(needed).err().map(|small| (small.short, small.enough)), expected);
    }

    #[test]
    fn a_volume_without_room_is_told_with_numbers() {
        let error = Room { volume: 1028 * MIB, header: 2 * MIB }.holds(1028 * MIB).unwrap_err();
        insta::assert_snapshot!(error, @"1077936128 bytes do not fit: the volume has 1077936128, its LUKS header takes 2097152 of them, and 2097152 are missing; make it at least 1032 MiB");
    }

    #[test]
    fn the_device_that_is_formatted_has_the_size_of_the_real_one() {
        assert_eq!(table((8, 20), "/dev/loop3", "/dev/vg/lv"), "0 8 linear /dev/loop3 0\n8 12 linear /dev/vg/lv 8\n");
    }

    #[test]
    fn the_dry_run_has_the_options_that_matter() {
        let luks: Luks = serde_json::from_str(r#"{"version": "luks2", "key_size": 256, "pbkdf": "argon2id"}"#).unwrap();
        let command = format_command(&luks, "/dev/mapper/x").join(" ");
        insta::assert_snapshot!(command, @"cryptsetup --batch-mode luksFormat --key-file=- --type=luks2 --hash=sha512 --key-size=256 --cipher=aes-xts-plain64 --pbkdf=pbkdf2 --pbkdf-force-iterations=1000 /dev/mapper/x");
    }

    proptest! {
        /// A volume that is said to be enough is, and one extent less is not.
        #[test]
        fn enough_is_enough(needed in 1_u64..(1800 << 20), header in 1_u64..(20 << 20), volume in 1_u64..(1000 << 20)) {
            let Err(small) = (Room { volume, header }).holds(needed) else { return Ok(()) };
            prop_assert_eq!((Room { volume: small.enough, header }).holds(needed), Ok(()));
            let less = Room { volume: small.enough - (4 << 20), header };
            prop_assert!(less.holds(needed).is_err());
        }
    }
}
