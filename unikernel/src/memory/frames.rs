//! Physical memory: a buddy allocator over all free frames, [`darner_frames`].
//!
//! The links of its free blocks are in the free frames, reached through the direct map.
//! Its table of one byte for each frame is taken out of the RAM that it is given.
//!
//! Each CPU has a few single frames at hand, so that CPUs that map pages at the same time
//! seldom meet at the buddy's lock. Those count as free, and go back to the buddy when it
//! runs out.

use core::ops::Range;
use core::slice;
use core::sync::atomic::{AtomicU64, Ordering};

use darner_frames::{Buddy, FrameMemory, FreeError, Links, Order};

use super::paging;
use crate::arch::percpu::{self, MAX_CPUS};
use crate::layout::{LARGE_PAGE, PAGE};
use crate::sync::Lock;

/// Free frames, where the direct map has them.
struct DirectMap;

impl DirectMap {
    fn links(frame: u64) -> *mut Links {
        paging::direct(frame * PAGE) as *mut Links
    }
}

impl FrameMemory for DirectMap {
    fn read_links(&self, frame: u64) -> Links {
        // SAFETY: the buddy asks for free frames of those that `init` gave it, and for
        // their links once it has written them: mapped, aligned, nobody else's.
        unsafe { Self::links(frame).read() }
    }

    fn write_links(&mut self, frame: u64, links: Links) {
        // SAFETY: as for `read_links`.
        unsafe { Self::links(frame).write(links) }
    }
}

static FRAMES: Lock<Buddy<'static, DirectMap>> = Lock::new(Buddy::new(DirectMap));
static TOTAL: AtomicU64 = AtomicU64::new(0);
static FREE: AtomicU64 = AtomicU64::new(0);

/// Gives `ranges` of physical memory (start and end, disjoint) to the allocator, all there
/// are. Frames that are in them only in part are left out. Boot.
///
/// # Panics
/// When there are too many ranges, or two overlap.
///
/// # Safety
/// The ranges are RAM that nothing uses, mapped in the direct map.
pub unsafe fn init(ranges: &[(u64, u64)]) {
    let whole = |&(start, end): &(u64, u64)| start.div_ceil(PAGE)..end / PAGE;
    let count = |frames: &Range<u64>| frames.end.saturating_sub(frames.start);
    let total = ranges.iter().map(|range| count(&whole(range))).sum::<u64>();
    // One byte for each frame, those of the table itself included: a few too many.
    let table_frames = (total * size_of::<u8>() as u64).div_ceil(PAGE);
    let home = ranges
        .iter()
        .position(|range| count(&whole(range)) >= table_frames);
    let Some(home) = home else {
        return;
    };
    let table = paging::direct(whole(&ranges[home]).start * PAGE) as *mut u8;
    // SAFETY: RAM that nothing uses, as the caller says, and long enough; it is not given
    // to the allocator. What is in it does not matter: any byte is a valid one.
    let mut table = unsafe { slice::from_raw_parts_mut(table, (table_frames * PAGE) as usize) };
    let mut buddy = FRAMES.lock();
    for (index, range) in ranges.iter().enumerate() {
        let mut frames = whole(range);
        if index == home {
            frames.start += table_frames;
        }
        if let Some(states) = table.split_off_mut(..count(&frames) as usize)
            && !frames.is_empty()
        {
            buddy
                .add(frames, states)
                .expect("boot has few ranges of RAM, and they are disjoint");
        }
    }
    TOTAL.store(buddy.total() * PAGE, Ordering::Relaxed);
    FREE.store(buddy.total() * PAGE, Ordering::Relaxed);
}

/// Bytes of RAM the allocator was given.
pub fn total() -> u64 {
    TOTAL.load(Ordering::Relaxed)
}

/// Bytes of RAM that are free.
pub fn free() -> u64 {
    FREE.load(Ordering::Relaxed)
}

/// The order of a block of `bytes`.
fn order(bytes: u64) -> Order {
    debug_assert!(
        bytes.is_power_of_two() && bytes >= PAGE,
        "the buddy hands out powers of two"
    );
    (bytes / PAGE).trailing_zeros()
}

/// A physical range of `bytes`, a power of two of at least a page, aligned to its
/// size; content undefined. Thread or interrupt context.
pub fn allocate(bytes: u64) -> Option<u64> {
    let physical = from_buddy(bytes).or_else(|| {
        empty_fronts();
        from_buddy(bytes)
    })?;
    FREE.fetch_sub(bytes, Ordering::Relaxed);
    Some(physical)
}

/// [`allocate`], of what no CPU has at hand, and without counting.
fn from_buddy(bytes: u64) -> Option<u64> {
    let frame = FRAMES.lock().allocate(order(bytes))?;
    Some(frame * PAGE)
}

