//! Pages mapped to runs of frames that follow each other.

use super::frames;
use super::paging::{self, Rights};
use crate::layout::PAGE;

/// Maps pages from `at` on to one run of frames, of at most `most` bytes, at least a page.
/// A long run costs no more to allocate than a page; where none is free, shorter ones do.
/// `prepare` is called with the physical address of the run and its bytes before it is
/// mapped. Gives the bytes that are mapped; `None`: no memory, and nothing is mapped.
pub fn map_run(at: u64, most: u64, rights: Rights, prepare: impl Fn(u64, u64)) -> Option<u64> {
    let mut bytes = 1 << most.ilog2();
    loop {
        if let Some(first) = frames::allocate(bytes) {
            prepare(first, bytes);
            if paging::map_pages(at, first, bytes, rights).is_ok() {
                return Some(bytes);
            }
            frames::free_range(first, bytes);
        }
        if bytes == PAGE {
            return None;
        }
        bytes /= 2;
    }
}
