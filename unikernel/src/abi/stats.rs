//! How memory is used. The crate `darner` is what a program calls it through.

use core::slice;

use darner_abi::{Heap, Node, Snapshot};

use super::user::{Errno, UserSlice, answer};
use crate::stats;

/// A part of the snapshot, as the bytes that it is told as.
trait Bytes {
    fn bytes(&self) -> &[u8];
}

macro_rules! bytes {
    ($($type:ty),*) => {$(
        impl Bytes for $type {
            fn bytes(&self) -> &[u8] {
                // SAFETY: 64-bit numbers, without gaps between them.
                unsafe { slice::from_raw_parts((&raw const *self).cast(), size_of::<Self>()) }
            }
        }
    )*};
}

bytes!(Node, Heap);

/// Copies `part`, which is at `offset` of the snapshot, as far as there is room.
fn copy(into: UserSlice, offset: usize, part: &impl Bytes) {
    let bytes = part.bytes();
    let room = into.len().saturating_sub(offset);
    into.copy_out(offset.min(into.len()), &bytes[..bytes.len().min(room)]);
}

fn snapshot(into: *mut Snapshot, bytes: usize) -> Result<i32, Errno> {
    let known = bytes.min(size_of::<Snapshot>());
    let into = UserSlice::new(into.cast_const(), known)?;
    // One by one: a program's stack may be small.
    copy(into, core::mem::offset_of!(Snapshot, node), &stats::node());
    copy(
        into,
        core::mem::offset_of!(Snapshot, program),
        &stats::program(),
    );
    copy(
        into,
        core::mem::offset_of!(Snapshot, kernel),
        &stats::kernel(),
    );
    Ok(known as i32)
}

/// Stores the node in numbers, no more than `bytes` of them: a program may know fewer of
/// them than this kernel, or more. How many bytes were written. EFAULT: this is no memory of
/// the program.
pub extern "C" fn sys_darner_stats(into: *mut Snapshot, bytes: usize) -> i32 {
    answer(snapshot(into, bytes))
}