/// Gives a range from [`allocate`] back, or an aligned part of one, or several that are
/// one such range together. Thread or interrupt
/// context.
pub fn free_range(physical: u64, bytes: u64) {
    if to_buddy(physical, bytes) {
        FREE.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// [`free_range`] without counting. Whether it is free now.
fn to_buddy(physical: u64, bytes: u64) -> bool {
    debug_assert!(physical.is_multiple_of(PAGE), "frames are aligned");
    let freed = FRAMES.lock().free(physical / PAGE, order(bytes));
    if let Err(error) = freed {
        refused(physical, bytes, error);
    }
    freed.is_ok()
}

/// Reports a bug of the caller of [`free_range`]. Nothing is freed: a lost block does
/// less harm than one that two have.
#[cold]
fn refused(physical: u64, bytes: u64, error: FreeError) {
    debug_assert!(
        false,
        "{bytes:#x} bytes at {physical:#x} cannot be freed: {error}"
    );
    log::error!("{bytes:#x} bytes of RAM at {physical:#x} cannot be freed and are lost: {error}");
}

/// Single frames that a CPU has at hand, by their physical addresses.
struct Front {
    frames: [u64; Self::MOST],
    count: usize,
}

/// Those of each CPU. Another one takes them only when memory is short.
static FRONTS: [Lock<Front>; MAX_CPUS] = [const { Lock::new(Front::new()) }; MAX_CPUS];

impl Front {
    const MOST: usize = 32;
    /// How many come and go together.
    const BATCH: usize = Self::MOST / 2;

    const fn new() -> Self {
        Self {
            frames: [0; Self::MOST],
            count: 0,
        }
    }

    fn pop(&mut self) -> Option<u64> {
        self.count = self.count.checked_sub(1)?;
        Some(self.frames[self.count])
    }

    /// `false`: it is full.
    fn push(&mut self, physical: u64) -> bool {
        debug_assert!(
            !self.frames[..self.count].contains(&physical),
            "the frame at {physical:#x} is freed twice"
        );
        let Some(slot) = self.frames.get_mut(self.count) else {
            return false;
        };
        *slot = physical;
        self.count += 1;
        true
    }

    /// Takes a batch from the buddy. `false`: there is none.
    fn fill(&mut self) -> bool {
        const BYTES: u64 = Front::BATCH as u64 * PAGE;
        let Some(first) = from_buddy(BYTES) else {
            return false;
        };
        // The lowest is the next.
        for number in (0..Self::BATCH as u64).rev() {
            self.push(first + number * PAGE);
        }
        true
    }

    /// Gives all but `rest` back to the buddy.
    fn empty(&mut self, rest: usize) {
        while self.count > rest
            && let Some(physical) = self.pop()
        {
            to_buddy(physical, PAGE);
        }
    }
}

/// Those of the calling CPU: it may be another one at once, which does no harm.
fn front() -> &'static Lock<Front> {
    &FRONTS[percpu::cpu_index()]
}

/// Gives all CPUs' single frames to the buddy, which makes larger blocks of them.
fn empty_fronts() {
    for front in &FRONTS {
        front.lock().empty(0);
    }
}

/// One 4 KiB frame.
pub fn allocate_page() -> Option<u64> {
    let at_hand = {
        let mut front = front().lock();
        front.pop().or_else(|| match front.fill() {
            true => front.pop(),
            false => None,
        })
    };
    if let Some(physical) = at_hand {
        FREE.fetch_sub(PAGE, Ordering::Relaxed);
        return Some(physical);
    }
    allocate(PAGE)
}

/// Gives a 4 KiB frame back.
pub fn free_page(physical: u64) {
    let mut front = front().lock();
    if !front.push(physical) {
        front.empty(Front::MOST - Front::BATCH);
        front.push(physical);
    }
    FREE.fetch_add(PAGE, Ordering::Relaxed);
}

/// Gives 4 KiB frames back. Those that follow each other are given back together, and so
/// without a link in each: that would have the host back frames that nobody ever touched.
pub fn free_pages(frames: &[u64]) {
    /// Longer runs are cut, as interrupts are off while one is given back.
    const LONGEST: usize = 64;
    let mut rest = frames;
    while let Some(&first) = rest.first() {
        let following = (first..).step_by(PAGE as usize).take(LONGEST);
        let run = rest
            .iter()
            .zip(following)
            .take_while(|(frame, next)| **frame == *next);
        let longest = PAGE << run.count().ilog2();
        let bytes = longest.min(1 << first.trailing_zeros());
        free_range(first, bytes);
        rest = &rest[(bytes / PAGE) as usize..];
    }
}

/// One 2 MiB frame.
pub fn allocate_large() -> Option<u64> {
    allocate(LARGE_PAGE)
}
