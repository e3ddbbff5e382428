//! The way from a machine to the switch: where frames are lost, turned, copied, held
//! back and delayed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::counters::Ingress;
use crate::faults::{Decision, Faults, decide};
use crate::frame::HEADER;
use crate::reset::reset;
use crate::{PortId, Time};

/// How long a frame waits at most for those that shall overtake it.
const PATIENCE: Duration = Duration::from_millis(10);
/// How many bytes may be under way. More are not taken from the machine for now: a
/// delay is no loss.
const CAPACITY: usize = 8 << 20;

/// What became of a frame at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is on its way.
    Passed,
    /// It is held back, to be overtaken.
    Held,
    /// It is lost by order.
    Lost,
    /// The port is down.
    Down,
    /// It was no frame.
    Malformed,
}

struct Held {
    frame: Vec<u8>,
    decision: Decision,
    /// The number of the last frame that overtakes it.
    after: u64,
    deadline: Time,
}

struct Delayed {
    frame: Vec<u8>,
    due: Time,
}

/// See the module.
pub(crate) struct Line {
    pub counters: Ingress,
    pub faults: Faults,
    seed: u64,
    port: PortId,
    /// How many frames have come.
    count: u64,
    held: Vec<Held>,
    /// In order of time: a delay that varies does not reorder.
    delayed: VecDeque<Delayed>,
    /// Bytes in both.
    bytes: usize,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
}

impl Line {
    pub fn new(port: PortId, seed: u64, faults: Faults) -> Self {
        Self {
            counters: Ingress::default(),
            faults,
            seed,
            port,
            count: 0,
            held: Vec::new(),
            delayed: VecDeque::new(),
            bytes: 0,
            spare: Vec::new(),
        }
    }

    /// Whether it can take no more at the moment.
    pub fn is_full(&self) -> bool {
        self.bytes > CAPACITY
    }

    /// Takes a frame; those that leave the line at once are passed on.
    pub fn take(&mut self, now: Time, frame: &[u8], pass: &mut impl FnMut(&[u8])) -> Fate {
        let number = self.count;
        self.count += 1;
        if self.faults.leave_alone() && self.held.is_empty() && self.delayed.is_empty() {
            self.counters.forwarded += 1;
            pass(frame);
            return Fate::Passed;
        }
        let decision = decide(&self.faults, self.seed, self.port, number);
        let fate = if decision.is_lost {
            self.counters.lost += 1;
            Fate::Lost
        } else {
            let mut copy = self.copy(frame);
            if let Some(bit) = decision.bit
                && turn(&mut copy, bit)
            {
                self.counters.corrupted += 1;
            }
            if decision.is_reset && reset(&mut copy) {
                self.counters.reset += 1;
            }
            match decision.overtaken_by {
                Some(others) => {
                    self.counters.reordered += 1;
                    self.counters.in_line += 1;
                    self.bytes += copy.len();
                    self.held.push(Held {
                        frame: copy,
                        decision,
                        after: number + others,
                        deadline: now + PATIENCE,
                    });
                    Fate::Held
                }
                None => {
                    self.release(now, copy, decision, pass);
                    Fate::Passed
                }
            }
        };
        self.let_go(now, pass, |held| held.after <= number);
        fate
    }

    /// Passes on what is due.
    pub fn expire(&mut self, now: Time, pass: &mut impl FnMut(&[u8])) {
        self.let_go(now, pass, |held| held.deadline <= now);
        while let Some(first) = self.delayed.pop_front_if(|first| first.due <= now) {
            self.counters.in_line -= 1;
            self.bytes -= first.frame.len();
            self.counters.forwarded += 1;
            pass(&first.frame);
            self.spare.push(first.frame);
        }
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<Time> {
        let held = self.held.iter().map(|held| held.deadline);
        held.chain(self.delayed.front().map(|first| first.due))
            .min()
    }

    /// Ends the waiting of those held back for whom `is_over` says so.
    fn let_go(&mut self, now: Time, pass: &mut impl FnMut(&[u8]), is_over: impl Fn(&Held) -> bool) {
        while let Some(index) = self.held.iter().position(&is_over) {
            let held = self.held.remove(index);
            self.counters.in_line -= 1;
            self.bytes -= held.frame.len();
            self.release(now, held.frame, held.decision, pass);
        }
    }

    /// Sends a frame on its way, once or twice.
    fn release(
        &mut self,
        now: Time,
        frame: Vec<u8>,
        decision: Decision,
        pass: &mut impl FnMut(&[u8]),
    ) {
        if decision.is_duplicated {
            self.counters.duplicated += 1;
            let twin = self.copy(&frame);
            self.depart(now, twin, decision.delay, pass);
        }
        self.depart(now, frame, decision.delay, pass);
    }

    fn depart(&mut self, now: Time, frame: Vec<u8>, delay: Duration, pass: &mut impl FnMut(&[u8])) {
        let before = self.delayed.back().map_or(Time::ZERO, |last| last.due);
        let due = before.max(now + delay);
        if due <= now && self.delayed.is_empty() {
            self.counters.forwarded += 1;
            pass(&frame);
            self.spare.push(frame);
            return;
        }
        self.counters.in_line += 1;
        self.bytes += frame.len();
        self.delayed.push_back(Delayed { frame, due });
    }

    fn copy(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(frame);
        copy
    }
}

/// Turns a bit behind the header, as happens to what passes a bad memory; what a bad
/// cable turns, a card finds out. Says whether there was one.
fn turn(frame: &mut [u8], bit: u32) -> bool {
    let content = &mut frame[HEADER..];
    if content.is_empty() {
        return false;
    }
    let bit = bit as usize % (content.len() * 8);
    content[bit / 8] ^= 1 << (bit % 8);
    true
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CAPACITY, Fate, Line, PATIENCE};
    use crate::faults::{Faults, Probability};
    use crate::{PortId, Time};

