//! What the kernel's heap and the program's have in common: [`darner_slab`] on pages of this
//! node.
//!
//! Each CPU is an owner. Its part of a heap is in its block, and is used in critical
//! sections; so allocating and freeing take no lock. Other CPUs tell it by passive messages
//! what they have freed of its memory.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use darner_lwkt::{Critical, Hardware, Machine, MayBlock};
use darner_slab::{Environment, Local, Misuse, Notify, PageSource};
use x86_64::instructions::interrupts;

use super::paging::{self, Rights};
use super::runs::map_run;
use super::{frames, kernel_heap, program_heap};
use crate::arch::percpu::this_cpu;
use crate::arch::tlb;
use crate::layout::{LARGE_PAGE, PAGE};
use crate::sched::Kernel;
use crate::time::monotonic_ns;

/// A CPU that idles gives back what it does not need no more often than this, in ns.
const RECLAIM_PERIOD: u64 = 1_000_000_000;
/// The longest run of frames that is taken at once: a zone.
const LONGEST_RUN: u64 = 64 << 10;
/// Pages that are given back after one shootdown.
const BATCH: usize = 256;

/// A range of addresses that frames are mapped to as they are needed.
#[derive(Debug)]
pub struct Pages {
    start: u64,
    end: u64,
    /// Bytes of RAM that are left to others.
    reserve: u64,
    backing: Backing,
}

/// What has the pages of a range be there.
#[derive(Debug)]
enum Backing {
    /// They are mapped when they are committed.
    Frames,
    /// They are cluster memory: the first access to each brings it. This is where those end that
    /// were ever committed.
    Cluster(AtomicU64),
}

impl Pages {
    /// The range `start..end`, which is used for nothing else.
    pub const fn new(start: u64, end: u64, reserve: u64) -> Self {
        Self {
            start,
            end,
            reserve,
            backing: Backing::Frames,
        }
    }

    /// The range `start..end` of cluster memory, of this node's slice.
    pub const fn of_cluster(start: u64, end: u64) -> Self {
        Self {
            start,
            end,
            reserve: 0,
            backing: Backing::Cluster(AtomicU64::new(start)),
        }
    }

    /// Whether `address` is in it, and may be among what is committed. Any context.
    pub fn may_be_committed(&self, address: u64) -> bool {
        let end = match &self.backing {
            Backing::Frames => self.end,
            Backing::Cluster(end) => end.load(Ordering::Relaxed),
        };
        (self.start..end).contains(&address)
    }

    /// Maps pages from `at` on, no further than to `end`. The bytes that are mapped; `None`:
    /// no memory.
    fn map_some(at: u64, end: u64) -> Option<u64> {
        if at.is_multiple_of(LARGE_PAGE)
            && end - at >= LARGE_PAGE
            && let Some(frame) = frames::allocate_large()
        {
            if paging::map_large(at, frame, Rights::Data).is_ok() {
                return Some(LARGE_PAGE);
            }
            frames::free_range(frame, LARGE_PAGE);
        }
        let most = (end - at).min(LONGEST_RUN);
        // Or it is there already: it could not be unmapped when it was given back.
        map_run(at, most, Rights::Data, |_, _| ()).or_else(|| paging::is_mapped(at).then_some(PAGE))
    }
}

// SAFETY: the range is the heap's alone, as whoever made this says; what is committed is
// mapped for reading and writing, on all CPUs.
unsafe impl PageSource for Pages {
    // Frames have been used before; and to zero them would touch them once too often.
    const ZEROED: bool = false;

    fn base(&self) -> NonNull<u8> {
        NonNull::new(self.start as *mut u8).expect("ranges of the layout do not start at 0")
    }

    fn length(&self) -> usize {
        (self.end - self.start) as usize
    }

    fn commit(&self, range: Range<usize>) -> bool {
        if let Backing::Cluster(end) = &self.backing {
            end.fetch_max(self.start + range.end as u64, Ordering::Relaxed);
            return true;
        }
        let bytes = range.len() as u64;
        if frames::free() < bytes.saturating_add(self.reserve) {
            return false;
        }
        let end = self.start + range.end as u64;
        let mut at = self.start + range.start as u64;
        while at < end {
            match Self::map_some(at, end) {
                Some(mapped) => at += mapped,
                // What is mapped so far is taken back by `decommit`, or stays for the next
                // time: some of it may have been there before, and be known to CPUs.
                None => return false,
            }
        }
        true
    }

    /// With interrupts off a lock is held that another CPU may wait for, which then does not
    /// answer a shootdown. Pages of cluster memory stay.
    fn may_decommit(&self) -> bool {
        matches!(self.backing, Backing::Frames) && interrupts::are_enabled()
    }

    fn decommit(&self, range: Range<usize>) {
        if !self.may_decommit() {
            return;
        }
        let end = self.start + range.end as u64;
        let mut at = self.start + range.start as u64;
        let mut batch = [0; BATCH];
        while at < end {
            let first = at;
            let (mut count, mut large) = (0, 0);
            // A large page is freed by itself, to keep the list simple.
            while at < end && count < BATCH && large == 0 {
                match paging::unmap_first(at, end) {
                    Some((frame, PAGE)) => {
                        batch[count] = frame;
                        count += 1;
                        at += PAGE;
                    }
                    Some((frame, bytes)) => {
                        large = frame;
                        at += bytes;
                    }
                    None => at += PAGE,
                }
            }
            if count == 0 && large == 0 {
                continue;
            }
            tlb::shootdown(first, (at - first) / PAGE);
            frames::free_pages(&batch[..count]);
            if large != 0 {
                frames::free_range(large, LARGE_PAGE);
            }
        }
    }
}

