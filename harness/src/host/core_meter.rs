//! How much of this host's cores the guests of one case got, stretch by stretch.
//!
//! Whoever starts a guest tells the meter of the task that it runs in, if there is one (`watch`). A stretch ends with each
//! `lap`. Processes are read each second as well, since of one that has ended nothing can be read any more.

use super::core_time::CoreTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often processes are read.
const SAMPLE: Duration = Duration::from_secs(1);

tokio::task_local! {
    static METER: Arc<Mutex<Meter>>;
}

/// What the guest that waited longest got of the cores in a stretch of time, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreShare {
    /// The machine.
    pub machine: String,
    /// How long the stretch was.
    pub seconds: f64,
    /// How long threads of its QEMU ran.
    pub ran: f64,
    /// How long they could have run, and had no core.
    pub waited: f64,
    /// The share of all core time that a hypervisor below this host took, from 0 to 1.
    pub stolen: f64,
}

impl fmt::Display for CoreShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "in {:.1} s machine {} had a core for {:.1} s and waited {:.1} s for one",
            self.seconds, self.machine, self.ran, self.waited
        )?;
        if self.stolen >= 0.01 {
            write!(f, ", with {:.0} % of this host's cores taken from it", self.stolen * 100.0)
        } else {
            Ok(())
        }
    }
}

#[derive(Debug, Default)]
struct Meter {
    machines: BTreeMap<String, Metered>,
    lap: Lap,
}

/// The guests of one machine, one after another.
#[derive(Debug, Default, Clone, Copy)]
struct Metered {
    /// What those had that were replaced.
    before: CoreTime,
    process: u32,
    /// What the last one has had.
    now: CoreTime,
}

#[derive(Debug)]
struct Lap {
    begun: Instant,
    machines: BTreeMap<String, CoreTime>,
    host: HostTime,
}

impl Default for Lap {
    fn default() -> Self {
        Self { begun: Instant::now(), machines: BTreeMap::new(), host: HostTime::now() }
    }
}

/// Does some work; what it starts by `watch` is metered, as far as it does not spawn tasks.
pub async fn metered<T>(work: impl Future<Output = T>) -> T {
    let meter = Arc::new(Mutex::new(Meter::default()));
    let sampling = async {
        loop {
            tokio::time::sleep(SAMPLE).await;
            meter.lock().unwrap_or_else(PoisonError::into_inner).read();
        }
    };
    tokio::select! {
        done = METER.scope(meter.clone(), work) => done,
        () = sampling => unreachable!("it goes on for ever"),
    }
}

/// Meters a process as the guest of a machine from now on. Where nobody meters, nothing happens.
pub(crate) fn watch(machine: &str, process: u32) {
    let _ = METER.try_with(|meter| meter.lock().unwrap_or_else(PoisonError::into_inner).watch(machine, process));
}

/// What the guest that waited longest has had since the last lap; none where nobody meters, or no guest runs.
pub(crate) fn lap() -> Option<CoreShare> {
    METER.try_with(|meter| meter.lock().unwrap_or_else(PoisonError::into_inner).end_lap()).ok().flatten()
}

impl Meter {
    fn watch(&mut self, machine: &str, process: u32) {
        let known = self.machines.entry(machine.to_owned()).or_default();
        *known = Metered { before: known.before.plus(known.now), process, now: CoreTime::default() };
    }

    fn read(&mut self) {
        for metered in self.machines.values_mut() {
            // Of a process that has ended, or whose threads have, the last that was read counts.
            let now = CoreTime::of(metered.process).unwrap_or_default();
            metered.now = CoreTime { ran: metered.now.ran.max(now.ran), waited: metered.now.waited.max(now.waited) };
        }
    }

