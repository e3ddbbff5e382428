//! Making way: a home lets a stream of reads through pages that its own node has written.
//!
//! Pages come along with one that was asked for if the home can give them away there and then, so not those that its own node may
//! write. But one that has read for long reads on, most likely. So the home's node gives up the right to write the pages that lie ahead
//! of it, and they come along with what is asked for next. That takes no message, nor does it to write such a page again
//! that was not read meanwhile.
//!
//! A page that is written again, read or not, is one that nodes are at work on: no way is made for it for a while, the longer the
//! more often that happens.

use super::{Get, Home, Request};
use crate::ids::{Access, NodeId, PageIndex};
use crate::outbox::Outbox;
use crate::sharers::SharerSet;
use alloc::collections::BTreeMap;

/// How many pages have to be read one after the other before way is made for those behind them: a page that then is not read
/// costs as much as one that is saves, so that has to be likely.
const LONG: u64 = 32;
/// Way is made for so many as this part of those that were read, but for so many at most.
const PART: u64 = 4;
const MOST: u64 = 32;
/// How many pages are remembered.
const REMEMBERED: usize = 1024;
/// How many times no way is made for a page that was written again: at first, and at most, for it doubles each time.
const PENANCE: (u8, u8) = (8, 128);

/// Pages that way was made for, and who reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ways {
    pages: BTreeMap<PageIndex, Way>,
    readers: BTreeMap<NodeId, Reader>,
}

/// What a node has read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Reader {
    page: PageIndex,
    run: u8,
    /// How many pages, one after the other.
    length: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Way {
    /// The page was not written since.
    open: bool,
    /// How many times no way is to be made for it.
    penance: u8,
    /// How many those will be the next time.
    lesson: u8,
}

impl Ways {
    /// Whether way is to be made for a page that lies ahead of a reader.
    fn open(&mut self, page: PageIndex) -> bool {
        if self.pages.len() >= REMEMBERED && !self.pages.contains_key(&page) {
            self.pages.pop_first();
        }
        let way = self.pages.entry(page).or_insert(Way {
            open: false,
            penance: 0,
            lesson: PENANCE.0,
        });
        way.open = way.penance == 0;
        way.penance = way.penance.saturating_sub(1);
        way.open
    }

    /// A node wants to write a page.
    pub(super) fn written(&mut self, page: PageIndex) {
        if let Some(way) = self.pages.get_mut(&page).filter(|way| way.open) {
            way.open = false;
            way.penance = way.lesson;
            way.lesson = way.lesson.saturating_mul(2).min(PENANCE.1);
        }
    }

    /// A node asks to read a page, and for those behind it. How many it has read one after the other.
    fn reads(&mut self, node: NodeId, page: PageIndex, run: u8) -> u64 {
        let before = self.readers.get(&node);
        let goes_on = |reader: &&Reader| {
            let distance = page.0.wrapping_sub(reader.page.0);
            (1..=u64::from(reader.run)).contains(&distance)
        };
        let length = before.filter(goes_on).map_or(1, |reader| {
            reader.length.saturating_add(page.0 - reader.page.0)
        });
        self.readers.insert(node, Reader { page, run, length });
        length
    }

    pub(super) fn clear(&mut self) {
        self.pages.clear();
        self.readers.clear();
    }
}

impl Home {
    /// Has this node let go of what lies ahead of a reader that has asked for a run of pages.
    pub(super) fn make_way(&mut self, page: PageIndex, run: u8, get: Get, out: &mut Outbox) {
        if run == 1 || get.access != Access::Read || get.node == self.me {
            return;
        }
        let length = self.ways.reads(get.node, page, run);
        if length < LONG {
            return;
        }
        for next in (1..=(length / PART).min(MOST)).map(|distance| page.plus(distance)) {
            if self.may_push(next) && self.ways.open(next) && self.make_room(1) {
                let to = SharerSet::EMPTY;
                let waiting = &mut self.busy.entry(next).or_default().waiting;
                waiting.push_back(Request::Push { to });
                self.settle(next, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_again_is_left_alone_for_longer_and_longer() {
        let mut ways = Ways::default();
        let page = PageIndex(7);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let pause = (0..).find(|_| ways.open(page)).unwrap();
            pauses.push(pause);
            ways.written(page);
            ways.written(page);
        }
        assert_eq!(pauses, [0, 8, 16, 32, 64, 128]);
    }

    #[test]
    fn a_reader_goes_on_where_it_was_given_pages_to() {
        let mut ways = Ways::default();
        let mut reads = |node, page, run| ways.reads(NodeId(node), PageIndex(page), run);
        assert_eq!(
            [reads(1, 10, 2), reads(1, 11, 4), reads(1, 15, 8)],
            [1, 2, 6]
        );
        assert_eq!(reads(2, 23, 8), 1);
        assert_eq!(reads(1, 23, 16), 14);
        assert_eq!(reads(1, 40, 16), 1);
        assert_eq!(reads(1, 40, 16), 1);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut ways = Ways::default();
        for page in 0..3 * REMEMBERED as u64 {
            assert!(ways.open(PageIndex(page)));
        }
        assert_eq!(ways.pages.len(), REMEMBERED);
    }
}
