//! `memcpy` and `memmove`.

use super::{load, store};

/// Copies `n` bytes between blocks that do not overlap.
///
/// # Safety
/// `src` must be readable and `dest` writable for `n` bytes, without overlap.
#[inline(always)]
pub(crate) unsafe fn copy(dest: *mut u8, src: *const u8, n: usize) {
    // SAFETY: as promised by the caller.
    unsafe {
        if n <= 64 {
            copy_short(dest, src, n);
        } else {
            copy_forward(dest, src, n);
        }
    }
}

/// Copies `n` bytes between blocks that may overlap.
///
/// # Safety
/// `src` must be readable and `dest` writable for `n` bytes.
#[inline(always)]
pub(crate) unsafe fn copy_overlapping(dest: *mut u8, src: *const u8, n: usize) {
    // `dest` inside `src..src + n`: going forward would overwrite what is still
    // to be read. (When `dest` is below `src` the difference wraps to a huge one.)
    let backward = dest.addr().wrapping_sub(src.addr()) < n;
    // SAFETY: as promised by the caller; each way is right for its overlap.
    unsafe {
        if n <= 64 {
            copy_short(dest, src, n);
        } else if backward {
            copy_backward(dest, src, n);
        } else {
            copy_forward(dest, src, n);
        }
    }
}

/// Up to 64 bytes, overlapping or not: all loads come before the first store.
///
/// # Safety
/// As for [`copy_overlapping`], with `n <= 64`.
#[inline(always)]
unsafe fn copy_short(dest: *mut u8, src: *const u8, n: usize) {
    // SAFETY: in every branch each access ends at or before byte `n`.
    unsafe {
        if n >= 16 {
            let (first, last) = (load(src, 0), load(src, n - 16));
            if n > 32 {
                let (second, third) = (load(src, 16), load(src, n - 32));
                store(dest, 16, second);
                store(dest, n - 32, third);
            }
            store(dest, 0, first);
            store(dest, n - 16, last);
        } else if n >= 8 {
            copy_ends::<u64>(dest, src, n);
        } else if n >= 4 {
            copy_ends::<u32>(dest, src, n);
        } else if n >= 2 {
            copy_ends::<u16>(dest, src, n);
        } else if n == 1 {
            *dest = *src;
        }
    }
}

/// The first and the last `size_of::<T>()` of `n` bytes.
///
/// # Safety
/// As for [`copy_overlapping`], with `size_of::<T>() <= n <= 2 * size_of::<T>()`.
#[inline(always)]
unsafe fn copy_ends<T: Copy>(dest: *mut u8, src: *const u8, n: usize) {
    let end = n - size_of::<T>();
    // SAFETY: both halves lie within the `n` bytes.
    unsafe {
        let first = src.cast::<T>().read_unaligned();
        let last = src.add(end).cast::<T>().read_unaligned();
        dest.cast::<T>().write_unaligned(first);
        dest.add(end).cast::<T>().write_unaligned(last);
    }
}

/// More than 64 bytes, from low to high.
///
/// The last 64 bytes are read before anything is written and written after
/// everything else, because an overlapping destination may reach into them.
///
/// # Safety
/// As for [`copy_overlapping`], with `n > 64` and `dest` not in `src + 1..src + n`.
#[inline(always)]
unsafe fn copy_forward(dest: *mut u8, src: *const u8, n: usize) {
    // SAFETY: the loop touches `offset..offset + 64` only while `offset + 64 < n`,
    // the rest is the last 64 of more than 64 bytes.
    unsafe {
        let head = load(src, 0);
        let tail = n - 64;
        let t0 = load(src, tail);
        let t1 = load(src, tail + 16);
        let t2 = load(src, tail + 32);
        let t3 = load(src, tail + 48);
        // Whole destination lines: a store across two cache lines costs double.
        let mut offset = 16 - dest.addr() % 16;
        while offset < tail {
            let a = load(src, offset);
            let b = load(src, offset + 16);
            let c = load(src, offset + 32);
            let d = load(src, offset + 48);
            store(dest, offset, a);
            store(dest, offset + 16, b);
            store(dest, offset + 32, c);
            store(dest, offset + 48, d);
            offset += 64;
        }
        store(dest, tail, t0);
        store(dest, tail + 16, t1);
        store(dest, tail + 32, t2);
        store(dest, tail + 48, t3);
        store(dest, 0, head);
    }
}

/// More than 64 bytes, from high to low: [`copy_forward`] mirrored.
///
/// # Safety
/// As for [`copy_overlapping`], with `n > 64` and `dest` not below `src` within it.
#[inline(always)]
unsafe fn copy_backward(dest: *mut u8, src: *const u8, n: usize) {
    // SAFETY: the loop touches `end - 64..end` only while `end > 64`, the rest is
    // the first 64 of more than 64 bytes.
    unsafe {
        let last = load(src, n - 16);
        let h0 = load(src, 0);
        let h1 = load(src, 16);
        let h2 = load(src, 32);
        let h3 = load(src, 48);
        let mut end = n - dest.addr().wrapping_add(n) % 16;
        while end > 64 {
            let a = load(src, end - 16);
            let b = load(src, end - 32);
            let c = load(src, end - 48);
            let d = load(src, end - 64);
            store(dest, end - 16, a);
            store(dest, end - 32, b);
            store(dest, end - 48, c);
            store(dest, end - 64, d);
            end -= 64;
        }
        store(dest, 0, h0);
        store(dest, 16, h1);
        store(dest, 32, h2);
        store(dest, 48, h3);
        store(dest, n - 16, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block whose every byte tells its place.
    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
    }

    #[test]
    fn copies_every_length_and_alignment_and_no_more() {
        let source = pattern(400);
        for n in (0..=200).chain([255, 256, 257, 300]) {
            for from in [0, 1, 7, 15] {
                for to in 0..17 {
                    let mut got = vec![0xee; 400];
                    let mut want = got.clone();
                    want[to..to + n].copy_from_slice(&source[from..from + n]);
                    // SAFETY: both vectors have 400 bytes, more than is asked for.
                    unsafe { copy(got.as_mut_ptr().add(to), source.as_ptr().add(from), n) };
                    assert!(got == want, "n {n} from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn overlapping_copies_behave_as_if_through_a_buffer() {
        for n in (0..=200).chain([1000]) {
            for from in [0, 1, 2, 15, 16, 17, 63, 64, 65, 100, 129] {
                for to in [0, 1, 3, 16, 31, 64, 66, 101, 128, 130] {
                    let mut got = pattern(1200);
                    let mut want = got.clone();
                    want.copy_within(from..from + n, to);
                    let base = got.as_mut_ptr();
                    // SAFETY: the vector has 1200 bytes, more than is asked for.
                    unsafe { copy_overlapping(base.add(to), base.add(from), n) };
                    assert!(got == want, "n {n} from {from} to {to}");
                }
            }
        }
    }
}
