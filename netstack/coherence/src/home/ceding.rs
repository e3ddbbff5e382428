//! Ceding: with a view, a slice gets another home though its home lives.
//!
//! The home that was becomes a node that has copies: pages that somebody was allowed to write, and whose bytes it has, it
//! reports as any other copy of its own, as it does with pages that had moved to it. Of the others it is the only one to know
//! that they are all zeros; it says so of whole ranges at a time, or they would be taken for lost.
//!
//! What it says of ranges counts only with the home that follows it at once: that one has served nobody before it has heard it. So
//! if the view changes again before that has rebuilt its directory, it is said again, as long as that home stays.

use super::Home;
use crate::directory::{Record, State};
use crate::ids::{NodeId, PageIndex};
use crate::message::Message;
use crate::mutants::mutated;
use crate::outbox::Outbox;
use crate::pages::PageSet;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Pages that are all zeros, and whose home this node was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ceded {
    first: PageIndex,
    pages: u64,
    /// Their home now, which may not have heard of it.
    to: NodeId,
}

impl Home {
    /// Somebody may write a page from now on.
    pub(super) fn lets_write(&mut self, page: PageIndex) {
        self.written.insert(page, 1);
    }

    /// Takes note of slices that this home has no longer. The pages of theirs of which it may have the bytes.
    pub(super) fn cede(&mut self, left: &BTreeSet<NodeId>) -> Vec<PageIndex> {
        let slices = &self.slices;
        self.ceded
            .retain(|ceded| slices.home(ceded.first) == ceded.to && !left.contains(&ceded.to));
        let mut lost = core::mem::take(&mut self.served);
        for (first, pages) in self.slices.of(self.me).iter() {
            let stays: Vec<(PageIndex, u64)> = lost.within(first, pages).collect();
            for (first, pages) in stays {
                lost.remove(first, pages);
                self.served.insert(first, pages);
            }
        }
        let mut kept = Vec::new();
        for (first, pages) in self.slices.split(&lost) {
            let to = self.slices.home(first);
            let mut blank = PageSet::default();
            blank.insert(first, pages);
            for (start, count) in self.written.within(first, pages) {
                blank.remove(start, count);
                let moved = |page: &PageIndex| self.away.contains_key(page);
                let all = (0..count).map(|distance| start.plus(distance));
                kept.extend(all.filter(|page| !moved(page)));
            }
            self.written.remove(first, pages);
            for (&page, _) in self.away.range(first..first.plus(pages)) {
                blank.remove(page, 1);
            }
            let known = self.directory.iter();
            for (start, count, _) in known.filter(|(.., record)| record.state == State::Lost) {
                blank.remove(start, count);
            }
            let blank = blank.iter();
            self.ceded
                .extend(blank.map(|(first, pages)| Ceded { first, pages, to }));
        }
        kept
    }

    /// Says which pages are all zeros that other homes have got from this one.
    pub(crate) fn tell_ceded(&self, out: &mut Outbox) {
        for &Ceded { first, pages, to } in &self.ceded {
            if mutated!(NothingSaidOfZeros) {
                continue;
            }
            out.send(to, Message::Blank { page: first, pages });
        }
    }

    /// A home has rebuilt its directory, and so has heard what there is to be heard.
    pub(crate) fn resumed(&mut self, home: NodeId) {
        self.ceded.retain(|ceded| ceded.to != home);
    }

    /// Has pages that have come here go back to the homes of their slices.
    pub(crate) fn depart(&mut self, pages: usize, out: &mut Outbox) {
        let stay = self.adopted.iter().copied();
        let stay = stay.filter(|&page| !self.is_moving(page));
        let back: Vec<PageIndex> = stay.take(pages).collect();
        for page in back {
            self.move_range(page, 1, self.slices.home(page), out);
        }
    }

    /// Another node has nothing any more. It has written back all that it could have written since it began to depart; of what
    /// it owned before that and dropped, as it had not written it, this home has the bytes.
    pub(crate) fn departed(&mut self, node: NodeId) {
        let of_it = State::Exclusive { owner: node };
        let known = self.directory.iter();
        let owned: Vec<(PageIndex, u64)> = known
            .filter(|(.., record)| record.state == of_it)
            .map(|(first, pages, _)| (first, pages))
            .collect();
        for page in owned
            .into_iter()
            .flat_map(|(first, pages)| (0..pages).map(move |distance| first.plus(distance)))
        {
            if !self.is_busy(page) {
                let record = self.directory.get(page);
                let state = State::Idle;
                self.directory.set(page, Record { state, ..record });
            }
        }
    }

    /// Whether this node is the home of no page, and all know.
    pub(crate) fn has_nothing(&self) -> bool {
        !self.slices.has(self.me) && self.adopted.is_empty() && self.ceded.is_empty()
    }
}
