//! Making way: a home lets a stream of reads through pages that its own node has written.
//!
//! Pages come along with one that was asked for if the home can give them away there and then, so not those that its own node may
//! write. But one that asks for several reads on and on. So the home's node gives up the right to write the pages that lie ahead
//! of it, and they come along with what is asked for next. That takes no message, nor does it to write such a page again
//! that was not read meanwhile.
//!
//! A page that is written again, read or not, is one that nodes are at work on: no way is made for it for a while, the longer the
//! more often that happens.

use super::{Get, Home, Request};
use crate::ids::{Access, PageIndex};
use crate::outbox::Outbox;
use crate::sharers::SharerSet;
use alloc::collections::BTreeMap;

/// One that asks for so many pages at once reads on and on.
const LONG: u8 = 4;
/// How many times as far as a reader asks way is made for it: its next run is twice as long.
const AHEAD: u64 = 2;
/// How many pages are remembered.
const REMEMBERED: usize = 1024;
/// How many times no way is made for a page that was written again: at first, and at most, for it doubles each time.
const PENANCE: (u8, u8) = (8, 128);

/// Pages that way was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ways(BTreeMap<PageIndex, Way>);

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
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&page) {
            self.0.pop_first();
        }
        let way = self.0.entry(page).or_insert(Way {
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
        if let Some(way) = self.0.get_mut(&page).filter(|way| way.open) {
            way.open = false;
            way.penance = way.lesson;
            way.lesson = way.lesson.saturating_mul(2).min(PENANCE.1);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Home {
    /// Has this node let go of what lies ahead of a reader that has asked for a run of pages.
    pub(super) fn make_way(&mut self, page: PageIndex, run: u8, get: Get, out: &mut Outbox) {
        if run < LONG || get.access != Access::Read || get.node == self.me {
            return;
        }
        for next in (1..=AHEAD * u64::from(run)).map(|distance| page.plus(distance)) {
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
    fn only_so_many_are_remembered() {
        let mut ways = Ways::default();
        for page in 0..3 * REMEMBERED as u64 {
            assert!(ways.open(PageIndex(page)));
        }
        assert_eq!(ways.0.len(), REMEMBERED);
    }
}
