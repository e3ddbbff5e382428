//! Virtual time: the simulation's, and the clocks of its nodes.

use darner_coherence::Time;

/// A moment of the simulation, in nanoseconds since its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// A microsecond, in nanoseconds.
pub const MICROSECOND: u64 = 1_000;
/// A millisecond, in nanoseconds.
pub const MILLISECOND: u64 = 1_000_000;
/// A second, in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

impl Moment {
    /// The moment so many nanoseconds later.
    #[must_use]
    pub fn after(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }

    /// The nanoseconds since an earlier moment.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The clock of a node, which never goes back: set back, it stands still.
#[derive(Clone, Debug)]
pub struct Clock {
    ahead: i64,
    shown: u64,
}

impl Default for Clock {
    /// That of a machine that has been up for an hour, so that it can be set back.
    fn default() -> Self {
        Self {
            ahead: 3600 * SECOND as i64,
            shown: 0,
        }
    }
}

impl Clock {
    /// What it shows.
    pub fn read(&mut self, now: Moment) -> Time {
        self.shown = self.shown.max(now.0.saturating_add_signed(self.ahead));
        Time(self.shown / MICROSECOND)
    }

    /// Sets it forward or back.
    pub fn jump(&mut self, nanoseconds: i64) {
        self.ahead = self.ahead.saturating_add(nanoseconds);
    }

    /// How long it stands still, if it was set back.
    pub fn stands_for(&self, now: Moment) -> u64 {
        let shows = now.0.saturating_add_signed(self.ahead);
        self.shown.saturating_sub(shows)
    }

    /// How long until it shows `time`, if it does not jump meanwhile.
    pub fn until(&self, now: Moment, time: Time) -> u64 {
        let shows = now.0.saturating_add_signed(self.ahead);
        time.0.saturating_mul(MICROSECOND).saturating_sub(shows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_stands_still() {
        let mut clock = Clock { ahead: 0, shown: 0 };
        assert_eq!(clock.read(Moment(5_000)), Time(5));
        clock.jump(10_000);
        assert_eq!(clock.read(Moment(6_000)), Time(16));
        clock.jump(-10_000);
        assert_eq!(clock.read(Moment(7_000)), Time(16));
        assert_eq!(clock.stands_for(Moment(7_000)), 9_000);
        assert_eq!(clock.read(Moment(17_000)), Time(17));
        assert_eq!(clock.until(Moment(17_000), Time(20)), 3_000);
    }
}
