//! Copying, filling, comparing and measuring memory with 16-byte registers.
//!
//! Every x86-64 CPU has SSE2, so there is nothing to detect. String
//! instructions (`rep movsb`) are as fast on recent CPUs but far slower for short
//! blocks, and very slow under an emulator, which runs them byte by byte.
//!
//! The trick that all of these share: a block of `16 < n <= 32` bytes is its first
//! 16 bytes and its last 16 bytes, which may overlap. That needs one branch for
//! a range of sizes and no loop over single bytes. And where every load
//! happens before the first store, source and destination may overlap, too.

pub(crate) mod compare;
pub(crate) mod copy;
pub(crate) mod fill;

use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128};

/// Loads 16 bytes at `p + offset`.
///
/// # Safety
/// Those 16 bytes must be readable.
#[inline(always)]
unsafe fn load(p: *const u8, offset: usize) -> __m128i {
    // SAFETY: the caller answers for the bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(p.add(offset).cast()) }
}

/// Stores 16 bytes at `p + offset`.
///
/// # Safety
/// Those 16 bytes must be writable.
#[inline(always)]
unsafe fn store(p: *mut u8, offset: usize, value: __m128i) {
    // SAFETY: the caller answers for the bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(p.add(offset).cast(), value) }
}
