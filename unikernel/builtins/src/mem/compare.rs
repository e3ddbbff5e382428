//! `memcmp`, `bcmp` and `strlen`.

use core::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_load_si128, _mm_movemask_epi8, _mm_setzero_si128,
};

use super::load;

/// One bit for each of 16 bytes: set where `a` and `b` agree.
#[inline(always)]
fn equal_bytes(a: __m128i, b: __m128i) -> u32 {
    // SAFETY: register arithmetic of SSE2, which every x86-64 CPU has.
    let bits = unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(a, b)) };
    bits.cast_unsigned()
}

/// The mask of [`equal_bytes`] when all agree.
const ALL: u32 = 0xffff;

/// Negative, zero or positive as the `n` bytes at `a` are less than, equal to or
/// greater than those at `b`, the first differing byte deciding.
///
/// # Safety
/// Both must be readable for `n` bytes.
#[inline(always)]
pub(crate) unsafe fn compare(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut offset = 0;
    // SAFETY: every access below ends at or before byte `n`.
    unsafe {
        while offset + 16 <= n {
            let equal = equal_bytes(load(a, offset), load(b, offset));
            if equal != ALL {
                let at = offset + equal.trailing_ones() as usize;
                return i32::from(*a.add(at)) - i32::from(*b.add(at));
            }
            offset += 16;
        }
        if n >= 16 && offset < n {
            // The last 16 bytes: some have been compared and are equal.
            let offset = n - 16;
            let equal = equal_bytes(load(a, offset), load(b, offset));
            if equal == ALL {
                return 0;
            }
            let at = offset + equal.trailing_ones() as usize;
            return i32::from(*a.add(at)) - i32::from(*b.add(at));
        }
        if offset + 8 <= n {
            let x = a.add(offset).cast::<u64>().read_unaligned();
            let y = b.add(offset).cast::<u64>().read_unaligned();
            if x != y {
                return order(x.swap_bytes(), y.swap_bytes());
            }
            offset += 8;
        }
        while offset < n {
            let (x, y) = (*a.add(offset), *b.add(offset));
            if x != y {
                return i32::from(x) - i32::from(y);
            }
            offset += 1;
        }
    }
    0
}

/// The sign of `x - y` for two different numbers.
#[inline(always)]
fn order(x: u64, y: u64) -> i32 {
    if x < y { -1 } else { 1 }
}

/// Whether any of the `n` bytes differ: [`compare`] without having to know where.
///
/// # Safety
/// Both must be readable for `n` bytes.
#[inline(always)]
pub(crate) unsafe fn differs(a: *const u8, b: *const u8, n: usize) -> bool {
    // SAFETY: every access below ends at or before byte `n`.
    unsafe {
        if n >= 16 {
            let mut offset = 0;
            while offset + 16 < n {
                if equal_bytes(load(a, offset), load(b, offset)) != ALL {
                    return true;
                }
                offset += 16;
            }
            equal_bytes(load(a, n - 16), load(b, n - 16)) != ALL
        } else if n >= 8 {
            ends_differ::<u64>(a, b, n)
        } else if n >= 4 {
            ends_differ::<u32>(a, b, n)
        } else if n >= 2 {
            ends_differ::<u16>(a, b, n)
        } else {
            n == 1 && *a != *b
        }
    }
}

/// Whether the first or the last `size_of::<T>()` of `n` bytes differ.
///
/// # Safety
/// As for [`differs`], with `size_of::<T>() <= n`.
#[inline(always)]
unsafe fn ends_differ<T: Copy + PartialEq>(a: *const u8, b: *const u8, n: usize) -> bool {
    let end = n - size_of::<T>();
    // SAFETY: both ends lie within the `n` bytes.
    unsafe {
        a.cast::<T>().read_unaligned() != b.cast::<T>().read_unaligned()
            || a.add(end).cast::<T>().read_unaligned() != b.add(end).cast::<T>().read_unaligned()
    }
}

/// The number of bytes before the first zero byte.
///
/// Reads aligned groups of 16, so possibly bytes before the string and after its
/// end, but never from a page that holds none of it.
///
/// # Safety
/// `string` must be readable up to and including a zero byte.
#[inline(always)]
pub(crate) unsafe fn string_length(string: *const u8) -> usize {
    let skip = string.addr() % 16;
    // SAFETY: an aligned group of 16 bytes lies in one page, and each group read
    // holds at least one byte of the string or its end.
    unsafe {
        let zero = _mm_setzero_si128();
        let mut group = string.sub(skip);
        let zeros = equal_bytes(_mm_load_si128(group.cast()), zero) >> skip;
        if zeros != 0 {
            return zeros.trailing_zeros() as usize;
        }
        loop {
            group = group.add(16);
            let zeros = equal_bytes(_mm_load_si128(group.cast()), zero);
            if zeros != 0 {
                return group.addr() - string.addr() + zeros.trailing_zeros() as usize;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_difference_at_any_place() {
        for n in 0..100_usize {
            let a: Vec<u8> = (0..n).map(|i| (i * 5) as u8).collect();
            // SAFETY: both are `n` bytes long.
            unsafe {
                assert_eq!(compare(a.as_ptr(), a.clone().as_ptr(), n), 0);
                assert!(!differs(a.as_ptr(), a.clone().as_ptr(), n));
            }
            for at in 0..n {
                let mut b = a.clone();
                b[at] = b[at].wrapping_add(0x80);
                // A later difference the other way round must not count.
                if at + 1 < n {
                    b[n - 1] = b[n - 1].wrapping_sub(1);
                }
                // SAFETY: both are `n` bytes long.
                let (got, differ) = unsafe {
                    (
                        compare(a.as_ptr(), b.as_ptr(), n),
                        differs(a.as_ptr(), b.as_ptr(), n),
                    )
                };
                assert_eq!(got.signum(), a.cmp(&b) as i32, "n {n} at {at}");
                assert!(differ, "n {n} at {at}");
            }
        }
    }

    #[test]
    fn measures_strings_at_any_alignment() {
        for n in 0..70 {
            for start in 0..17 {
                let mut text = vec![0; start];
                text.extend(std::iter::repeat_n(b'x', n));
                text.push(0);
                text.extend([b'y'; 20]);
                // SAFETY: a zero byte follows the `n` bytes.
                let got = unsafe { string_length(text.as_ptr().add(start)) };
                assert_eq!(got, n, "start {start}");
            }
        }
    }
}
