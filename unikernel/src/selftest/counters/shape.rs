//! Which counters are updated, and how much work an update is.

use core::hint::black_box;

use darner_lwkt::MayBlock;

use super::Way;
use crate::sched::Kernel;

/// One update in so many goes to another CPU's counters, if they are spread.
const ELSEWHERE: u64 = 16;

/// Where updates go, and how long they are.
pub trait Shape: 'static {
    /// Its part of an experiment's name.
    const NAME: &'static str;
    /// How often a value is stirred when it is counted.
    const STIRS: u32;

    /// The CPU whose counters CPU `cpu` of `cpus` changes by its update `number`.
    fn target(cpu: usize, cpus: usize, number: u64) -> usize;

    /// [`Updates::make`], in a page of code with all loops of this shape. (An emulator
    /// takes longer for jumps between pages: chance should not decide which way has
    /// one in its loop.)
    fn make<W: Way>(way: &'static W, leave: &mut MayBlock<Kernel>, updates: Updates<Self>)
    where
        Self: Sized;
}

/// All to the same counters: those of CPU 0.
pub struct Hot;

impl Shape for Hot {
    const NAME: &'static str = "hot";
    const STIRS: u32 = 0;

    #[inline(always)]
    fn target(_cpu: usize, _cpus: usize, _number: u64) -> usize {
        0
    }

    #[inline(never)]
    #[unsafe(link_section = ".text.counters.hot")]
    fn make<W: Way>(way: &'static W, leave: &mut MayBlock<Kernel>, updates: Updates<Self>) {
        updates.make(way, leave);
    }
}

/// The same, with some 100 instructions of work on the counters.
pub struct Long;

impl Shape for Long {
    const NAME: &'static str = "long";
    const STIRS: u32 = 11;

    #[inline(always)]
    fn target(_cpu: usize, _cpus: usize, _number: u64) -> usize {
        0
    }

    #[inline(never)]
    #[unsafe(link_section = ".text.counters.long")]
    fn make<W: Way>(way: &'static W, leave: &mut MayBlock<Kernel>, updates: Updates<Self>) {
        updates.make(way, leave);
    }
}

/// To the CPU's own counters, and each 16th to another CPU's.
pub struct Spread;

impl Shape for Spread {
    const NAME: &'static str = "spread";
    const STIRS: u32 = 0;

    #[inline(always)]
    fn target(cpu: usize, cpus: usize, number: u64) -> usize {
        if number % ELSEWHERE != ELSEWHERE - 1 {
            return cpu;
        }
        // Or the compiler would make a second loop for one CPU, and the page is full.
        let cpus = black_box(cpus);
        if cpus == 1 {
            return cpu;
        }
        let next = (number / ELSEWHERE) as usize % (cpus - 1);
        (cpu + 1 + next) % cpus
    }

    #[inline(never)]
    #[unsafe(link_section = ".text.counters.spread")]
    fn make<W: Way>(way: &'static W, leave: &mut MayBlock<Kernel>, updates: Updates<Self>) {
        updates.make(way, leave);
    }
}

/// Some of a CPU's updates, one after the other.
pub struct Updates<S> {
    cpu: usize,
    cpus: usize,
    next: u64,
    end: u64,
    _shape: core::marker::PhantomData<S>,
}

/// One update.
#[derive(Clone, Copy)]
pub struct Update {
    /// The CPU whose counters it is to change.
    pub target: usize,
    /// What it counts: another number for each update.
    pub value: u64,
}

impl<S: Shape> Updates<S> {
    /// The updates `numbers` of CPU `cpu` of `cpus`.
    pub fn new(cpu: usize, cpus: usize, numbers: core::ops::Range<u64>) -> Self {
        Self {
            cpu,
            cpus,
            next: numbers.start,
            end: numbers.end,
            _shape: core::marker::PhantomData,
        }
    }

    /// Makes the updates in this way, or sends them.
    #[inline(always)]
    fn make<W: Way>(self, way: &'static W, leave: &mut MayBlock<Kernel>) {
        way.apply::<S>(leave, self);
    }
}

impl<S: Shape> Iterator for Updates<S> {
    type Item = Update;

    #[inline(always)]
    fn next(&mut self) -> Option<Update> {
        if self.next == self.end {
            return None;
        }
        let number = self.next;
        self.next += 1;
        Some(Update {
            target: S::target(self.cpu, self.cpus, number),
            // Unknown to the compiler: it shall make the updates one by one.
            value: black_box((self.cpu as u64) << 48 | number),
        })
    }
}