/// What tells the two heaps apart.
pub trait Kind: Sized + 'static {
    /// The calling CPU's part. In a critical section.
    fn part() -> NonNull<()>;

    /// Memory was freed that must not be, and has not been.
    fn misuse(misuse: Misuse, address: usize);

    /// Whether there are such heaps on other nodes, and `address` is in one of them.
    fn is_elsewhere(_address: usize) -> bool {
        false
    }

    /// Has memory freed that [is elsewhere](Self::is_elsewhere).
    fn free_elsewhere(_address: usize, _layout: Layout) {}
}

/// Where a heap gets its memory from.
pub struct Memory<K> {
    chunks: Pages,
    book: Pages,
    _kind: PhantomData<fn() -> K>,
}

impl<K> Memory<K> {
    /// Chunks from one range, what is known of them in the other.
    pub const fn new(chunks: Pages, book: Pages) -> Self {
        Self {
            chunks,
            book,
            _kind: PhantomData,
        }
    }
}

impl<K: Kind> Environment for Memory<K> {
    type Chunks = Pages;
    type Bookkeeping = Pages;

    fn chunks(&self) -> &Pages {
        &self.chunks
    }

    fn bookkeeping(&self) -> &Pages {
        &self.book
    }
}

impl<K: Kind> Notify for Memory<K> {
    fn owner(&self, owner: usize) {
        tell::<K>(owner);
    }

    fn misuse(&self, misuse: Misuse, address: usize) {
        K::misuse(misuse, address);
    }

    fn is_elsewhere(&self, address: usize) -> bool {
        K::is_elsewhere(address)
    }

    fn free_elsewhere(&self, address: usize, layout: Layout) {
        K::free_elsewhere(address, layout);
    }
}

/// Calls `call` with the calling CPU's part of a heap.
#[inline(always)]
pub fn with_part<K: Kind, R>(call: impl FnOnce(&mut Local<'static, Memory<K>>) -> R) -> R {
    let _section = Critical::<Kernel>::enter();
    // SAFETY: the part is this CPU's, claimed when its block was made, of a heap that is there
    // for good. Nothing else on this CPU comes here before the section ends: what
    // interrupts it allocates only when it has.
    let mut local = ManuallyDrop::new(unsafe { Local::from_raw(K::part()) });
    call(&mut local)
}

/// Has CPU `cpu` take note of what others have freed of its memory.
fn tell<K: Kind>(cpu: usize) {
    let section = Critical::<Kernel>::enter();
    // Without an envelope it comes across that when it looks for memory, or idles.
    let _ = Kernel::messages().try_send_passive(&section, cpu, |_| {
        with_part::<K, _>(|part| part.collect());
    });
}

/// Gives up all memory that heaps hold without need, on all CPUs. Thread context,
/// interrupts on, no lock held.
pub fn reclaim_everywhere(leave: &MayBlock<Kernel>) {
    Kernel::messages().rendezvous(leave, |_| reclaim());
    // In a handler, where most of that was, pages cannot be given back.
    reclaim();
}

/// Gives up all memory that the calling CPU holds without need.
fn reclaim() {
    with_part::<program_heap::Program, _>(|part| part.reclaim());
    with_part::<kernel_heap::Kernel, _>(|part| part.reclaim());
}

/// The calling CPU idles, and has run threads before or not: it takes note of what others freed,
/// and every now and then gives up what it does not need. Idle context, interrupts on.
pub fn idle(has_run: bool) {
    with_part::<program_heap::Program, _>(|part| part.collect());
    with_part::<kernel_heap::Kernel, _>(|part| part.collect());
    let cpu = this_cpu();
    if has_run {
        cpu.may_reclaim.store(true, Ordering::Relaxed);
    }
    if !cpu.may_reclaim.load(Ordering::Relaxed) {
        return;
    }
    let now = monotonic_ns();
    if now < reclaim_due() {
        return;
    }
    cpu.reclaimed.store(now, Ordering::Relaxed);
    // Before it looks: who frees something meanwhile says so again.
    cpu.may_reclaim.store(false, Ordering::Relaxed);
    reclaim();
    tell_of_frees();
}

/// When the calling CPU has to be in [`idle`] again, in monotonic ns: at once, if that has
/// passed; `u64::MAX`: not before something happens. Idle context, interrupts off: who
/// looks with interrupts on may be told of frees between that and the halt.
pub fn idle_again() -> u64 {
    match this_cpu().may_reclaim.load(Ordering::Relaxed) {
        true => reclaim_due(),
        false => u64::MAX,
    }
}

/// When the calling CPU may give memory back the next time.
fn reclaim_due() -> u64 {
    this_cpu().reclaimed.load(Ordering::Relaxed) + RECLAIM_PERIOD
}

/// Has CPUs that may idle for long take note of what came home to them. Those whose zones had
/// left the lists know it; others would come across it only when they look for memory.
#[cold]
#[inline(never)]
fn tell_of_frees() {
    let sent = with_part::<program_heap::Program, _>(|part| part.remote_frees())
        + with_part::<kernel_heap::Kernel, _>(|part| part.remote_frees());
    if this_cpu().told.swap(sent, Ordering::Relaxed) == sent {
        return;
    }
    let section = Critical::<Kernel>::enter();
    for cpu in (0..Kernel::cpus()).filter(|&cpu| cpu != section.cpu()) {
        // Without an envelope it is told after the next ones.
        let _ = Kernel::messages().try_send(&section, cpu, |_| {
            this_cpu().may_reclaim.store(true, Ordering::Relaxed);
        });
    }
}