    /// A line and what came out of it: the numbers in the frames.
    struct Rig {
        line: Line,
        out: Vec<u32>,
    }

    fn always() -> Probability {
        Probability::new(1.0).unwrap()
    }

    impl Rig {
        fn new(faults: Faults) -> Self {
            Self {
                line: Line::new(PortId(0), 1, faults),
                out: Vec::new(),
            }
        }

        fn send(&mut self, now: Time, number: u32) -> Fate {
            let mut frame = [0; 60];
            frame[56..].copy_from_slice(&number.to_be_bytes());
            let out = &mut self.out;
            self.line.take(now, &frame, &mut |frame: &[u8]| {
                out.push(u32::from_be_bytes(*frame.last_chunk().unwrap()));
            })
        }

        fn expire(&mut self, now: Time) {
            let out = &mut self.out;
            self.line.expire(now, &mut |frame: &[u8]| {
                out.push(u32::from_be_bytes(*frame.last_chunk().unwrap()));
            });
        }
    }

    #[test]
    fn a_good_line_passes_everything_at_once() {
        let mut rig = Rig::new(Faults::NONE);
        for number in 0..5 {
            assert_eq!(rig.send(Time::ZERO, number), Fate::Passed);
        }
        assert_eq!(rig.out, [0, 1, 2, 3, 4]);
        assert_eq!(rig.line.next_due(), None);
    }

    #[test]
    fn a_delay_keeps_the_order_even_where_it_varies() {
        let mut rig = Rig::new(Faults {
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(5),
            ..Faults::NONE
        });
        for number in 0..1000 {
            rig.send(Duration::from_micros(number.into()), number);
            rig.expire(Duration::from_micros(number.into()));
        }
        while let Some(due) = rig.line.next_due() {
            rig.expire(due);
            assert!(due <= Duration::from_millis(11));
        }
        assert_eq!(rig.out, (0..1000).collect::<Vec<_>>());
        assert_eq!((rig.line.counters.in_line, rig.line.bytes), (0, 0));
    }

    #[test]
    fn a_delay_that_ends_lets_nothing_overtake() {
        let mut rig = Rig::new(Faults {
            delay: Duration::from_millis(5),
            ..Faults::NONE
        });
        rig.send(Time::ZERO, 0);
        rig.line.faults = Faults::NONE;
        rig.send(Time::ZERO, 1);
        assert!(rig.out.is_empty());
        rig.expire(Duration::from_millis(5));
        rig.send(Duration::from_millis(5), 2);
        assert_eq!(rig.out, [0, 1, 2]);
    }

    #[test]
    fn who_is_held_back_is_overtaken_by_three_at_most() {
        let mut rig = Rig::new(Faults {
            reorder: Probability::new(0.2).unwrap(),
            ..Faults::NONE
        });
        for number in 0..1000 {
            rig.send(Time::ZERO, number);
        }
        rig.expire(PATIENCE);
        let mut sorted = rig.out.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_ne!(sorted, rig.out);
        for (place, number) in (0_i64..).zip(&rig.out) {
            assert!(
                (place - i64::from(*number)).abs() <= 3,
                "{number} at {place}"
            );
        }
        assert!(rig.line.counters.reordered > 150);
    }

    #[test]
    fn who_nobody_overtakes_goes_on_soon() {
        let mut rig = Rig::new(Faults {
            reorder: always(),
            ..Faults::NONE
        });
        assert_eq!(rig.send(Time::ZERO, 0), Fate::Held);
        assert_eq!(rig.line.next_due(), Some(PATIENCE));
        rig.expire(PATIENCE);
        assert_eq!((&rig.out[..], rig.line.counters.in_line), (&[0][..], 0));
    }

    #[test]
    fn copies_follow_each_other() {
        let mut rig = Rig::new(Faults {
            duplicate: always(),
            ..Faults::NONE
        });
        rig.send(Time::ZERO, 0);
        rig.send(Time::ZERO, 1);
        assert_eq!(
            (&rig.out[..], rig.line.counters.duplicated),
            (&[0, 0, 1, 1][..], 2)
        );
    }

    #[test]
    fn one_bit_of_the_content_is_turned() {
        let faults = Faults {
            corrupt: always(),
            ..Faults::NONE
        };
        let mut line = Line::new(PortId(0), 1, faults);
        let mut turned = 0;
        for length in 15..1000 {
            let mut pass = |frame: &[u8]| {
                assert!(frame[..14].iter().all(|byte| *byte == 0));
                turned += frame.iter().map(|byte| byte.count_ones()).sum::<u32>();
            };
            line.take(Time::ZERO, &vec![0; length], &mut pass);
        }
        assert_eq!((turned, line.counters.corrupted), (985, 985));
        // There is nothing to turn.
        line.take(Time::ZERO, &[0; 14], &mut |_| {});
        assert_eq!(line.counters.corrupted, 985);
    }

    #[test]
    fn a_full_line_says_so() {
        let mut rig = Rig::new(Faults {
            delay: Duration::from_secs(1),
            ..Faults::NONE
        });
        for number in 0..u32::try_from(CAPACITY / 60).unwrap() {
            rig.send(Time::ZERO, number);
        }
        assert!(!rig.line.is_full());
        rig.send(Time::ZERO, 0);
        assert!(rig.line.is_full());
        rig.expire(Duration::from_secs(1));
        assert!(!rig.line.is_full());
    }
}
