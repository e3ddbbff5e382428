//! Stacks: of the kernel and of the program, between guards that are not mapped.

use core::sync::atomic::{AtomicU64, Ordering};

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::frames;
use super::paging::{self, Rights};
use super::regions::{self, Content, GUARD};
use crate::cluster;
use crate::layout::{self, KERNEL_STACKS, KERNEL_STACKS_END, PAGE, align_up};
use crate::sync::Lock;

/// Usable bytes of a kernel stack.
pub const KERNEL_STACK_BYTES: u64 = 16 << 10;
/// A kernel stack and the guard below it.
const KERNEL_SLOT: u64 = KERNEL_STACK_BYTES + 4 * PAGE;
/// The least a program stack has, whatever was asked for: kernel code runs on it.
pub const LEAST_PROGRAM_STACK: u64 = 64 << 10;

static NEXT_SLOT: AtomicU64 = AtomicU64::new(KERNEL_STACKS);
static FREE_SLOTS: Lock<Vec<u64>> = Lock::new(Vec::new());

/// A kernel stack. Its memory is kept for the next one when it is dropped.
pub struct KernelStack {
    bottom: u64,
    bytes: u64,
}

impl KernelStack {
    /// A stack between two guards; `None`: no memory. Thread context.
    pub fn new() -> Option<Self> {
        if let Some(bottom) = FREE_SLOTS.lock().pop() {
            let bytes = KERNEL_STACK_BYTES;
            return Some(Self { bottom, bytes });
        }
        Self::of_slots(1)
    }

    /// A stack of more than the usual size, as many slots as are needed: `bytes` at least.
    /// `None`: no memory. Thread context.
    pub fn large(bytes: u64) -> Option<Self> {
        Self::of_slots((bytes + 4 * PAGE).div_ceil(KERNEL_SLOT))
    }

    fn of_slots(slots: u64) -> Option<Self> {
        let bytes = slots * KERNEL_SLOT - 4 * PAGE;
        let bottom = NEXT_SLOT.fetch_add(slots * KERNEL_SLOT, Ordering::Relaxed) + 4 * PAGE;
        if bottom + bytes > KERNEL_STACKS_END {
            return None;
        }
        for at in (bottom..bottom + bytes).step_by(PAGE as usize) {
            let mapped = frames::allocate_page().filter(|&frame| {
                let mapped = paging::map_page(at, frame, Rights::Data).is_ok();
                if !mapped {
                    frames::free_page(frame);
                }
                mapped
            });
            if mapped.is_none() {
                paging::unmap_fresh(bottom, at);
                return None;
            }
        }
        Some(Self { bottom, bytes })
    }

    /// The address just above the stack, 16-aligned.
    pub fn top(&self) -> u64 {
        self.bottom + self.bytes
    }
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        debug_assert!(
            self.bytes == KERNEL_STACK_BYTES,
            "large stacks are for threads that do not end"
        );
        FREE_SLOTS.lock().push(self.bottom);
    }
}

/// Program stacks in use and kept: bottom and bytes, for naming overflows.
static PROGRAM_STACKS: Lock<BTreeMap<u64, u64>> = Lock::new(BTreeMap::new());
/// Stacks of ended threads, for new ones: those that were given up last are at the
/// end.
static KEPT: Lock<VecDeque<(u64, u64)>> = Lock::new(VecDeque::new());
/// How many stacks are kept when others are discarded.
const LEAST_KEPT: usize = 32;
/// How many are kept at most. Where threads end one by one, this many are unmapped at a
/// time and not each by itself, which would disturb all CPUs as often as a thread ends.
const MOST_KEPT: usize = LEAST_KEPT + Discarded::MOST;

/// A program stack.
pub struct ProgramStack {
    bottom: u64,
    bytes: u64,
}

impl ProgramStack {
    /// A stack of at least `bytes`; `None`: no memory. Thread context, no lock
    /// held.
    pub fn new(bytes: u64) -> Option<Self> {
        let bytes = align_up(bytes.max(LEAST_PROGRAM_STACK), PAGE);
        {
            let mut kept = KEPT.lock();
            if let Some(index) = kept.iter().rposition(|&(_, length)| length == bytes)
                && let Some((bottom, bytes)) = kept.remove(index)
            {
                return Some(Self { bottom, bytes });
            }
        }
        let bottom = regions::map(bytes, Rights::Data, Content::Undefined).or_else(|| {
            release_kept();
            regions::map(bytes, Rights::Data, Content::Undefined)
        })?;
        PROGRAM_STACKS.lock().insert(bottom, bytes);
        Some(Self { bottom, bytes })
    }

