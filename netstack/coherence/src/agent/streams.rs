//! Streams: accesses that go through memory page by page, and how far they will go.
//!
//! A stream is known by the faults it takes; a page that came before it was asked for is not mapped until it is
//! touched, so that every page of a stream is seen. What is asked for in advance is of two kinds. As far as a stream
//! *has gone before*, pages are asked for as if a thread waited for them, wherever they are. Beyond that a stream
//! is only hoped to go on: twice as far each time, and only pages that their home can give away at once.
//! So no page is taken from a node that wrote it but for one that was seen to want such pages.
//!
//! A page that was taken away again before it was touched was *wasted*: nothing is expected of its stream for a
//! while, the longer the more often that happens.

use crate::ids::{Access, PageIndex};
use alloc::collections::VecDeque;

/// How many are remembered.
const REMEMBERED: usize = 32;
/// How many of the latest say how far a new one will go: as far as each of them.
const TYPICAL: usize = 4;
/// The most doubt, as a power of 2: for so many times nothing is expected.
const MOST_DOUBT: u8 = 6;
/// Pages that a stream may skip because they are here already.
const SKIPPED: u64 = 16;

/// The streams that were last seen, latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Streams(VecDeque<Stream>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Stream {
    access: Access,
    start: PageIndex,
    /// The page after the last one that was touched.
    end: PageIndex,
    /// How many pages one like it had before.
    expected: u64,
    /// How many pages were last asked for.
    run: u8,
    /// How often pages of it were wasted, less how often they were not.
    doubt: u8,
    /// How many times it is to begin with nothing expected of it.
    wait: u8,
}

/// How many pages to ask for after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ahead {
    /// So many from the first on will be wanted.
    pub(super) expected: u8,
    /// So many more might be.
    pub(super) hoped: u8,
}

impl Stream {
    /// It begins anew.
    fn again(self) -> Self {
        let doubt = if self.wait == 0 { 1 } else { 0 };
        Self {
            expected: self.to_expect(),
            run: 0,
            doubt: self.doubt.saturating_sub(doubt),
            wait: self.wait.saturating_sub(1),
            ..self
        }
    }

    /// How many pages one like it will have.
    fn to_expect(self) -> u64 {
        if self.wait > 0 {
            1
        } else {
            self.end.0 - self.start.0
        }
    }
}

impl Streams {
    /// A page is touched. `here` tells of pages that can be touched without a fault.
    pub(super) fn touched(
        &mut self,
        index: PageIndex,
        access: Access,
        here: impl Fn(PageIndex) -> bool,
    ) {
        if self.at(index, access).is_some() {
            return;
        }
        let goes_on = |stream: &Stream| {
            let gap = index.0.wrapping_sub(stream.end.0);
            stream.access == access
                && gap <= SKIPPED
                && (0..gap).all(|distance| here(stream.end.plus(distance)))
        };
        let begins = |stream: &Stream| stream.access == access && stream.start == index;
        let stream = if let Some(position) = self.0.iter().position(goes_on) {
            self.0.remove(position)
        } else if let Some(position) = self.0.iter().position(begins) {
            let before = self.0.remove(position);
            before.map(Stream::again)
        } else {
            None
        };
        let stream = stream.unwrap_or(Stream {
            access,
            start: index,
            end: index,
            expected: self.typical(access),
            run: 0,
            doubt: 0,
            wait: 0,
        });
        self.0.push_front(Stream {
            end: index.plus(1),
            ..stream
        });
        self.0.truncate(REMEMBERED);
    }

    /// How many pages to ask for from `index` on, which was just touched, `most` at most.
    pub(super) fn ahead(&mut self, index: PageIndex, access: Access, most: u8) -> Ahead {
        let most = most.max(1);
        let Some(stream) = self.at(index, access).map(|position| &mut self.0[position]) else {
            return Ahead {
                expected: 1,
                hoped: 0,
            };
        };
        let gone = index.0 - stream.start.0;
        let expected = stream.expected.saturating_sub(gone).clamp(1, most.into()) as u8;
        stream.run = stream.run.saturating_mul(2).clamp(expected, most);
        Ahead {
            expected,
            hoped: stream.run - expected,
        }
    }

