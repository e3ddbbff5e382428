//! What is wrong with a network, by order.

mod decide;
mod spec;

use std::time::Duration;

pub(crate) use decide::{Decision, decide};
pub use spec::{Plan, SpecError, spread};

/// How often something happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probability {
    /// In 2³² cases.
    cases: u64,
}

impl Probability {
    /// Of a number between 0 and 1.
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self {
            cases: (value * 4_294_967_296.0) as u64,
        })
    }

    fn is_met_by(self, draw: u32) -> bool {
        u64::from(draw) < self.cases
    }
}

/// Bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    bits_per_second: u64,
}

impl Rate {
    /// `None` when it is 0.
    pub fn new(bits_per_second: u64) -> Option<Self> {
        (bits_per_second > 0).then_some(Self { bits_per_second })
    }

    /// How long so many bytes take.
    pub fn time_of(self, bytes: usize) -> Duration {
        let nanos = bytes as u128 * 8 * 1_000_000_000 / u128::from(self.bits_per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What is wrong with one port. The default is nothing.
///
/// All but the bandwidth concerns what the machine at the port sends; the bandwidth is
/// that of what it gets, where ways of several senders meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Frames that are lost.
    pub loss: Probability,
    /// How long frames are under way. They stay in order.
    pub delay: Duration,
    /// How much more or less it may be, evenly spread.
    pub jitter: Duration,
    /// Frames that the next one, or two, or three overtake.
    pub reorder: Probability,
    /// Frames that arrive twice.
    pub duplicate: Probability,
    /// Frames with one bit of their content turned.
    pub corrupt: Probability,
    /// Segments of TCP connections that become an RST.
    pub reset: Probability,
    /// Bandwidth, if it is limited.
    pub rate: Option<Rate>,
    /// How many bytes may wait for it.
    pub queue: usize,
}

impl Faults {
    /// A perfect network.
    pub const NONE: Self = Self {
        loss: Probability { cases: 0 },
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        reorder: Probability { cases: 0 },
        duplicate: Probability { cases: 0 },
        corrupt: Probability { cases: 0 },
        reset: Probability { cases: 0 },
        rate: None,
        queue: 256 * 1024,
    };

    /// Whether what the machine sends is left alone.
    pub(crate) fn leave_alone(&self) -> bool {
        let never = Probability::default();
        self.loss == never
            && self.reorder == never
            && self.duplicate == never
            && self.corrupt == never
            && self.reset == never
            && self.delay.is_zero()
            && self.jitter.is_zero()
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::NONE
    }
}
