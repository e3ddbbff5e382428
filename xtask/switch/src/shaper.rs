//! The way from the switch to a machine: bandwidth, and the queue before it.

use std::collections::VecDeque;

use crate::Time;
use crate::faults::Faults;

struct Queued {
    frame: Vec<u8>,
    due: Time,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Shaper {
    queue: VecDeque<Queued>,
    bytes: usize,
    /// When the last frame is through.
    busy_until: Time,
    spare: Vec<Vec<u8>>,
}

/// What a shaper does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It goes out at once.
    Immediate,
    /// It waits.
    Queued,
    /// The queue is full.
    Overflow,
}

impl Shaper {
    /// Takes a frame, if it does not go at once.
    pub fn admit(&mut self, now: Time, frame: &[u8], faults: &Faults) -> Admission {
        let time = match faults.rate {
            None if self.queue.is_empty() => return Admission::Immediate,
            // A limit that was lifted lets nothing overtake.
            None => Time::ZERO,
            Some(rate) => rate.time_of(frame.len()),
        };
        if self.bytes + frame.len() > faults.queue {
            return Admission::Overflow;
        }
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(frame);
        self.busy_until = self.busy_until.max(now).saturating_add(time);
        self.bytes += frame.len();
        self.queue.push_back(Queued {
            frame: copy,
            due: self.busy_until,
        });
        Admission::Queued
    }

    /// Hands out what is through.
    pub fn expire(&mut self, now: Time, mut out: impl FnMut(&[u8])) {
        while let Some(first) = self.queue.pop_front_if(|first| first.due <= now) {
            self.bytes -= first.frame.len();
            out(&first.frame);
            self.spare.push(first.frame);
        }
    }

    /// When something is through next.
    pub fn next_due(&self) -> Option<Time> {
        self.queue.front().map(|first| first.due)
    }

    /// Throws everything away; says how many frames it was.
    pub fn clear(&mut self) -> u64 {
        let count = self.queue.len() as u64;
        *self = Self::default();
        count
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Admission, Shaper};
    use crate::Time;
    use crate::faults::{Faults, Rate};

    #[test]
    fn frames_take_the_time_of_their_bits() {
        // 1250 bytes are 10,000 bits: a millisecond.
        let faults = Faults {
            rate: Rate::new(10_000_000),
            queue: 3000,
            ..Faults::NONE
        };
        let mut shaper = Shaper::default();
        let start = Duration::from_secs(1);
        assert_eq!(shaper.admit(start, &[0; 1250], &faults), Admission::Queued);
        assert_eq!(shaper.admit(start, &[0; 1250], &faults), Admission::Queued);
        assert_eq!(
            shaper.admit(start, &[0; 1250], &faults),
            Admission::Overflow
        );
        let mut count = 0;
        assert_eq!(shaper.next_due(), Some(start + Duration::from_millis(1)));
        shaper.expire(start + Duration::from_millis(1), |_| count += 1);
        assert_eq!(
            (count, shaper.next_due()),
            (1, Some(start + Duration::from_millis(2)))
        );
        shaper.expire(start + Duration::from_millis(2), |_| count += 1);
        // Time in which nothing was sent is not made up for.
        let later = start * 2;
        shaper.admit(later, &[0; 1250], &faults);
        assert_eq!(
            (count, shaper.next_due()),
            (2, Some(later + Duration::from_millis(1)))
        );
    }

    #[test]
    fn without_a_limit_nothing_waits_but_behind_what_does() {
        let mut shaper = Shaper::default();
        assert_eq!(
            shaper.admit(Time::ZERO, &[0; 60], &Faults::NONE),
            Admission::Immediate
        );
        let slow = Faults {
            rate: Rate::new(8),
            ..Faults::NONE
        };
        shaper.admit(Time::ZERO, &[1; 60], &slow);
        assert_eq!(
            shaper.admit(Time::ZERO, &[2; 60], &Faults::NONE),
            Admission::Queued
        );
        let mut out = Vec::new();
        shaper.expire(Duration::from_secs(60), |frame| out.push(frame[0]));
        assert_eq!(out, [1, 2]);
        shaper.admit(Time::ZERO, &[3; 60], &slow);
        assert_eq!((shaper.clear(), shaper.next_due()), (1, None));
    }
}
