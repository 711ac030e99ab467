//! Figures of repeated measurements, and the table that people read.

use serde::Serialize;
use std::time::Duration;

/// Seconds of one measurement, repeated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seconds(Vec<f64>);

impl Seconds {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64());
    }

    /// The middle one; of two middle ones the mean. 0 without any.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => 0.0,
            count if count % 2 == 1 => sorted[count / 2],
            count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
        }
    }

    /// Median, least and most, for a table.
    pub(crate) fn text(&self) -> String {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(0.0, f64::max);
        match self.0.len() {
            0 => "—".into(),
            1 => format!("{:.2} s (once)", self.median()),
            count => format!("{:.2} s ({least:.2}–{most:.2}, {count} times)", self.median()),
        }
    }
}

/// What copies of one machine take in memory, on average.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Clones {
    pub(crate) count: usize,
    /// Proportional set size of each: shared pages are divided by those who share them.
    pub(crate) pss_mib: f64,
    /// What belongs to each alone.
    pub(crate) private_dirty_mib: f64,
    pub(crate) guest_ram_mib: u32,
}

/// Proportional set size and private dirty memory of a process, in MiB (proc(5), `smaps_rollup`).
pub(crate) fn memory_of(pid: u32) -> anyhow::Result<(f64, f64)> {
    let path = format!("/proc/{pid}/smaps_rollup");
    Ok(parse_rollup(&fs_err::read_to_string(path)?))
}

fn parse_rollup(text: &str) -> (f64, f64) {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        kilobytes.unwrap_or(0.0) / 1024.0
    };
    (field("Pss"), field("Private_Dirty"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let seconds = |values: &[u64]| {
            let mut seconds = Seconds::default();
            for value in values {
                seconds.add(Duration::from_secs(*value));
            }
            seconds
        };
        assert_eq!(seconds(&[9, 1, 2]).text(), "2.00 s (1.00–9.00, 3 times)");
        assert_eq!(seconds(&[1, 2]).text(), "1.50 s (1.00–2.00, 2 times)");
        assert_eq!(seconds(&[4]).text(), "4.00 s (once)");
        assert_eq!(seconds(&[]).text(), "—");
    }

    #[test]
    fn a_rollup_is_read_in_mib() {
        let text = "559 [rollup]\nRss:    500000 kB\nPss:    2048 kB\nPss_Dirty: 1 kB\nPrivate_Clean: 4 kB\nPrivate_Dirty:     1536 kB\n";
        assert_eq!(parse_rollup(text), (2.0, 1.5));
    }
}
