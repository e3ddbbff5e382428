//! What becomes of memory, by the program `heap-tour`: on more and fewer CPUs than the host
//! has.

use super::case::Case;
use super::scenario::Scenario;

/// MiB of a machine that is short of memory.
const SHORT: u64 = 24;

/// Each on 1, 2, 4 and 8 CPUs.
pub fn cases() -> Vec<Case> {
    [1, 2, 4, 8].into_iter().flat_map(on).collect()
}

fn on(cpus: u32) -> Vec<Case> {
    let host = std::thread::available_parallelism().map_or(1, usize::from);
    let part = |part: &'static str| {
        Scenario::new(format!("memory/{part}/{cpus}cpu"), "heap-tour", &[part])
            .cpus(cpus)
            .in_turns(cpus as usize > host)
    };
    let holds = |name: &'static str| part(name).prints(format!("ok     {name}: "));
    let fails = |name: &'static str, bytes: u64| {
        part(name)
            .memory(SHORT)
            .prints("about to run out of memory")
            .program_panics()
            .reports(format!("memory allocation of {bytes} bytes failed"))
            .traces("shortage::")
    };
    let scenarios = [
        holds("call"),
        holds("giving-back").memory(512),
        holds("quiet"),
        holds("left-alone"),
        holds("handing-over"),
        holds("shortage").memory(SHORT),
        fails("exhaustion", 4096),
        fails("too-much", 1 << 30),
    ];
    scenarios.map(Scenario::case).into()
}
