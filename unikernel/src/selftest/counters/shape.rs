//! Which counters are updated, and how much work an update is.

use core::hint::black_box;

/// One update in so many goes to another CPU's counters, if they are spread.
const ELSEWHERE: u64 = 16;
/// Makes an update about 100 instructions longer.
const STIRS: u32 = 12;

/// Where updates go, and how long they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All to the same counters: those of CPU 0.
    Hot,
    /// The same, with some 100 instructions of work on the counters.
    Long,
    /// To the CPU's own counters, and each 16th to another CPU's.
    Spread,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 3] = [Self::Hot, Self::Long, Self::Spread];

    /// Its part of an experiment's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Long => "long",
            Self::Spread => "spread",
        }
    }
}

/// The updates of one CPU.
#[derive(Clone, Copy)]
pub struct Updates {
    /// Where they go, and how long they are.
    pub shape: Shape,
    /// The CPU whose they are.
    pub cpu: usize,
    /// How many CPUs there are.
    pub cpus: usize,
}

/// One update.
#[derive(Clone, Copy)]
pub struct Update {
    /// The CPU whose counters it is to change.
    pub target: usize,
    /// What it counts: another number for each update.
    pub value: u64,
    /// How often the value is stirred.
    pub stirs: u32,
}

impl Updates {
    /// The CPU's update of that number.
    #[inline(always)]
    pub fn get(&self, number: u64) -> Update {
        let (target, stirs) = match self.shape {
            Shape::Hot => (0, 0),
            Shape::Long => (0, STIRS),
            Shape::Spread if number % ELSEWHERE == ELSEWHERE - 1 && self.cpus > 1 => {
                let others = self.cpus - 1;
                let next = (number / ELSEWHERE) as usize % others;
                ((self.cpu + 1 + next) % self.cpus, 0)
            }
            Shape::Spread => (self.cpu, 0),
        };
        Update {
            target,
            // Unknown to the compiler: it shall make the updates one by one.
            value: black_box((self.cpu as u64) << 48 | number),
            stirs,
        }
    }
}
