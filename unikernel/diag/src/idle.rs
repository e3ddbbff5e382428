//! How long something has been idle, told by one who uses it and read by others.

use core::sync::atomic::{AtomicU64, Ordering};

/// The time that something was idle, in units of the reader's and the owner's common clock.
///
/// It is one word, so that it can be read at any moment, and never seems to run backwards:
/// while it idles, the time at which it would have begun if it had idled without a break; else
/// for how long it has idled. Which of the two is in the lowest bit.
pub struct IdleClock(AtomicU64);

const IDLES: u64 = 1;

impl IdleClock {
    /// Of something that is busy, and always was.
    pub const fn busy() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Of something that idles since time zero.
    pub const fn idle() -> Self {
        Self(AtomicU64::new(IDLES))
    }

    /// It begins to idle, if it does not yet. Its owner.
    #[inline]
    pub fn begin(&self, now: u64) {
        let word = self.0.load(Ordering::Relaxed);
        if word & IDLES == 0 {
            let began = now.wrapping_sub(word >> 1);
            self.0.store(began << 1 | IDLES, Ordering::Relaxed);
        }
    }

    /// It goes on with something, if it idles. Its owner.
    #[inline]
    pub fn end(&self, now: u64) {
        let word = self.0.load(Ordering::Relaxed);
        if word & IDLES != 0 {
            self.0.store(since(word, now) << 1, Ordering::Relaxed);
        }
    }

    /// For how long it has idled by now. Anyone.
    pub fn read(&self, now: u64) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        match word & IDLES {
            0 => word >> 1,
            _ => since(word, now),
        }
    }
}

/// From the beginning in `word` until `now`, as 63 bits have it.
fn since(word: u64, now: u64) -> u64 {
    let elapsed = (now << 1).wrapping_sub(word & !IDLES) >> 1;
    // A reader's clock may be a little behind the owner's.
    const FUTURE: u64 = 1 << 62;
    if elapsed >= FUTURE { 0 } else { elapsed }
}

#[cfg(test)]
mod tests {
    use super::IdleClock;

    #[test]
    fn stretches_add_up() {
        let clock = IdleClock::busy();
        assert_eq!(clock.read(100), 0);
        clock.begin(100);
        assert_eq!(clock.read(130), 30);
        clock.begin(120);
        assert_eq!(clock.read(130), 30, "it idled already");
        clock.end(150);
        assert_eq!([clock.read(150), clock.read(1000)], [50, 50]);
        clock.end(1000);
        assert_eq!(clock.read(1000), 50, "it was busy already");
        clock.begin(1000);
        assert_eq!(clock.read(1007), 57);
        clock.end(1010);
        assert_eq!(clock.read(2000), 60);
    }

    #[test]
    fn what_has_not_begun_idles() {
        let clock = IdleClock::idle();
        assert_eq!(clock.read(77), 77);
        clock.end(80);
        assert_eq!(clock.read(200), 80);
    }

    #[test]
    fn a_clock_that_is_behind_does_no_harm() {
        let clock = IdleClock::busy();
        clock.begin(100);
        assert_eq!(clock.read(99), 0);
        clock.end(99);
        assert_eq!(clock.read(500), 0);
    }

    #[test]
    fn it_never_runs_backwards() {
        let clock = IdleClock::busy();
        let mut last = 0;
        for now in (0..10_000).step_by(7) {
            match now % 3 {
                0 => clock.begin(now),
                1 => clock.end(now),
                _ => {}
            }
            let read = clock.read(now);
            assert!((last..=now).contains(&read), "{last} then {read} at {now}");
            last = read;
        }
    }
}
