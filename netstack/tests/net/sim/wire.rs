//! A wire that joins ports, with all that can happen on one.

use std::collections::VecDeque;

use darner_netstack::Nanos;
use fastrand::Rng;

/// What a wire does to frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// From the sender to all receivers.
    pub delay: Nanos,
    /// Bits per second that a port can send; 0: no limit.
    pub bandwidth: u64,
    /// Frames that wait to be sent; one more is lost. The card holds those of its ring.
    pub queue: usize,
    /// Part of the frames that is lost, 0 to 1.
    pub loss: f64,
    /// Part that comes twice.
    pub duplication: f64,
    /// Part that comes late.
    pub reordering: f64,
    /// By how much, at most.
    pub lateness: Nanos,
    /// Part of which a bit changes.
    pub corruption: f64,
}

impl Faults {
    /// A wire on which nothing goes wrong: a gigabit, and 50 µs.
    pub const NONE: Self = Self {
        delay: 50_000,
        bandwidth: 1_000_000_000,
        queue: usize::MAX,
        loss: 0.0,
        duplication: 0.0,
        reordering: 0.0,
        lateness: 0,
        corruption: 0.0,
    };
}

/// What a test decides about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Drop,
}

/// Looks at each frame before anything else happens to it: from which port, and when.
pub type Filter = Box<dyn FnMut(&[u8], usize, Nanos) -> Verdict>;

/// What a wire has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct WireCounters {
    pub frames: u64,
    pub bytes: u64,
    pub lost: u64,
    pub overflowed: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub corrupted: u64,
}

/// A wire.
pub struct Wire {
    pub faults: Faults,
    pub filter: Option<Filter>,
    pub counters: WireCounters,
    /// Nothing passes.
    pub cut: bool,
    senders: Vec<Sender>,
}

#[derive(Default)]
struct Sender {
    /// When each of the frames that wait will be on the wire.
    queued: VecDeque<Nanos>,
}

/// When a frame is on the wire, and when and as what it arrives.
pub struct Passage {
    pub done: Nanos,
    pub arrivals: Vec<(Nanos, Vec<u8>)>,
}

impl Wire {
    pub fn new(faults: Faults) -> Self {
        Self {
            faults,
            filter: None,
            counters: WireCounters::default(),
            cut: false,
            senders: Vec::new(),
        }
    }

    /// One more port; its number.
    pub fn attach(&mut self) -> usize {
        self.senders.push(Sender::default());
        self.senders.len() - 1
    }

    /// What happens to a frame that a port sends.
    pub fn pass(&mut self, port: usize, frame: Vec<u8>, now: Nanos, rng: &mut Rng) -> Passage {
        self.counters.frames += 1;
        self.counters.bytes += frame.len() as u64;
        let time = self.time_of(frame.len());
        let queued = &mut self.senders[port].queued;
        while queued.front().is_some_and(|&done| done <= now) {
            queued.pop_front();
        }
        if queued.len() >= self.faults.queue {
            self.counters.overflowed += 1;
            return Passage {
                done: now,
                arrivals: Vec::new(),
            };
        }
        let begin = queued.back().copied().unwrap_or(now);
        let done = begin + time;
        queued.push_back(done);
        let arrivals = self.fate(port, frame, done, rng);
        Passage { done, arrivals }
    }

    /// How long a frame takes, with checksum, preamble and gap.
    fn time_of(&self, length: usize) -> Nanos {
        let bits = (length.max(60) as u64 + 24) * 8;
        (bits * 1_000_000_000)
            .checked_div(self.faults.bandwidth)
            .unwrap_or(0)
    }

    fn fate(
        &mut self,
        port: usize,
        mut frame: Vec<u8>,
        done: Nanos,
        rng: &mut Rng,
    ) -> Vec<(Nanos, Vec<u8>)> {
        let dropped = self
            .filter
            .as_mut()
            .is_some_and(|filter| filter(&frame, port, done) == Verdict::Drop);
        if self.cut || dropped || rng.f64() < self.faults.loss {
            self.counters.lost += 1;
            return Vec::new();
        }
        let mut arrival = done + self.faults.delay;
        if rng.f64() < self.faults.reordering {
            self.counters.reordered += 1;
            arrival += rng.u64(0..=self.faults.lateness);
        }
        let mut arrivals = Vec::new();
        if rng.f64() < self.faults.duplication {
            self.counters.duplicated += 1;
            let late = rng.u64(0..=self.faults.lateness);
            arrivals.push((arrival + late, frame.clone()));
        }
        if rng.f64() < self.faults.corruption {
            self.counters.corrupted += 1;
            let bit = rng.usize(0..frame.len() * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        arrivals.push((arrival, frame));
        arrivals
    }
}
