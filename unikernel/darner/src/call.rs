//! The call of the kernel.

use darner_abi::Snapshot;

unsafe extern "C" {
    /// See `unikernel/src/abi/stats.rs`.
    fn sys_darner_stats(into: *mut Snapshot, bytes: usize) -> i32;
}

/// The node in numbers. Those that the kernel does not know are 0.
pub fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::default();
    // SAFETY: the kernel writes so many bytes at most, of numbers any of which is valid. It
    // refuses bad pointers only, which this is not.
    unsafe { sys_darner_stats(&mut snapshot, size_of::<Snapshot>()) };
    snapshot
}