    /// A page that was asked for in advance was taken away before it was touched.
    pub(super) fn wasted(&mut self, index: PageIndex, access: Access) {
        let asked = |stream: &&mut Stream| {
            let most = stream.end.plus(SKIPPED);
            stream.access == access && (stream.start..most).contains(&index)
        };
        if let Some(stream) = self.0.iter_mut().find(asked)
            && stream.wait == 0
        {
            stream.doubt = (stream.doubt + 2).min(MOST_DOUBT);
            stream.wait = 1 << stream.doubt;
            (stream.expected, stream.run) = (1, 1);
        }
    }

    /// The stream that has come to a page.
    fn at(&self, index: PageIndex, access: Access) -> Option<usize> {
        let is_at = |stream: &Stream| stream.access == access && stream.end == index.plus(1);
        self.0.iter().position(is_at)
    }

    /// How many pages a stream of which nothing is known will have.
    fn typical(&self, access: Access) -> u64 {
        let latest = self.0.iter().filter(|stream| stream.access == access);
        let lengths = latest.map(|stream| stream.to_expect());
        let (count, least) = lengths
            .take(TYPICAL)
            .fold((0, u64::MAX), |(count, least), length| {
                (count + 1, least.min(length))
            });
        if count == TYPICAL { least } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(streams: &mut Streams, page: u64) -> (u8, u8) {
        let page = PageIndex(page);
        streams.touched(page, Access::Read, |_| false);
        let Ahead { expected, hoped } = streams.ahead(page, Access::Read, 16);
        (expected, hoped)
    }

    #[test]
    fn what_goes_on_is_hoped_to_go_on_twice_as_far() {
        let mut streams = Streams::default();
        assert_eq!(touch(&mut streams, 100), (1, 0));
        assert_eq!(touch(&mut streams, 101), (1, 1));
        streams.touched(PageIndex(102), Access::Read, |_| false);
        assert_eq!(touch(&mut streams, 103), (1, 3));
    }

    #[test]
    fn what_begins_where_one_began_is_expected_to_go_as_far() {
        let mut streams = Streams::default();
        for page in 100..105 {
            touch(&mut streams, page);
        }
        assert_eq!(touch(&mut streams, 100), (5, 0));
        streams.touched(PageIndex(101), Access::Read, |_| false);
        assert_eq!(touch(&mut streams, 102).0, 3);
    }

    #[test]
    fn a_new_one_is_expected_to_be_like_the_latest() {
        let mut streams = Streams::default();
        for start in [100, 200, 300, 400] {
            assert_eq!(touch(&mut streams, start), (1, 0));
            touch(&mut streams, start + 1);
        }
        assert_eq!(touch(&mut streams, 500), (2, 0));
        assert_eq!(
            touch(&mut streams, 600),
            (1, 0),
            "the last one had one page"
        );
    }

    #[test]
    fn nothing_is_expected_where_pages_were_wasted() {
        let mut streams = Streams::default();
        let mut round = |waste: bool| {
            let expected = touch(&mut streams, 100).0;
            for page in 101..104 {
                streams.touched(PageIndex(page), Access::Read, |_| false);
            }
            if waste && expected > 1 {
                streams.wasted(PageIndex(102), Access::Read);
            }
            expected
        };
        assert_eq!([round(true), round(true)], [1, 4]);
        let waits = (0..200).map(|_| round(true)).collect::<Vec<_>>();
        assert_eq!(waits[..5], [1, 1, 1, 1, 4]);
        let tried = waits.iter().filter(|&&expected| expected > 1).count();
        assert!(tried < 8, "{tried} times");
        let again = (0..200)
            .map(|_| round(false))
            .filter(|&expected| expected > 1);
        assert!(again.count() > 100);
    }

    #[test]
    fn pages_that_are_here_do_not_end_a_stream() {
        let mut streams = Streams::default();
        touch(&mut streams, 100);
        streams.touched(PageIndex(103), Access::Read, |page| page.0 < 103);
        assert_eq!(streams.ahead(PageIndex(103), Access::Read, 16).hoped, 1);
    }

    #[test]
    fn reads_and_writes_are_streams_of_their_own() {
        let mut streams = Streams::default();
        touch(&mut streams, 100);
        let page = PageIndex(101);
        streams.touched(page, Access::Write, |_| false);
        let ahead = streams.ahead(page, Access::Write, 16);
        assert_eq!(ahead.hoped, 0);
    }
}
