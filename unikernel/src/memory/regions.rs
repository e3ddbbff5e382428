//! Ranges of program addresses: stacks and `mmap`.
//!
//! A region is a run of 4 KiB pages, all backed by frames, with an unmapped guard
//! on both sides. Freed addresses are kept in a list and used again.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ptr;

use super::frames;
use super::paging::{self, Rights};
use super::runs::map_run;
use crate::arch::tlb;
use crate::cluster;
use crate::layout::{self, PAGE, align_up};
use crate::sync::Lock;

/// Unmapped bytes on each side of a region.
pub const GUARD: u64 = 64 << 10;
/// The longest run of frames that is taken at once: small enough to leave the large
/// blocks to those who need them.
const LONGEST_RUN: u64 = 256 << 10;
/// As in the program heap: what stays free for the kernel.
const KERNEL_RESERVE: u64 = 512 << 10;

struct Table {
    /// Regions in use: start and bytes.
    used: BTreeMap<u64, u64>,
    /// Address runs (guards included) that are free: start and bytes.
    free: BTreeMap<u64, u64>,
    /// Where addresses begin that were never used, from the slice's first region on; 0 while there
    /// is none.
    next: u64,
}

static TABLE: Lock<Table> = Lock::new(Table {
    used: BTreeMap::new(),
    free: BTreeMap::new(),
    next: 0,
});

impl Table {
    /// An address run of `bytes`, the smallest free one that fits or a new one.
    fn take(&mut self, bytes: u64) -> Option<u64> {
        let fit = self
            .free
            .iter()
            .filter(|&(_, &length)| length >= bytes)
            .min_by_key(|&(_, &length)| length)
            .map(|(&start, &length)| (start, length));
        if let Some((start, length)) = fit {
            self.free.remove(&start);
            if length > bytes {
                self.free.insert(start + bytes, length - bytes);
            }
            return Some(start);
        }
        let slice = layout::slice(cluster::me());
        let start = self.next.max(slice.regions);
        let end = start.checked_add(bytes).filter(|&end| end <= slice.end)?;
        self.next = end;
        Some(start)
    }

    fn give(&mut self, start: u64, bytes: u64) {
        let mut start = start;
        let mut end = start + bytes;
        if let Some((&below, &length)) = self.free.range(..start).next_back()
            && below + length == start
        {
            self.free.remove(&below);
            start = below;
        }
        if let Some(length) = self.free.remove(&end) {
            end += length;
        }
        self.free.insert(start, end - start);
    }
}

/// Maps a region of `bytes` (rounded up to pages) with `rights`. Thread context.
/// The content of a zeroed region is zero, else undefined. `None`: no memory.
pub fn map(bytes: u64, rights: Rights, content: Content) -> Option<u64> {
    let bytes = align_up(bytes.max(1), PAGE);
    if frames::free() < bytes.checked_add(KERNEL_RESERVE)? {
        return None;
    }
    let run = TABLE.lock().take(bytes.checked_add(2 * GUARD)?)?;
    let start = run + GUARD;
    if cluster::is_active() {
        // The first access to each page brings it. Those that were used before are zeros again
        // since they were unmapped.
        TABLE.lock().used.insert(start, bytes);
        return Some(start);
    }
    let end = start + bytes;
    let mut at = start;
    while at < end {
        let zero = |first: u64, bytes: u64| {
            if content == Content::Zeroed {
                // SAFETY: the frames were just allocated and are in the direct map.
                unsafe { ptr::write_bytes(paging::direct(first) as *mut u8, 0, bytes as usize) };
            }
        };
        match map_run(at, (end - at).min(LONGEST_RUN), rights, zero) {
            Some(mapped) => at += mapped,
            None => {
                paging::unmap_fresh(start, at);
                TABLE.lock().give(run, bytes + 2 * GUARD);
                return None;
            }
        }
    }
    TABLE.lock().used.insert(start, bytes);
    Some(start)
}

/// What a new region holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Zeros.
    Zeroed,
    /// Anything: whoever asked writes before it reads.
    Undefined,
}

/// Why a change to a region was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotARegion;

