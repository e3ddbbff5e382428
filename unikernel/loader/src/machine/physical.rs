//! Reading and writing physical memory, which is mapped one to one.

use core::mem::MaybeUninit;
use core::ptr;

/// The bytes at an address.
///
/// # Safety
/// They are RAM or ROM, mapped, and nobody writes them while the loader runs.
pub unsafe fn bytes(start: u64, len: usize) -> &'static [u8] {
    let start = ptr::with_exposed_provenance(start as usize);
    // SAFETY: the caller's promise; physical memory has no other owner.
    unsafe { core::slice::from_raw_parts(start, len) }
}

/// A structure of a known size at an address.
///
/// # Safety
/// As for [`bytes`].
pub unsafe fn array<const N: usize>(start: u64) -> &'static [u8; N] {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    unsafe { &*ptr::with_exposed_provenance(start as usize) }
}

/// The text at an address, up to its NUL.
///
/// # Safety
/// As for [`bytes`]; the text ends.
pub unsafe fn c_string(start: u64) -> &'static core::ffi::CStr {
    // SAFETY: the caller's promise.
    unsafe { core::ffi::CStr::from_ptr(ptr::with_exposed_provenance(start as usize)) }
}

/// Memory to write.
///
/// # Safety
/// It is RAM, mapped, and reserved for the caller alone.
pub unsafe fn room(start: u64, len: usize) -> &'static mut [MaybeUninit<u8>] {
    let start = ptr::with_exposed_provenance_mut(start as usize);
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(start, len) }
}
