//! The calls of the kernel. What each does is said where the kernel has it: `unikernel/src/abi/stats.rs`
//! and `cluster.rs`.

use std::mem::size_of_val;

use darner_abi::{NodeStatistics, Snapshot, WORDS};

unsafe extern "C" {
    fn sys_darner_stats(into: *mut Snapshot, bytes: usize) -> i32;
    safe fn sys_darner_nodes() -> u32;
    safe fn sys_darner_here() -> u32;
    safe fn sys_darner_cpus(node: u32) -> u32;
    fn sys_darner_place(number: i32, before: *mut i32) -> i32;
    fn sys_darner_prefetch(start: *const u8, bytes: usize, write: u32) -> isize;
    safe fn sys_darner_drain(node: u32) -> i32;
    safe fn sys_darner_echo(node: u32) -> i32;
    fn sys_darner_count(node: u32, into: *mut u64, words: usize) -> i32;
}

/// The node in numbers. Those that the kernel does not know are 0.
pub fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::default();
    // SAFETY: the kernel writes so many bytes at most, of numbers any of which is valid. It
    // refuses bad pointers only, which this is not.
    unsafe { sys_darner_stats(&mut snapshot, size_of::<Snapshot>()) };
    snapshot
}

/// How many nodes there are.
pub fn nodes() -> u16 {
    sys_darner_nodes().try_into().unwrap_or(u16::MAX)
}

/// The calling thread's node.
pub fn here() -> u16 {
    sys_darner_here().try_into().unwrap_or(u16::MAX)
}

/// CPUs of a node.
pub fn cpus(node: u16) -> usize {
    sys_darner_cpus(node.into()) as usize
}

/// Says where the calling thread's threads come up; what it was before. `None`: there is no such place.
pub fn place(number: i32) -> Option<i32> {
    let mut before = 0;
    // SAFETY: the kernel writes one number there.
    let status = unsafe { sys_darner_place(number, &mut before) };
    (status == 0).then_some(before)
}

/// Asks for memory ahead.
pub fn prefetch<T>(what: &[T], write: bool) {
    // SAFETY: the kernel neither reads nor writes any of it.
    unsafe { sys_darner_prefetch(what.as_ptr().cast(), size_of_val(what), write.into()) };
}

/// Asks a node for as many bytes as a page has. Whether it has answered.
pub fn echo(node: u16) -> bool {
    sys_darner_echo(node.into()) == 0
}

/// Has a node drain. The error number, if it does not.
pub fn drain(node: u16) -> Result<(), i32> {
    match sys_darner_drain(node.into()) {
        0 => Ok(()),
        error => Err(-error),
    }
}

/// What a node has counted.
pub fn count(node: u16) -> NodeStatistics {
    let mut counted = NodeStatistics::default();
    // SAFETY: the kernel writes so many numbers at most, any of which is valid.
    unsafe { sys_darner_count(node.into(), counted.words_mut().as_mut_ptr(), WORDS) };
    counted
}
