//! Memory for the program: its heap, and mapped ranges.

use core::alloc::Layout;
use core::ptr::{NonNull, null_mut};

use hermit_abi::{EACCES, EINVAL, ENOMEM};

use super::user::{self, Errno, answer};
use crate::memory::paging::Rights;
use crate::memory::regions::{self, Content};
use crate::memory::{heap, program_heap, stacks};
use crate::sched;

const PROT_READ: u32 = 1;
const PROT_WRITE: u32 = 2;
const PROT_EXEC: u32 = 4;

/// Runs `attempt`; when there is no memory, once more after everything that was
/// kept for later has been given back. Thread context, no lock held.
#[inline(always)]
pub(super) fn with_reclaim<T>(attempt: impl Fn() -> Option<T>) -> Option<T> {
    attempt().or_else(|| {
        reclaim();
        attempt()
    })
}

#[cold]
#[inline(never)]
fn reclaim() {
    sched::reap();
    stacks::release_kept();
    // SAFETY: thread context, no lock held: the program calls.
    let leave = unsafe { sched::leave() };
    heap::reclaim_everywhere(&leave);
}

/// A block of that layout, by `allocate`; null if there is none, or there is no such layout.
#[inline(always)]
fn block(size: usize, align: usize, allocate: impl Fn(Layout) -> *mut u8) -> *mut u8 {
    let Ok(layout) = Layout::from_size_align(size, align) else {
        return null_mut();
    };
    let block = with_reclaim(|| NonNull::new(allocate(layout)));
    block.map_or(null_mut(), NonNull::as_ptr)
}

/// `size` bytes of the program's heap, aligned to `align`; null: there are none,
/// or `align` is not a power of two. What [`sys_malloc`](super::malloc::sys_malloc) does,
/// without its short way.
pub extern "C" fn sys_alloc(size: usize, align: usize) -> *mut u8 {
    block(size, align, program_heap::allocate)
}

/// As [`sys_alloc`], filled with zeros.
pub extern "C" fn sys_alloc_zeroed(size: usize, align: usize) -> *mut u8 {
    block(size, align, program_heap::allocate_zeroed)
}

/// Changes the size of a block, which may move it. Null: there is no memory, and
/// the block is as it was.
///
/// # Safety
/// The block came from this heap with `size` and `align`.
pub unsafe extern "C" fn sys_realloc(
    ptr: *mut u8,
    size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    let Some(old) = NonNull::new(ptr) else {
        return sys_alloc(new_size, align);
    };
    let Ok(layout) = Layout::from_size_align(size, align) else {
        return null_mut();
    };
    if new_size == 0 {
        // SAFETY: as the caller says.
        unsafe { program_heap::deallocate(ptr, layout) };
        return null_mut();
    }
    if Layout::from_size_align(new_size, align).is_err() {
        return null_mut();
    }
    // SAFETY: as the caller says; after a failure the block is as it was.
    let new =
        with_reclaim(|| NonNull::new(unsafe { program_heap::reallocate(old, layout, new_size) }));
    new.map_or(null_mut(), NonNull::as_ptr)
}

/// Gives a block back; null is nothing. What [`sys_free`](super::malloc::sys_free) does,
/// without its short way.
///
/// # Safety
/// The block came from this heap with `size` and `align` and is not used any more.
pub unsafe extern "C" fn sys_dealloc(ptr: *mut u8, size: usize, align: usize) {
    if let Ok(layout) = Layout::from_size_align(size, align) {
        // SAFETY: passed on to the caller.
        unsafe { program_heap::deallocate(ptr, layout) };
    }
}

/// What the protection bits allow. Nothing is writable and executable.
fn rights(protection: u32) -> Result<Rights, Errno> {
    match protection {
        0 => Ok(Rights::None),
        PROT_READ => Ok(Rights::Const),
        PROT_WRITE => Ok(Rights::Data),
        bits if bits == PROT_READ | PROT_WRITE => Ok(Rights::Data),
        bits if bits & !(PROT_READ | PROT_EXEC) == 0 => Ok(Rights::Text),
        bits if bits & !(PROT_READ | PROT_WRITE | PROT_EXEC) == 0 => Err(Errno(EACCES)),
        _ => Err(Errno(EINVAL)),
    }
}

fn mmap(size: usize, protection: u32, ret: *mut *mut u8) -> Result<i32, Errno> {
    let rights = rights(protection)?;
    if size == 0 {
        return Err(Errno(EINVAL));
    }
    let start =
        with_reclaim(|| regions::map(size as u64, rights, Content::Zeroed)).ok_or(Errno(ENOMEM))?;
    user::write(ret.cast::<usize>(), start as usize)?;
    Ok(0)
}

/// Maps `size` bytes (rounded up to pages) of zeros and stores where.
pub extern "C" fn sys_mmap(size: usize, prot_flags: u32, ret: *mut *mut u8) -> i32 {
    answer(mmap(size, prot_flags, ret))
}

/// Unmaps what one [`sys_mmap`] mapped.
pub extern "C" fn sys_munmap(ptr: *mut u8, size: usize) -> i32 {
    let done = regions::unmap(ptr.addr() as u64, size as u64);
    answer(done.map(|()| 0).map_err(|_| Errno(EINVAL)))
}

/// Changes what may be done with pages of one mapping.
pub extern "C" fn sys_mprotect(ptr: *mut u8, size: usize, prot_flags: u32) -> i32 {
    let done = rights(prot_flags).and_then(|rights| {
        regions::protect(ptr.addr() as u64, size as u64, rights).map_err(|_| Errno(EINVAL))
    });
    answer(done.map(|()| 0))
}
