//! The C names of the functions in `mem`.

use core::ffi::{c_char, c_int};

use crate::mem::{compare, copy, fill};

/// Copies `n` bytes between blocks that do not overlap; returns `dest`.
///
/// # Safety
/// `src` must be readable and `dest` writable for `n` bytes, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's promise is the function's.
    unsafe { copy::copy(dest, src, n) };
    dest
}

/// Copies `n` bytes between blocks that may overlap; returns `dest`.
///
/// # Safety
/// `src` must be readable and `dest` writable for `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's promise is the function's.
    unsafe { copy::copy_overlapping(dest, src, n) };
    dest
}

/// Fills `n` bytes with the low byte of `byte`; returns `dest`.
///
/// # Safety
/// `dest` must be writable for `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(dest: *mut u8, byte: c_int, n: usize) -> *mut u8 {
    // SAFETY: the caller's promise is the function's.
    unsafe { fill::fill(dest, byte as u8, n) };
    dest
}

/// The order of two blocks of `n` bytes: negative, zero or positive.
///
/// # Safety
/// Both must be readable for `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    // SAFETY: the caller's promise is the function's.
    unsafe { compare::compare(a, b, n) }
}

/// Zero when two blocks of `n` bytes are equal.
///
/// # Safety
/// Both must be readable for `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    // SAFETY: the caller's promise is the function's.
    c_int::from(unsafe { compare::differs(a, b, n) })
}

/// The length of a zero-terminated string.
///
/// # Safety
/// `string` must be readable up to and including a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strlen(string: *const c_char) -> usize {
    // SAFETY: the caller's promise is the function's.
    unsafe { compare::string_length(string.cast()) }
}
