//! What crosses the border between the program and the kernel: memory of the
//! program, and results.
//!
//! The kernel makes no reference into memory of the program. It copies, by the
//! types of this file, and never with a lock held: an access may fault. An
//! address that the program has no memory at ends the program with a report of
//! the fault, exactly as an access of its own would.

use alloc::vec::Vec;
use core::ffi::c_char;
use core::mem::{MaybeUninit, size_of};
use core::ptr;
use core::sync::atomic::Ordering;

use darner_ramfs::PATH_MAX;
use hermit_abi::{
    EFAULT, ENAMETOOLONG, ENOMEM, IOV_MAX, iovec, pollfd, sockaddr_in, sockaddr_in6, stat, timespec,
};

use crate::layout::{SLICE_SIZE, SLICES_BASE, SLICES_BIT, SLICES_END};
use crate::sched;

/// Nothing of the program is below this address: a null pointer, or a small
/// offset to one.
const LOWEST: usize = 0x1000;
/// The first address behind the lower half, which is the program's. What follows
/// is not an address at all, then the kernel's private memory.
const LOWER_HALF_END: usize = 1 << 47;
unsafe extern "C" {
    #[link_name = "__start_kdata"]
    static KDATA_START: u8;
    #[link_name = "__stop_kdata"]
    static KDATA_END: u8;
    #[link_name = "__start_kbss"]
    static KBSS_START: u8;
    #[link_name = "__stop_kbss"]
    static KBSS_END: u8;
}

/// Whether any of `start..end` holds variables of the kernel: they lie between the
/// program's, in the lower half.
pub fn is_kernels(start: usize, end: usize) -> bool {
    let overlaps = |from: *const u8, to: *const u8| start < to.addr() && from.addr() < end;
    overlaps(&raw const KDATA_START, &raw const KDATA_END)
        || overlaps(&raw const KBSS_START, &raw const KBSS_END)
}

/// The quick look at a range that nearly all ranges pass: whether it begins in the slices of
/// the cluster heap, where all of the program's memory is but its image, and is no longer
/// than one of them. If it leaves the last one, it does so into the gap between the halves,
/// where an access faults.
#[inline(always)]
fn is_in_slices(start: usize, len: usize) -> bool {
    const { assert!(SLICES_END as usize == LOWER_HALF_END && SLICES_BASE == 1 << SLICES_BIT) };
    start >> SLICES_BIT == 1 && len <= SLICE_SIZE as usize
}

/// A positive error number: why the program does not get what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl From<darner_ramfs::Error> for Errno {
    fn from(error: darner_ramfs::Error) -> Self {
        Self(error.errno())
    }
}

/// The result as programs get it: a value, or the error number made negative.
/// The thread's last error is set as well.
#[inline]
pub fn answer(result: Result<i32, Errno>) -> i32 {
    result.unwrap_or_else(refuse)
}

/// [`answer`] for a call that failed.
#[cold]
#[inline(never)]
fn refuse(Errno(code): Errno) -> i32 {
    sched::current().kept.errno.store(code, Ordering::Relaxed);
    -code
}

/// [`answer`] for a number of bytes or an offset.
pub fn answer_size(result: Result<usize, Errno>) -> isize {
    match result {
        // No object is larger than `isize::MAX`, and no file offset either.
        Ok(size) => size as isize,
        Err(errno) => answer(Err(errno)) as isize,
    }
}

/// A range of the program's memory: its bounds were checked, nothing else.
#[derive(Clone, Copy, Debug)]
pub struct UserSlice {
    start: usize,
    len: usize,
}

impl UserSlice {
    /// The `len` bytes at `start`. EFAULT if the pointer is null, the range wraps
    /// around, or any of it lies outside the lower half or is the kernel's. No bytes are fine
    /// anywhere.
    #[inline]
    pub fn new<T>(start: *const T, len: usize) -> Result<Self, Errno> {
        let slice = Self {
            start: start.addr(),
            len,
        };
        if is_in_slices(slice.start, len) || slice.is_programs() {
            Ok(slice)
        } else {
            Err(Errno(EFAULT))
        }
    }

    /// The check of [`UserSlice::new`] for memory anywhere.
    #[cold]
    #[inline(never)]
    fn is_programs(self) -> bool {
        let Some(end) = self.start.checked_add(self.len) else {
            return false;
        };
        self.len == 0
            || (self.start >= LOWEST && end <= LOWER_HALF_END && !is_kernels(self.start, end))
    }

    /// How many bytes it has.
    pub fn len(self) -> usize {
        self.len
    }

    /// Copies the bytes from `offset` on out of the program's memory.
    pub fn copy_in(self, offset: usize, into: &mut [u8]) {
        let from = self.at(offset, into.len());
        // SAFETY: `at` found the range inside the slice, so it is in the lower
        // half; `into` is memory that the kernel took for this copy and gave to
        // nobody. What is not mapped faults, which ends the program.
        unsafe { ptr::copy(from.cast_const(), into.as_mut_ptr(), into.len()) }
    }

