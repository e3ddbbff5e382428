//! TLB shootdown on a vector of its own.
//!
//! A change that takes rights away from a mapping must be seen by every CPU
//! before the frame is used for something else. The asking CPU publishes the
//! range under a lock and raises the vector everywhere; the handler flushes and
//! acknowledges, at once and whatever it interrupted. The asker holds no
//! [`crate::sync::Lock`], or a CPU that spins for that lock with interrupts off
//! would never answer.

use core::sync::atomic::{AtomicU64, Ordering};

use darner_lwkt::Critical;
use spin::mutex::SpinMutex;
use x86_64::VirtAddr;
use x86_64::instructions::interrupts;
use x86_64::instructions::tlb;

use super::percpu::{self, this_cpu};
use super::{apic, idt};
use crate::layout::PAGE;
use crate::sched::Kernel;

/// Beyond this many pages a full flush is cheaper.
const MOST_PAGES: u64 = 32;

static ASKING: SpinMutex<()> = SpinMutex::new(());
static START: AtomicU64 = AtomicU64::new(0);
static PAGES: AtomicU64 = AtomicU64::new(0);
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Makes every CPU forget `pages` pages from `start`. Thread context, interrupts
/// on, no `Lock` held.
pub fn shootdown(start: u64, pages: u64) {
    debug_assert!(
        interrupts::are_enabled(),
        "a shootdown waits for other CPUs"
    );
    // An interrupt thread that preempted the asker might ask, too, and wait for ever.
    let _section = Critical::<Kernel>::enter();
    // Not a `Lock`: who waits here must go on answering other askers.
    let _asking = ASKING.lock();
    START.store(start, Ordering::Relaxed);
    PAGES.store(pages, Ordering::Relaxed);
    let generation = GENERATION.fetch_add(1, Ordering::Release) + 1;
    flush(start, pages);
    this_cpu().stretch.end();
    let me = this_cpu().index();
    let others = || {
        (0..percpu::MAX_CPUS)
            .filter(move |&index| index != me)
            .filter_map(percpu::block)
    };
    for cpu in others() {
        apic::send(cpu.index(), idt::SHOOTDOWN);
    }
    for cpu in others() {
        while cpu.tlb_seen.load(Ordering::Acquire) < generation {
            core::hint::spin_loop();
        }
    }
}

/// Makes every CPU forget everything. As for [`shootdown`].
pub fn shootdown_all() {
    shootdown(0, MOST_PAGES + 1);
}

/// Answers a shootdown that the vector could not bring: for loops that wait for
/// other CPUs with interrupts off.
pub fn answer_if_asked() {
    if this_cpu().tlb_seen.load(Ordering::Relaxed) < GENERATION.load(Ordering::Acquire) {
        answer();
    }
}

/// The vector's handler.
pub fn answer() {
    let generation = GENERATION.load(Ordering::Acquire);
    flush(START.load(Ordering::Relaxed), PAGES.load(Ordering::Relaxed));
    // Where this is all that is asked for: the clock was put forward.
    this_cpu().stretch.end();
    this_cpu().tlb_seen.store(generation, Ordering::Release);
}

fn flush(start: u64, pages: u64) {
    if pages > MOST_PAGES {
        tlb::flush_all();
    } else {
        for page in 0..pages {
            tlb::flush(VirtAddr::new_truncate(start + page * PAGE));
        }
    }
}