    /// The address just above the stack, 16-aligned.
    pub fn top(&self) -> u64 {
        self.bottom + self.bytes
    }

    /// Whether `address` is on it.
    pub fn contains(&self, address: u64) -> bool {
        (self.bottom..self.top()).contains(&address)
    }

    /// Gives the stack up: it is kept for the next thread, and those that have been
    /// kept for longest go to `discarded` where there are many. Thread context, no
    /// lock held, and not the stack that the caller runs on.
    pub fn release(self, discarded: &mut Discarded) {
        let mut oldest = [(0, 0); Discarded::MOST];
        {
            let mut kept = KEPT.lock();
            kept.push_back((self.bottom, self.bytes));
            // To give cluster memory back is to wait, which the idle context cannot.
            if kept.len() < MOST_KEPT || cluster::is_active() {
                return;
            }
            for (slot, stack) in oldest.iter_mut().zip(kept.drain(..Discarded::MOST)) {
                *slot = stack;
            }
        }
        oldest.into_iter().for_each(|stack| discarded.push(stack));
    }
}

/// Stacks that nobody will use again. They are unmapped together, when there are many
/// or this is dropped: each time disturbs all CPUs. Thread context, interrupts on, no
/// lock held.
pub struct Discarded {
    stacks: [(u64, u64); Self::MOST],
    count: usize,
}

impl Discarded {
    const MOST: usize = 64;

    /// None yet.
    pub fn new() -> Self {
        Self {
            stacks: [(0, 0); Self::MOST],
            count: 0,
        }
    }

    fn push(&mut self, stack: (u64, u64)) {
        self.stacks[self.count] = stack;
        self.count += 1;
        if self.count == Self::MOST {
            self.unmap();
        }
    }

    fn unmap(&mut self) {
        let stacks = &self.stacks[..core::mem::take(&mut self.count)];
        if stacks.is_empty() {
            return;
        }
        {
            let mut known = PROGRAM_STACKS.lock();
            for (bottom, _) in stacks {
                known.remove(bottom);
            }
        }
        if regions::unmap_all(stacks).is_err() {
            log::error!("a stack is not a region: {stacks:x?}");
        }
    }
}

impl Drop for Discarded {
    fn drop(&mut self) {
        self.unmap();
    }
}

/// Unmaps all stacks that are kept: memory is short.
pub fn release_kept() {
    let kept = core::mem::take(&mut *KEPT.lock());
    let mut discarded = Discarded::new();
    kept.into_iter().for_each(|stack| discarded.push(stack));
}

/// A guard that an access has hit.
pub struct GuardHit {
    /// `program` or `kernel`.
    pub kind: &'static str,
    /// Size of the stack above it.
    pub bytes: u64,
}

/// Which stack's guard `address` is in. For exceptions: it takes no lock, because
/// the interrupted code may hold it.
pub fn guard_at(address: u64) -> Option<GuardHit> {
    if (KERNEL_STACKS..KERNEL_STACKS_END).contains(&address) {
        // In a large one, the places of further guards are mapped, so nothing faults there.
        let offset = (address - KERNEL_STACKS) % KERNEL_SLOT;
        return (offset < 4 * PAGE).then_some(GuardHit {
            kind: "kernel",
            bytes: KERNEL_STACK_BYTES,
        });
    }
    let slice = layout::slice(cluster::me());
    if !(slice.regions..slice.end).contains(&address) {
        return None;
    }
    // SAFETY: every other CPU is stopped and this one is in an exception, so the
    // map does not change; if the exception came within a change of it, the worst
    // is a wrong or missing name in the report.
    let stacks = unsafe { &*PROGRAM_STACKS.as_ptr() };
    let (&bottom, &bytes) = stacks.range(address..).next()?;
    (bottom - address <= GUARD).then_some(GuardHit {
        kind: "program",
        bytes,
    })
}
