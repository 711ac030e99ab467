//! How fast a guest's disk is: fio, through the same block layer of QEMU that a guest would use.
//!
//! qemu-nbd serves the disk, raw or qcow2, with `cache=none` and native AIO, as libvirt's guests of a volume have it, and fio's engine
//! `nbd` is its client. So layerings can be compared that no kernel could mount. Sources: fio(1), section "JSON output"; qemu-nbd(8).

use super::found::Unreadable;
use crate::figures::Figure;
use serde::Deserialize;
use std::time::Duration;

/// So much of the disk is written over and read.
pub const AREA_MIB: u32 = 128;

/// The socket that the disk is served at, while it is measured.
const SOCKET: &str = "/run/fio-disk.sock";

/// What is done, in order, each after the other: the name of the job, its options, and what its figure is called. The first lays the area
/// down: what follows reads and writes what is there. `{seconds}` is how long each of those takes.
const JOBS: [(&str, &str, &str); 4] = [
    ("lay", "--rw=write --bs=1M --iodepth=4 --end_fsync=1", "sequential write"),
    ("read", "--rw=read --bs=1M --iodepth=4 --time_based --runtime={seconds}", "sequential read"),
    ("randread", "--rw=randread --bs=4k --iodepth=8 --time_based --runtime={seconds}", "random read"),
    ("randwrite", "--rw=randwrite --bs=4k --iodepth=8 --fsync=32 --time_based --runtime={seconds}", "random write"),
];

/// What a disk is, for QEMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// A device or a file that holds the disk as it is.
    Raw,
    /// A file that grows.
    Qcow2,
}

/// The shell command that measures the disk at `path`, which is already quoted; what was on it is gone.
#[must_use]
pub fn command(path: &str, format: DiskFormat, each: Duration) -> String {
    let format = match format {
        DiskFormat::Raw => "raw",
        DiskFormat::Qcow2 => "qcow2",
    };
    let seconds = each.as_secs().max(1).to_string();
    let jobs: Vec<_> = JOBS
        .iter()
        .map(|(name, options, _)| format!("--name={name} --stonewall {}", options.replace("{seconds}", &seconds)))
        .collect();
    format!(
        "rm -f {SOCKET}; qemu-nbd --fork --persistent --pid-file={SOCKET}.pid --socket={SOCKET} --cache=none --aio=native \
         --format={format} {path} || exit 1; trap 'kill $(cat {SOCKET}.pid)' EXIT; \
         fio --output-format=json --ioengine=nbd --uri='nbd+unix:///?socket={SOCKET}' --size={AREA_MIB}M {}",
        jobs.join(" ")
    )
}

#[derive(Deserialize)]
struct Output {
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Job {
    jobname: String,
    error: i64,
    read: Direction,
    write: Direction,
}

#[derive(Deserialize)]
struct Direction {
    /// Bytes a second.
    bw_bytes: f64,
    /// Operations a second.
    iops: f64,
}

/// Reads what fio has measured of `subject`. What it says before the JSON is passed over.
pub fn figures(subject: &str, output: &str) -> Result<Vec<Figure>, Unreadable> {
    let unreadable = |reason: String| Unreadable { tool: "fio", reason };
    let begin = output.find('{').ok_or_else(|| unreadable("there is no JSON in it".into()))?;
    let parsed: Output = serde_json::from_str(&output[begin..]).map_err(|error| unreadable(error.to_string()))?;
    JOBS.iter()
        .map(|(name, options, quantity)| {
            let job = parsed.jobs.iter().find(|job| job.jobname == *name);
            let job = job.ok_or_else(|| unreadable(format!("there is no job {name}")))?;
            let did = if options.contains("read ") { &job.read } else { &job.write };
            if job.error != 0 || did.iops <= 0.0 {
                return Err(unreadable(format!("job {name} has done nothing, with error {}", job.error)));
            }
            let (value, unit) = if options.contains("=rand") {
                (did.iops, "of 4 KiB a second")
            } else {
                (did.bw_bytes / f64::from(1 << 20), "MiB a second")
            };
            Ok(Figure { subject: subject.into(), quantity: (*quantity).into(), value, unit: unit.into() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, read: f64, write: f64) -> String {
        format!(
            r#"{{"jobname": "{name}", "error": 0, "elapsed": 3, "read": {{"bw_bytes": {}, "iops": {read}}}, "write": {{"bw_bytes": {}, "iops": {write}}}}}"#,
            read * 1_048_576.0,
            write * 1_048_576.0
        )
    }

    fn output() -> String {
        let jobs =
            [job("lay", 0.0, 40.0), job("read", 80.0, 0.0), job("randread", 900.0, 0.0), job("randwrite", 0.0, 300.0)];
        format!("note: both iodepth >= 1\n{{\"fio version\": \"fio-3.33\", \"jobs\": [{}]}}", jobs.join(", "))
    }

    #[test]
    fn each_job_has_its_figure() {
        let figures: Vec<_> = figures("plain", &output()).unwrap();
        let told: Vec<_> = figures.iter().map(|it| format!("{} {} {}", it.quantity, it.value, it.unit)).collect();
        assert_eq!(
            told,
            [
                "sequential write 40 MiB a second",
                "sequential read 80 MiB a second",
                "random read 900 of 4 KiB a second",
                "random write 300 of 4 KiB a second"
            ]
        );
    }

    #[rstest::rstest]
    #[case::silent("", "there is no JSON")]
    #[case::another("{}", "missing field")]
    #[case::a_job_that_is_not_there(r#"{"jobs": []}"#, "there is no job lay")]
    #[case::idle(&output().replace("\"iops\": 300", "\"iops\": 0"), "randwrite has done nothing")]
    #[case::an_error(&output().replacen("\"error\": 0", "\"error\": 5", 1), "lay has done nothing, with error 5")]
    fn what_is_no_measurement_is_named(#[case] output: &str, #[case] words: &str) {
        let error = figures("plain", output).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn the_command() {
        insta::assert_snapshot!(command("'/dev/volgrp4/bench'", DiskFormat::Raw, Duration::from_secs(8)));
    }
}
