//! How much memory this host can give to guests.

/// What can be had without swapping, in bytes (proc(5), `MemAvailable`); none if the kernel does not tell.
pub fn available() -> Option<u64> {
    parse(&fs_err::read_to_string("/proc/meminfo").ok()?)
}

fn parse(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes() {
        let meminfo = "MemTotal:       24684084 kB\nMemAvailable:   23990496 kB\n";
        assert_eq!(parse(meminfo), Some(23_990_496 * 1024));
        assert_eq!(parse("MemTotal: 1 kB"), None);
    }
}