/// Unmaps the whole region at `start`, of `bytes`. Thread context, no lock held.
pub fn unmap(start: u64, bytes: u64) -> Result<(), NotARegion> {
    unmap_all(&[(start, bytes)])
}

/// Unmaps whole regions, given by start and bytes, all or none: the other CPUs are
/// disturbed once. Thread context, no lock held.
pub fn unmap_all(regions: &[(u64, u64)]) -> Result<(), NotARegion> {
    let regions = || {
        regions
            .iter()
            .map(|&(start, bytes)| (start, align_up(bytes, PAGE)))
    };
    {
        let mut table = TABLE.lock();
        if regions().any(|(start, bytes)| table.used.get(&start) != Some(&bytes)) {
            return Err(NotARegion);
        }
        for (start, _) in regions() {
            table.used.remove(&start);
        }
    }
    if cluster::is_active() {
        regions().for_each(|(start, bytes)| cluster::discard(start, bytes));
    } else {
        give_frames_back(regions);
    }
    let mut table = TABLE.lock();
    for (start, bytes) in regions() {
        table.give(start - GUARD, bytes + 2 * GUARD);
    }
    Ok(())
}

/// Unmaps all pages of `regions`, given by start and bytes, and frees their frames.
fn give_frames_back<I: ExactSizeIterator<Item = (u64, u64)>>(regions: impl Fn() -> I) {
    // Frames may be used again only when no CPU can reach them: unmap, shoot down,
    // free. Without memory for a list of them, a few at a time.
    let pages = regions().map(|(_, bytes)| bytes / PAGE).sum::<u64>() as usize;
    let mut frames = Vec::new();
    if frames.try_reserve_exact(pages).is_ok() {
        for (start, bytes) in regions() {
            frames.extend(
                (start..start + bytes)
                    .step_by(PAGE as usize)
                    .filter_map(take_frame),
            );
        }
        if regions().len() == 1 {
            regions().for_each(|(start, bytes)| tlb::shootdown(start, bytes / PAGE));
        } else {
            tlb::shootdown_all();
        }
        frames::free_pages(&frames);
    } else {
        for (start, bytes) in regions() {
            unmap_in_batches(start, start + bytes);
        }
    }
}

/// Takes the frame of the page at `at` out of the tables. Pages without rights are
/// not present, but keep theirs.
fn take_frame(at: u64) -> Option<u64> {
    paging::unmap_page(at).or_else(|| {
        paging::protect_page(at, Rights::Const).ok()?;
        paging::unmap_page(at)
    })
}

/// Unmaps the pages of `start..end` and frees their frames, with no more memory than
/// a list on the stack.
fn unmap_in_batches(start: u64, end: u64) {
    let mut batch = [0u64; 64];
    let mut at = start;
    while at < end {
        let first = at;
        let mut count = 0;
        while at < end && count < batch.len() {
            if let Some(frame) = take_frame(at) {
                batch[count] = frame;
                count += 1;
            }
            at += PAGE;
        }
        tlb::shootdown(first, (at - first) / PAGE);
        frames::free_pages(&batch[..count]);
    }
}

/// Whether `address` is in a region. Thread context.
pub fn is_in_use(address: u64) -> bool {
    let table = TABLE.lock();
    let below = table.used.range(..=address).next_back();
    below.is_some_and(|(&start, &bytes)| address < start + bytes)
}

/// Changes the rights of pages within one region. Of cluster memory they are the protocol's, and
/// cannot be changed. Thread context, no lock held.
pub fn protect(start: u64, bytes: u64, rights: Rights) -> Result<(), NotARegion> {
    let bytes = align_up(bytes, PAGE);
    let end = start.checked_add(bytes).ok_or(NotARegion)?;
    if cluster::is_active() {
        return Err(NotARegion);
    }
    {
        let table = TABLE.lock();
        let (&region, &length) = table.used.range(..=start).next_back().ok_or(NotARegion)?;
        if !start.is_multiple_of(PAGE) || end > region + length {
            return Err(NotARegion);
        }
    }
    for at in (start..end).step_by(PAGE as usize) {
        paging::protect_page(at, rights).map_err(|_| NotARegion)?;
    }
    tlb::shootdown(start, bytes / PAGE);
    Ok(())
}
