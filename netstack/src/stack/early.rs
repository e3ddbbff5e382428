//! When to send a segment again that seems to be lost, sooner than smoltcp does by itself.
//!
//! smoltcp waits for a second at least (RFC 6298). That is long where requests and answers alternate:
//! after the last segment nothing follows that would have the other end say what it misses. Others
//! wait for 200 ms, and so does this.

use super::classify::Segment;
use super::port::is_after;
use crate::Nanos;

const MILLISECOND: Nanos = 1_000_000;
/// The shortest time to wait for an acknowledgement: the other end may hold one back for a while.
const LEAST: Nanos = 200 * MILLISECOND;
/// On ways that take longer, smoltcp's timer is soon enough.
const MOST: Nanos = 1000 * MILLISECOND;
/// How often a segment is sent again early, each time after twice as long. Then smoltcp's timer
/// is soon enough.
const TRIES: u32 = 3;
/// How long this end may hold an acknowledgement back: as long as it does, smoltcp takes what the
/// other end could say for older than it is.
const HELD_BACK: Nanos = 15 * MILLISECOND;

/// What has to be known of a connection.
#[derive(Default)]
pub(super) struct EarlyRetransmit {
    /// The last acknowledgement that came, and its window as it was said.
    acknowledged: Option<(u32, u16)>,
    /// Since when something has been under way without getting on.
    since: Option<Nanos>,
    /// When something last came.
    heard: Nanos,
    tries: u32,
    /// A sequence number, and when what is before it was sent.
    sample: Option<(u32, Nanos)>,
    /// How long it takes until an answer comes, smoothed, and how that varies.
    round_trip: Option<(Nanos, Nanos)>,
}

impl EarlyRetransmit {
    /// A segment has come. `next`: the sequence number after all that was sent.
    pub fn heard(&mut self, segment: &Segment, next: Option<u32>, now: Nanos) {
        self.heard = now;
        if !segment.flags.acknowledges() {
            return;
        }
        let number = segment.acknowledged;
        let is_news = self
            .acknowledged
            .is_none_or(|(before, _)| is_after(number, before));
        if is_news {
            self.measure(number, now);
            self.tries = 0;
            let is_under_way = next.is_some_and(|next| is_after(next, number));
            self.since = is_under_way.then_some(now);
        }
        let number = match self.acknowledged {
            Some((before, _)) if !is_news => before,
            _ => number,
        };
        self.acknowledged = Some((number, segment.window));
    }

    /// Takes how long an answer took (RFC 6298, section 2).
    fn measure(&mut self, number: u32, now: Nanos) {
        let Some((target, sent)) = self.sample else {
            return;
        };
        if is_after(target, number) {
            return;
        }
        self.sample = None;
        let time = now.saturating_sub(sent);
        // Or it was smoltcp that has sent it again.
        if time >= MOST {
            return;
        }
        self.round_trip = Some(match self.round_trip {
            None => (time, time / 2),
            Some((mean, deviation)) => (
                (7 * mean + time) / 8,
                (3 * deviation + mean.abs_diff(time)) / 4,
            ),
        });
    }

    /// All before `next` has been sent.
    pub fn sent(&mut self, next: u32, now: Nanos) {
        let is_under_way = match self.acknowledged {
            Some((number, _)) => is_after(next, number),
            None => false,
        };
        if !is_under_way {
            self.sample = self.sample.or(Some((next, now)));
            return;
        }
        if self.since.is_none() {
            self.since = Some(now);
            self.sample = self.sample.or(Some((next, now)));
        }
    }

    /// When it is time (ns, monotonic).
    pub fn deadline(&self) -> Option<Nanos> {
        let (mean, deviation) = self.round_trip?;
        if self.tries >= TRIES {
            return None;
        }
        let time = (mean + 4 * deviation).max(LEAST);
        let due = self.since? + (time << self.tries);
        (time < MOST).then(|| due.max(self.heard + HELD_BACK))
    }

    /// If it is time: what the other end has acknowledged, and the window that it said.
    pub fn take_due(&mut self, now: Nanos) -> Option<(u32, u16)> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        self.tries += 1;
        self.since = Some(now);
        self.sample = None;
        // A closed window is another matter: the other end has no room.
        self.acknowledged.filter(|&(_, window)| window > 1)
    }
}
