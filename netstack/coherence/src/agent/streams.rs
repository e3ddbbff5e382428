//! Streams: faults that go through memory page by page.

use crate::ids::PageIndex;
use alloc::collections::VecDeque;

/// How many are followed at a time.
const FOLLOWED: usize = 8;

/// The streams that were last seen, latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Streams(VecDeque<Stream>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Stream {
    /// The page that it will fault on next, if it goes on.
    next: PageIndex,
    run: u8,
}

impl Streams {
    /// How many pages to ask for after a fault: one at first, then twice as many each time
    /// that the stream goes on, up to `most`.
    pub(super) fn run(&mut self, index: PageIndex, most: u8) -> u8 {
        let known = self.0.iter().position(|stream| stream.next == index);
        let stream = known.and_then(|position| self.0.remove(position));
        let run = stream
            .map_or(1, |stream| stream.run.saturating_mul(2))
            .clamp(1, most.max(1));
        self.0.push_front(Stream {
            next: index.plus(run.into()),
            run,
        });
        self.0.truncate(FOLLOWED);
        run
    }
}
