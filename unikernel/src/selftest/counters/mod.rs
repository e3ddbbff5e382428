//! The founding question: does it cost less to lock what CPUs share, or to have one
//! CPU own it and to send it messages?
//!
//! A thread on each CPU updates counters, in several [`Way`]s and [`Shape`]s. In the
//! end the counters must have counted every update, exactly once.

mod counts;
mod locked;
mod owned;
mod shape;

use alloc::boxed::Box;
use alloc::format;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use darner_lwkt::{Machine, MayBlock};

use self::counts::Counts;
use self::locked::{Mutex, Spin, Tokens};
use self::owned::{Active, Always, Owned, Passive};
use self::shape::{Hot, Long, Shape, Spread, Updates};
use super::gang::{Member, on_every_cpu};
use super::{Failure, Found};
use crate::arch::cpu::tsc;
use crate::arch::percpu::this_index;
use crate::sched::{self, Kernel};
use crate::sync::Lock;

/// How many updates a thread makes before it looks whether it is on its own CPU
/// still: who sleeps for a lock may be given to another CPU when it wakes.
const CHUNK: u64 = 256;

/// A way to keep counters that several CPUs update: one set of them for each CPU.
trait Way: Sync + 'static {
    /// Counters that are 0.
    fn new() -> Self;

    /// Makes these updates, or sends them.
    fn apply<S: Shape>(&'static self, leave: &mut MayBlock<Kernel>, updates: Updates<S>);

    /// Counts in `closed`, [`Way::closings`] times, that the calling CPU's updates are
    /// made: now, or when they are.
    fn close(&'static self, leave: &MayBlock<Kernel>, closed: &'static Closed);

    /// How often each CPU counts in `closed`.
    fn closings() -> usize {
        1
    }

    /// The counters of the calling CPU, `cpu`.
    fn counts(&'static self, leave: &mut MayBlock<Kernel>, cpu: usize) -> Counts;
}

/// Counts what is finished.
#[derive(Default)]
struct Closed(AtomicUsize);

impl Closed {
    fn one(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// What a trial cost, all CPUs together.
#[derive(Clone, Copy)]
struct Cost {
    /// From the first update until all were made, in ticks of the time-stamp counter.
    ticks: u64,
    /// Message interrupts that were raised meanwhile, for whatever reason.
    interrupts: u64,
}

/// What the members of a trial share.
struct Trial<W: Way> {
    way: W,
    /// Updates by each CPU.
    share: u64,
    closed: Closed,
    begin: AtomicU64,
    end: AtomicU64,
    interrupts: AtomicU64,
    found: Lock<Counts>,
    expected: Lock<Counts>,
}

/// Has all CPUs together make so many updates.
type RunTrial = fn(u64) -> Result<Cost, Failure>;
/// A way's trials, by the names of the shapes.
type Shapes = [(&'static str, RunTrial); 3];

/// All ways, by name.
const WAYS: [(&str, Shapes); 6] = [
    ("spin", in_shapes::<Spin>()),
    ("mutex", in_shapes::<Mutex>()),
    ("token", in_shapes::<Tokens>()),
    ("active", in_shapes::<Owned<Active>>()),
    ("passive", in_shapes::<Owned<Passive>>()),
    ("always", in_shapes::<Owned<Always>>()),
];

const fn in_shapes<W: Way>() -> Shapes {
    [
        (Hot::NAME, trial::<W, Hot>),
        (Long::NAME, trial::<W, Long>),
        (Spread::NAME, trial::<W, Spread>),
    ]
}

/// Has `updates` updates made in each way and each shape, and their sums checked. How
/// many were made in all.
pub fn run(updates: u64) -> Found {
    let share = updates / Kernel::cpus() as u64;
    let mut made = 0;
    for (way, shapes) in WAYS {
        for (shape, trial) in shapes {
            trial(updates).map_err(|failure| format!("{way}, {shape}: {failure}"))?;
            made += share * Kernel::cpus() as u64;
        }
    }
    Ok(made)
}

/// The measurement of the name `counters/WAY/SHAPE`, the ticks of so many updates; or
/// `counters/WAY/SHAPE/interrupts`, the interrupts raised for them.
pub fn measurement(name: &[u8]) -> Option<impl Fn(u64) -> Found> {
    let mut parts = core::str::from_utf8(name).ok()?.split('/');
    if parts.next()? != "counters" {
        return None;
    }
    let way = parts.next()?;
    let (_, shapes) = WAYS.into_iter().find(|&(known, _)| known == way)?;
    let shape = parts.next()?;
    let (_, trial) = shapes.into_iter().find(|&(known, _)| known == shape)?;
    let of: fn(Cost) -> u64 = match (parts.next(), parts.next()) {
        (None, _) => |cost| cost.ticks,
        (Some("interrupts"), None) => |cost| cost.interrupts,
        _ => return None,
    };
    Some(move |updates| trial(updates).map(of))
}

/// Has all CPUs together make `updates` updates.
fn trial<W: Way, S: Shape>(updates: u64) -> Result<Cost, Failure> {
    // For ever: a message that is lost now may run later.
    let trial: &'static Trial<W> = Box::leak(Box::new(Trial {
        way: W::new(),
        share: updates / Kernel::cpus() as u64,
        closed: Closed::default(),
        begin: AtomicU64::new(u64::MAX),
        end: AtomicU64::new(u64::MAX),
        interrupts: AtomicU64::new(0),
        found: Lock::new(Counts::default()),
        expected: Lock::new(Counts::default()),
    }));
    on_every_cpu(&|member| trial.run::<S>(member))?;
    let (found, expected) = (*trial.found.lock(), *trial.expected.lock());
    if found != expected {
        return Err(format!("found {found:?}, expected {expected:?}"));
    }
    Ok(Cost {
        ticks: trial.end.load(Ordering::Relaxed) - trial.begin.load(Ordering::Relaxed),
        interrupts: trial.interrupts.load(Ordering::Relaxed),
    })
}

/// Message interrupts raised since boot.
fn raised() -> u64 {
    (0..Kernel::cpus()).map(sched::raised).sum()
}

impl<W: Way> Trial<W> {
    /// One CPU's part.
    fn run<S: Shape>(&'static self, member: &Member<'_>) -> Result<(), Failure> {
        // SAFETY: the thread uses this in no section.
        let mut leave = unsafe { MayBlock::assume() };
        let (cpu, cpus) = (member.cpu, member.members());
        member.barrier()?;
        let before = raised();
        self.begin.fetch_min(tsc(), Ordering::Relaxed);
        let mut number = 0;
        while number < self.share {
            let next = (number + CHUNK).min(self.share);
            S::make(&self.way, &mut leave, Updates::new(cpu, cpus, number..next));
            number = next;
            while this_index() != cpu {
                sched::scheduler().migrate(&leave, cpu);
            }
        }
        self.way.close(&leave, &self.closed);
        let all = cpus * W::closings();
        // The CPU does not idle meanwhile: an owner is a CPU that has other work, too.
        member.wait_until("the updates to be made", || self.closed.count() == all)?;
        // By whoever sees it first: on a host with fewer CPUs the others see it late.
        self.end.fetch_min(tsc(), Ordering::Relaxed);
        self.interrupts
            .fetch_max(raised() - before, Ordering::Relaxed);
        member.barrier()?;
        let counts = self.way.counts(&mut leave, cpu);
        self.found.lock().add(&counts);
        let mut expected = Counts::default();
        for update in Updates::<S>::new(cpu, cpus, 0..self.share) {
            expected.update::<S>(update.value);
        }
        self.expected.lock().add(&expected);
        Ok(())
    }
}
