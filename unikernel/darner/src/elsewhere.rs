//! What Linux tells.

use std::fs;

use darner_abi::{Memory, Stats};

/// The machine, and the process.
pub fn stats() -> Stats {
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let process = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of_machine = |name| bytes(&machine, name).unwrap_or(0);
    Stats {
        cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64),
        memory: Memory {
            total: of_machine("MemTotal"),
            free: of_machine("MemAvailable"),
        },
        resident: bytes(&process, "VmRSS"),
        ..Stats::default()
    }
}

/// The value of a line `Name:   123 kB`, in bytes.
fn bytes(text: &str, name: &str) -> Option<u64> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::{bytes, stats};

    #[test]
    fn lines_of_proc_are_understood() {
        let text = "MemTotal:       16 kB\nMemTotalNot: 3 kB\nVmRSS:\t    2 kB\nThreads:\t1\n";
        assert_eq!(bytes(text, "MemTotal"), Some(16 << 10));
        assert_eq!(bytes(text, "VmRSS"), Some(2 << 10));
        assert_eq!(bytes(text, "Threads"), None);
        assert_eq!(bytes(text, "Mem"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_that_is_touched_is_resident() {
        const BYTES: usize = 64 << 20;
        let before = stats();
        let block = black_box(vec![1_u8; BYTES]);
        let after = stats();
        drop(block);
        assert!(before.memory.total >= before.memory.free && before.memory.free > 0);
        assert!(before.program.is_none() && before.kernel.is_none());
        let grown = after
            .resident
            .unwrap()
            .saturating_sub(before.resident.unwrap());
        assert!(grown >= BYTES as u64 / 2, "{grown} bytes more");
    }
}
