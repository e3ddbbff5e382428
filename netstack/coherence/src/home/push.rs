//! Pushing: what this home's own node has written goes to those who will read it, before they ask.
//!
//! A page that the home's own node writes and the same others read, version after version, is *produced* here. When the node
//! is about to wait for others or to let them go on, such pages that were written since are pushed: the node keeps a copy to read,
//! and so gets each reader. A reader that finds itself not to want them says so.
//!
//! Only homes push, and only from their own bytes. So to a reader a push is a grant by its home, in its place among all that the
//! home says on the same link; one that cannot take it lets it go by, which is the same as to drop the copy at once.
//!
//! A reader that has dropped its copy may say so by a hint, which may be late. It counts only if the page was not granted for writing
//! since (the serial is the same) and the reader has not asked for anything since (its number is the same); so it cannot be about a
//! copy that came later. If it is lost, the reader is told to drop what it does not have, and says that it has.

use super::{Home, Request, Stage};
use crate::directory::{Record, State};
use crate::ids::{NodeId, PageIndex, RequestId, Serial};
use crate::message::{Content, Message, Purpose, Used};
use crate::mutants::guard;
use crate::outbox::Outbox;
use crate::sharers::{Grouping, SharerSet};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// How many pages are remembered.
const REMEMBERED: usize = 1024;
/// The most versions that are counted.
const MOST: u8 = 3;
/// How many versions are not pushed after one was in vain: at first, and at most, for it doubles each time.
const PENANCE: (u8, u8) = (8, 128);

/// Pages that this home's own node writes and others read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Produced(BTreeMap<PageIndex, Readers>);

/// Who read a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Readers {
    nodes: SharerSet,
    /// How many versions in a row.
    versions: u8,
    /// How many versions are not to be counted.
    penance: u8,
    /// How many those will be the next time.
    lesson: u8,
}

impl Produced {
    /// This node writes a page anew that these others have read.
    pub(super) fn rewritten(&mut self, page: PageIndex, nodes: SharerSet, grouping: Grouping) {
        if nodes.is_empty() {
            return;
        }
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&page) {
            self.0.pop_first();
        }
        let readers = self.0.entry(page).or_insert(Readers {
            nodes,
            versions: 0,
            penance: 0,
            lesson: PENANCE.0,
        });
        if readers.penance > 0 {
            readers.penance -= 1;
            return;
        }
        // Those who have dropped their copies have read it too.
        let same = readers.nodes.union(nodes, grouping) == readers.nodes;
        readers.versions = if same { readers.versions + 1 } else { 1 }.min(MOST);
        if !same {
            readers.nodes = nodes;
        }
    }

    /// What was pushed was not wanted: another node writes the page, or a reader says so.
    pub(super) fn in_vain(&mut self, page: PageIndex) {
        if let Some(readers) = self.0.get_mut(&page).filter(|readers| readers.versions > 0) {
            readers.versions = 0;
            readers.penance = readers.lesson;
            readers.lesson = readers.lesson.saturating_mul(2).min(PENANCE.1);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Home {
    /// Pushes what this node has written and others will read.
    pub(crate) fn push_all(&mut self, out: &mut Outbox) {
        let Some(signs) = self.adaptation.signs() else {
            return;
        };
        if self.rebuild.is_some() || !self.grouping.exact() {
            return;
        }
        let wanted: Vec<(PageIndex, SharerSet)> = self
            .produced
            .0
            .iter()
            .filter(|(_, readers)| readers.versions >= signs)
            .map(|(&page, readers)| (page, readers.nodes))
            .collect();
        for (page, to) in wanted {
            if self.may_push(page) && self.make_room(1) {
                let waiting = &mut self.busy.entry(page).or_default().waiting;
                waiting.push_back(Request::Push { to });
                self.settle(page, out);
            }
        }
    }

    /// Whether this node, the home, has written a page and nobody else has a copy.
    pub(super) fn may_push(&self, page: PageIndex) -> bool {
        let state = State::Exclusive { owner: self.me };
        self.owns(page)
            && !self.is_busy(page)
            && !self.has_discarded(self.me, page)
            && self.directory.get(page).state == state
    }

    pub(super) fn begin_push(&mut self, page: PageIndex, to: SharerSet, out: &mut Outbox) {
        self.begin(page, Stage::Pushing { to });
        let purpose = match to.is_empty() {
            true => Purpose::Share,
            false => Purpose::Push,
        };
        out.send(
            self.me,
            Message::Recall {
                page,
                purpose,
                seen: self.seen_by(self.me, page),
            },
        );
    }

    /// This node's own agent does not write the page any more: it goes to its readers.
    pub(super) fn push(&mut self, page: PageIndex, to: SharerSet, out: &mut Outbox) {
        let record = self.directory.get(page);
        let serial = record.serial;
        let readers: Vec<NodeId> = to
            .iter(self.grouping)
            .filter(|&node| node != self.me && self.members.contains(&node))
            .filter(|&node| !self.has_discarded(node, page))
            .collect();
        let own = SharerSet::of(self.me, self.grouping);
        let sharers = readers
            .iter()
            .fold(own, |set, &node| set.with(node, self.grouping));
        let state = State::Shared {
            sharers,
            writer: Some(self.me),
        };
        self.directory.set(page, Record { state, ..record });
        for node in readers {
            let content = Content::Bytes;
            out.send(
                node,
                Message::Push {
                    page,
                    serial,
                    content,
                },
            );
        }
    }

    /// A reader says that it has dropped its copy.
    pub(super) fn consumed(
        &mut self,
        from: NodeId,
        page: PageIndex,
        serial: Serial,
        seen: RequestId,
        used: Used,
    ) {
        if used == Used::No {
            self.produced.in_vain(page);
        }
        if !self.owns(page) || self.is_busy(page) {
            return;
        }
        let record = self.directory.get(page);
        let State::Shared { sharers, writer } = record.state else {
            return;
        };
        let asked = self.seen.get(&from).copied().unwrap_or_default();
        let same_version = guard!(LateHintBelieved, record.serial == serial);
        let not_asked = guard!(HintOvertaken, asked == seen);
        if same_version && not_asked && self.make_room(1) {
            let sharers = sharers.without(from, self.grouping);
            let state = State::Shared { sharers, writer };
            self.directory.set(page, Record { state, ..record });
        }
    }
}
