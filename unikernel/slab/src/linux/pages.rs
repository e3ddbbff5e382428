//! Pages of a Linux process: reserved at once, there when they are touched.

use core::ops::Range;
use core::ptr::{NonNull, null_mut};

use crate::source::PageSource;

/// A range of addresses of this process.
pub(super) struct Pages {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the addresses belong to no thread.
unsafe impl Sync for Pages {}
// SAFETY: as above.
unsafe impl Send for Pages {}

impl Pages {
    /// Reserves addresses, with a start that is a multiple of `align`.
    pub fn reserve(bytes: usize, align: usize) -> Option<Self> {
        // SAFETY: a new mapping harms nobody.
        let start = unsafe {
            libc::mmap(
                null_mut(),
                bytes.checked_add(align)?,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return None;
        }
        let start = start.cast::<u8>();
        let base = NonNull::new(start.wrapping_add(start.align_offset(align)))?;
        Some(Self { base, bytes })
    }
}

// SAFETY: the mapping is nobody else's and stays. A private mapping's pages can be used
// whether they are there or not.
unsafe impl PageSource for Pages {
    const ZEROED: bool = true;

    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn length(&self) -> usize {
        self.bytes
    }

    /// Linux does that when they are touched.
    fn commit(&self, _range: Range<usize>) -> bool {
        true
    }

    fn decommit(&self, range: Range<usize>) {
        // SAFETY: nobody uses these pages. It cannot fail for a mapping of ours that is
        // not locked; if it does, pages would not be zero that are taken for it.
        let result = unsafe {
            libc::madvise(
                self.base.add(range.start).as_ptr().cast(),
                range.len(),
                libc::MADV_DONTNEED,
            )
        };
        if result != 0 {
            // SAFETY: as above.
            unsafe { self.base.add(range.start).write_bytes(0, range.len()) };
        }
    }
}