    fn end_lap(&mut self) -> Option<CoreShare> {
        self.read();
        let totals = self.machines.iter().map(|(name, metered)| (name.clone(), metered.before.plus(metered.now)));
        let lap = Lap { machines: totals.collect(), ..Lap::default() };
        let before = std::mem::replace(&mut self.lap, lap);
        let of_lap = |(name, total): (&String, &CoreTime)| {
            (name.clone(), total.since(before.machines.get(name).copied().unwrap_or_default()))
        };
        let shares = self.lap.machines.iter().map(of_lap);
        let (machine, time) = shares.max_by(|(_, one), (_, other)| one.waited.total_cmp(&other.waited))?;
        let seconds = self.lap.begun.duration_since(before.begun).as_secs_f64();
        let stolen = self.lap.host.stolen_since(before.host);
        Some(CoreShare { machine, seconds, ran: time.ran, waited: time.waited, stolen })
    }
}

/// Time of all cores of this host, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct HostTime {
    all: u64,
    stolen: u64,
}

impl HostTime {
    fn now() -> Self {
        std::fs::read_to_string("/proc/stat").ok().as_deref().and_then(Self::parse).unwrap_or_default()
    }

    /// The line of all cores: user, nice, system, idle, iowait, irq, softirq, steal (proc(5)); what guests use is in user.
    fn parse(stat: &str) -> Option<Self> {
        let mut words = stat.lines().next()?.split_whitespace();
        words.next().filter(|word| *word == "cpu")?;
        let ticks: Vec<u64> = words.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { all: ticks.iter().sum(), stolen: *ticks.get(7)? })
    }

    fn stolen_since(self, before: Self) -> f64 {
        let share = |ticks: u64| f64::from(u32::try_from(ticks).unwrap_or(u32::MAX));
        let all = share(self.all.saturating_sub(before.all));
        if all > 0.0 { share(self.stolen.saturating_sub(before.stolen)) / all } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_hypervisor_takes_is_a_share() {
        let stat = |stolen: u64| format!("cpu  100 0 50 {} 0 0 0 {stolen} 7 0\ncpu0 1 1\n", 850 - stolen);
        let [before, after] = [100, 300].map(|stolen| HostTime::parse(&stat(stolen)).unwrap());
        assert_eq!(before, HostTime { all: 1000, stolen: 100 });
        let after = HostTime { all: after.all + 400, ..after };
        assert!((after.stolen_since(before) - 0.5).abs() < 1e-9);
        assert!(before.stolen_since(before).abs() < 1e-9);
        assert_eq!(HostTime::parse("intr 5"), None);
    }

    #[tokio::test]
    async fn guests_are_metered_by_lap_and_after_their_end() {
        assert_eq!(lap(), None);
        metered(async {
            assert_eq!(lap(), None);
            let mut busy = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
            watch("mail", busy.id());
            let ran = async |least: f64| {
                let mut seen = 0.0;
                while seen < least {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let share = lap().unwrap();
                    assert_eq!(share.machine, "mail");
                    seen += share.ran;
                }
            };
            let within = Duration::from_mins(1);
            tokio::time::timeout(within, ran(0.05)).await.expect("it ran for a minute, and hardly got a core");
            busy.kill().unwrap();
            busy.wait().unwrap();
            let last = lap().unwrap();
            assert!(last.ran >= 0.0 && last.waited >= 0.0, "{last:?}");
            // Another guest takes its place, and begins with nothing.
            watch("mail", std::process::id());
            let own = CoreTime::of(std::process::id()).unwrap();
            let share = lap().unwrap();
            assert!((share.ran - own.ran).abs() < 5.0, "{share:?} {own:?}");
            assert!(lap().unwrap().ran < 5.0);
        })
        .await;
    }

    #[test]
    fn a_share_is_told() {
        let share = CoreShare { machine: "mail".into(), seconds: 10.0, ran: 2.0, waited: 7.5, stolen: 0.0 };
        assert_eq!(share.to_string(), "in 10.0 s machine mail had a core for 2.0 s and waited 7.5 s for one");
        let told = CoreShare { stolen: 0.25, ..share }.to_string();
        assert!(told.ends_with("for one, with 25 % of this host's cores taken from it"), "{told}");
    }
}
