//! `memset`.

use core::arch::x86_64::_mm_set1_epi8;

use super::store;

/// Fills `n` bytes at `dest` with `byte`.
///
/// # Safety
/// `dest` must be writable for `n` bytes.
#[inline(always)]
pub(crate) unsafe fn fill(dest: *mut u8, byte: u8, n: usize) {
    // SAFETY: in every branch each store ends at or before byte `n`; the loop
    // stores at `offset..offset + 64` only while `offset + 64 < n`.
    unsafe {
        if n < 16 {
            return fill_short(dest, byte, n);
        }
        let value = _mm_set1_epi8(byte.cast_signed());
        store(dest, 0, value);
        store(dest, n - 16, value);
        if n <= 32 {
            return;
        }
        store(dest, 16, value);
        store(dest, n - 32, value);
        if n <= 64 {
            return;
        }
        let tail = n - 64;
        let mut offset = 16 - dest.addr() % 16;
        while offset < tail {
            store(dest, offset, value);
            store(dest, offset + 16, value);
            store(dest, offset + 32, value);
            store(dest, offset + 48, value);
            offset += 64;
        }
        store(dest, tail, value);
        store(dest, tail + 16, value);
    }
}

/// Fewer than 16 bytes.
///
/// # Safety
/// As for [`fill`], with `n < 16`.
#[inline(always)]
unsafe fn fill_short(dest: *mut u8, byte: u8, n: usize) {
    let eight = u64::from(byte) * 0x0101_0101_0101_0101;
    // SAFETY: in every branch each store ends at or before byte `n`.
    unsafe {
        if n >= 8 {
            dest.cast::<u64>().write_unaligned(eight);
            dest.add(n - 8).cast::<u64>().write_unaligned(eight);
        } else if n >= 4 {
            dest.cast::<u32>().write_unaligned(eight as u32);
            dest.add(n - 4).cast::<u32>().write_unaligned(eight as u32);
        } else if n >= 2 {
            dest.cast::<u16>().write_unaligned(eight as u16);
            dest.add(n - 2).cast::<u16>().write_unaligned(eight as u16);
        } else if n == 1 {
            *dest = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_every_length_and_alignment_and_no_more() {
        for n in (0..=300).chain([1000]) {
            for at in 0..17 {
                let mut got = vec![0x11; 1100];
                let mut want = got.clone();
                want[at..at + n].fill(0xa5);
                // SAFETY: the vector has 1100 bytes, more than is asked for.
                unsafe { fill(got.as_mut_ptr().add(at), 0xa5, n) };
                assert!(got == want, "n {n} at {at}");
            }
        }
    }
}