    /// Copies `from` into the program's memory, beginning at `offset`.
    pub fn copy_out(self, offset: usize, from: &[u8]) {
        let into = self.at(offset, from.len());
        // SAFETY: as in `copy_in`. The program asked for its memory to be written
        // here; what is read-only or not mapped faults, which ends the program.
        unsafe { ptr::copy(from.as_ptr(), into, from.len()) }
    }

    /// The address of `len` bytes at `offset`, which must lie inside.
    fn at(self, offset: usize, len: usize) -> *mut u8 {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(inside, "a copy stays inside the range that was checked");
        ptr::with_exposed_provenance_mut(self.start + offset)
    }
}

/// Ranges of the program's memory that are used one after the other, as if they
/// were one.
#[derive(Clone, Copy)]
pub struct UserBuffer<'a> {
    parts: &'a [UserSlice],
    len: usize,
}

impl<'a> UserBuffer<'a> {
    /// Puts the parts together, at most [`IOV_MAX`] of them.
    pub fn new(parts: &'a [UserSlice]) -> Self {
        debug_assert!(parts.len() <= IOV_MAX, "as many as a call may have");
        // 1024 parts below 2^47 bytes: the sum is far from overflowing.
        let len = parts.iter().map(|part| part.len()).sum();
        Self { parts, len }
    }

    /// How many bytes all parts have.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Copies the bytes from `offset` on out of the program's memory.
    pub fn copy_in(&self, offset: usize, into: &mut [u8]) {
        self.for_each_part(offset, into.len(), |part, at, range| {
            part.copy_in(at, &mut into[range]);
        });
    }

    /// As [`Self::copy_in`], to memory that has no content yet. All of it has, then.
    pub fn copy_in_uninit(&self, offset: usize, into: &mut [MaybeUninit<u8>]) {
        // SAFETY: `copy_in` writes all bytes, and reads none.
        let into = unsafe { core::slice::from_raw_parts_mut(into.as_mut_ptr().cast(), into.len()) };
        self.copy_in(offset, into);
    }

    /// Copies `from` into the program's memory, beginning at `offset`.
    pub fn copy_out(&self, offset: usize, from: &[u8]) {
        self.for_each_part(offset, from.len(), |part, at, range| {
            part.copy_out(at, &from[range])
        });
    }

    /// Calls `copy` with each part that the `len` bytes at `offset` touch, where
    /// in the part they begin, and which of the bytes they are.
    fn for_each_part(
        &self,
        offset: usize,
        len: usize,
        mut copy: impl FnMut(UserSlice, usize, core::ops::Range<usize>),
    ) {
        let (mut skip, mut done) = (offset, 0);
        for &part in self.parts {
            if done == len {
                return;
            }
            if skip >= part.len() {
                skip -= part.len();
                continue;
            }
            let count = (part.len() - skip).min(len - done);
            copy(part, skip, done..done + count);
            done += count;
            skip = 0;
        }
        assert_eq!(
            done, len,
            "a copy stays inside the ranges that were checked"
        );
    }
}

/// Types that may be copied from and to the program's memory as they are.
///
/// # Safety
/// Every combination of bits must be a value of the type.
pub unsafe trait Plain: Copy {}

// SAFETY: integers, and structures of integers and raw pointers.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for sockaddr_in {}
// SAFETY: as above.
unsafe impl Plain for sockaddr_in6 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for usize {}
// SAFETY: as above.
unsafe impl Plain for timespec {}
// SAFETY: as above.
unsafe impl Plain for iovec {}
// SAFETY: as above.
unsafe impl Plain for pollfd {}
// SAFETY: as above.
unsafe impl Plain for stat {}

/// Reads a value that the program has at `from`, however it is aligned.
pub fn read<T: Plain>(from: *const T) -> Result<T, Errno> {
    UserSlice::new(from, size_of::<T>())?;
    // SAFETY: the range is in the lower half, where what is not mapped faults and
    // ends the program; any bits are a `T`.
    Ok(unsafe { from.read_unaligned() })
}

/// Stores a value for the program at `into`, however that is aligned.
pub fn write<T: Plain>(into: *mut T, value: T) -> Result<(), Errno> {
    UserSlice::new(into, size_of::<T>())?;
    // SAFETY: the range is in the lower half, where what is read-only or not
    // mapped faults and ends the program.
    unsafe { into.write_unaligned(value) };
    Ok(())
}

/// Copies a path, which ends at its first zero byte, without that byte.
pub fn path(from: *const c_char) -> Result<Vec<u8>, Errno> {
    let mut path = Vec::new();
    loop {
        // Byte by byte: behind the zero there may be no memory.
        let position = from.wrapping_add(path.len());
        UserSlice::new(position, 1)?;
        // SAFETY: as in `read`.
        let byte = unsafe { position.cast::<u8>().read() };
        if byte == 0 {
            return Ok(path);
        }
        if path.len() + 1 == PATH_MAX {
            return Err(Errno(ENAMETOOLONG));
        }
        path.try_reserve(1).map_err(|_| Errno(ENOMEM))?;
        path.push(byte);
    }
}
