//! Traces: what happened when on each CPU, for `xtask trace`.
//!
//! Every CPU has a ring of records that it alone writes, from any context, so the
//! latest are kept. They leave the node when it ends, as words on a debug console
//! that the command line names (`trace=PORT`); without that, there are no rings and
//! an event costs one branch.
//!
//! The dump, in little-endian 64-bit words: [`MAGIC`], the frequency of the
//! time-stamp counter in kHz, the counter at monotonic time zero (which is the same moment on
//! all nodes of a cluster, as far as they have learned of each other); then for each CPU its
//! number, how many records were overwritten, how many follow, and these, oldest first, each
//! with its counter and with its kind in the top byte of a word with its argument.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use darner_lwkt::trace::Event;
use spin::Once;

use crate::arch::cpu::tsc;
use crate::arch::percpu::{self, this_index};
use crate::control::DebugPort;
use crate::{params, time};

/// The first word of a dump: "DRNTRAC2" as it is read.
const MAGIC: u64 = u64::from_le_bytes(*b"DRNTRAC2");
/// Records of a CPU.
const RECORDS: usize = 1 << 15;
/// The kind is above the argument.
const KIND_SHIFT: u32 = 56;

/// What a record is about; its argument is in parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A thread begins to run (its number; 0: the CPU idles).
    Switch = 1,
    /// A message was sent (to CPU).
    MessageSent = 2,
    /// A message begins to run (from CPU).
    MessageRun = 3,
    /// A message was put to a port.
    Put = 4,
    /// A message of a port was answered.
    Reply = 5,
    /// An interrupt came in (its vector).
    Interrupt = 6,
    /// Its handler is done (its vector).
    InterruptEnd = 7,
    /// The message interrupt was raised (on CPU).
    Interrupted = 9,
    /// An exception, the last event of all (its vector).
    Fault = 8,
    /// Something becomes of pages of cluster memory (see [`pages`]).
    Pages = 10,
}

/// What becomes of pages of cluster memory: what the protocol of coherence is told, and no other node tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Pages {
    /// A thread wants to read one.
    Read = 0,
    /// A thread wants to write one.
    Write = 1,
    /// They are freed.
    Discarded = 2,
    /// They are asked for ahead, to be read.
    ReadAhead = 3,
    /// They are asked for ahead, to be written.
    WriteAhead = 4,
    /// All nodes have the same of them when the program begins.
    Replicated = 5,
    /// From the first one on they are the slice of a node, whose number is in the place of how many.
    Slice = 6,
    /// Rights to one are taken away; it had been written if there is one, and not if there is none.
    Protected = 7,
}

/// Bits of a page's number in the argument of [`Kind::Pages`]; above them how many, above that what.
const PAGE_BITS: u32 = 36;
const COUNT_BITS: u32 = 16;

/// A CPU's records. Each is two words, so that neither needs a lock.
struct Ring {
    /// How many have been written since boot.
    written: AtomicU64,
    records: Box<[[AtomicU64; 2]]>,
}

static RINGS: Once<Vec<Ring>> = Once::new();
static ON: AtomicBool = AtomicBool::new(false);

/// Makes the rings of `cpus` CPUs if the command line asks for a trace. Called once,
/// at boot, before the other CPUs start.
pub fn init(cpus: usize) {
    if params::get().is_none_or(|params| params.trace.is_none()) {
        return;
    }
    // Not by an iterator's `collect`: in some builds LLVM 22 crashes on what becomes of that.
    let ring = || {
        let mut records = Vec::new();
        records.resize_with(RECORDS, Default::default);
        Ring {
            written: AtomicU64::new(0),
            records: records.into_boxed_slice(),
        }
    };
    RINGS.call_once(|| {
        let mut rings = Vec::new();
        rings.resize_with(cpus, ring);
        rings
    });
    ON.store(true, Ordering::Release);
}

/// Notes that something happened on the calling CPU. Any context.
#[inline(always)]
pub fn event(kind: Kind, argument: u64) {
    if ON.load(Ordering::Relaxed) {
        record(kind, argument);
    }
}

/// Notes what becomes of `count` pages from `first` on. Any context.
#[inline(always)]
pub fn pages(what: Pages, first: u64, count: u64) {
    if ON.load(Ordering::Relaxed) {
        record_pages(what, first, count);
    }
}

#[cold]
fn record_pages(what: Pages, first: u64, count: u64) {
    const MOST: u64 = (1 << COUNT_BITS) - 1;
    let mut done = 0;
    loop {
        let some = (count - done).min(MOST);
        let what = (what as u64) << (PAGE_BITS + COUNT_BITS);
        record(Kind::Pages, what | some << PAGE_BITS | (first + done));
        done += some;
        if done >= count {
            return;
        }
    }
}

/// [`event`], for what `darner_lwkt` tells.
#[inline(always)]
pub fn lwkt_event(event_of_lwkt: Event) {
    match event_of_lwkt {
        Event::MessageSent { target } => event(Kind::MessageSent, target as u64),
        Event::Interrupted { target } => event(Kind::Interrupted, target as u64),
        Event::MessageRun { home } => event(Kind::MessageRun, home as u64),
        Event::Put => event(Kind::Put, 0),
        Event::Reply => event(Kind::Reply, 0),
    }
}

#[cold]
fn record(kind: Kind, argument: u64) {
    let Some(ring) = RINGS.get().and_then(|rings| rings.get(this_index())) else {
        return;
    };
    // One step: an interrupt in between gets another place.
    let place = ring.written.fetch_add(1, Ordering::Relaxed) as usize % RECORDS;
    let [when, what] = &ring.records[place];
    when.store(tsc(), Ordering::Relaxed);
    what.store((kind as u64) << KIND_SHIFT | argument, Ordering::Relaxed);
}

/// Writes the dump, if there are rings. For the last words of a node.
pub fn dump() {
    let port = params::get().and_then(|params| params.trace);
    let (Some(rings), Some(port)) = (RINGS.get(), port) else {
        return;
    };
    ON.store(false, Ordering::Release);
    let mut port = DebugPort(port);
    let mut words = |words: &[u64]| {
        for word in words {
            port.write(&word.to_le_bytes());
        }
    };
    words(&[MAGIC, time::tsc_khz(), time::zero_tsc()]);
    for (cpu, ring) in rings.iter().enumerate().take(percpu::online()) {
        let written = ring.written.load(Ordering::Relaxed);
        let kept = written.min(RECORDS as u64);
        words(&[cpu as u64, written - kept, kept]);
        for number in written - kept..written {
            let [when, what] = &ring.records[number as usize % RECORDS];
            words(&[when.load(Ordering::Relaxed), what.load(Ordering::Relaxed)]);
        }
    }
}
