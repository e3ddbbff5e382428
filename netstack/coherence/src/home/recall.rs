//! Recalls: all copies of a page come back, or are dropped.

use super::{Busy, Get, Home, OwnCopy, Request, Stage, Then};
use crate::directory::{Record, State};
use crate::event::{Action, Violation};
use crate::ids::{NodeId, PageIndex, Serial};
use crate::message::{Content, Message, Purpose};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use crate::sharers::SharerSet;
use alloc::vec::Vec;

/// So many exclusive grants ago are pages the last to be recalled for room: more than all instructions that run at a
/// time need.
const RECENT: u64 = 64;

impl Then {
    pub(super) fn purpose(self) -> Purpose {
        match self {
            Self::Forget | Self::Move { .. } => Purpose::Return,
            Self::Serve(_) => Purpose::Share,
            Self::Discard(_) => Purpose::Drop,
        }
    }
}

impl Home {
    /// Takes all copies of a page back.
    pub(super) fn recall(&mut self, page: PageIndex, then: Then, out: &mut Outbox) {
        let asker = match then {
            Then::Forget | Then::Move { .. } | Then::Serve(_) => None,
            Then::Discard(discard) => Some(discard.node),
        };
        let from: Vec<NodeId> = match self.directory.get(page).state {
            State::Idle | State::Lost => Vec::new(),
            State::Exclusive { owner } => [owner].into(),
            State::Shared { sharers, .. } | State::Owned { sharers, .. } => {
                sharers.iter(self.grouping).collect()
            }
        };
        let from: Vec<NodeId> = from
            .into_iter()
            .filter(|&node| {
                Some(node) != asker
                    && self.members.contains(&node)
                    && !self.has_discarded(node, page)
            })
            .collect();
        let purpose = then.purpose();
        for &node in &from {
            out.send(
                node,
                Message::Recall {
                    page,
                    purpose,
                    seen: self.seen_by(node, page),
                },
            );
        }
        if from.is_empty() || mutated!(RecallNotAwaited) {
            self.recall_done(page, then, out);
        } else {
            self.begin(page, Stage::Recalling { from, then });
        }
    }

    /// Has the holder of newer bytes return them, and keep a copy to read: others want to read too, and this home can serve
    /// each of them by one message then.
    pub(super) fn fetch(&mut self, page: PageIndex, holder: NodeId, get: Get, out: &mut Outbox) {
        let seen = self.seen_by(holder, page);
        let (from, then) = ([holder].into(), Then::Serve(get));
        let purpose = then.purpose();
        self.begin(page, Stage::Recalling { from, then });
        out.send(
            holder,
            Message::Recall {
                page,
                purpose,
                seen,
            },
        );
    }

    pub(super) fn recalled(
        &mut self,
        from: NodeId,
        page: PageIndex,
        content: Content,
        out: &mut Outbox,
    ) {
        match self.stage(page) {
            Some(&Stage::Clearing { get }) if from == self.me => {
                self.end(page);
                self.cleared(page, get, out);
                self.settle(page, out);
            }
            Some(&Stage::Pushing { to }) if from == self.me => {
                self.end(page);
                self.push(page, to, out);
                self.settle(page, out);
            }
            Some(Stage::Recalling { from: nodes, then }) if nodes.contains(&from) => {
                let purpose = then.purpose();
                if content != Content::Nothing {
                    out.push(Action::Store { page });
                }
                if purpose == Purpose::Share {
                    self.shared_back(from, page, content);
                } else {
                    self.returned(from, page, purpose);
                }
                self.recall_answered(from, page, out);
            }
            _ => out.refuse(from, Violation::Unasked),
        }
    }

    /// The holder has answered a recall: this home's bytes are current from now on, or they are
    /// gone, even if the view changes before all others have answered.
    pub(super) fn returned(&mut self, from: NodeId, page: PageIndex, purpose: Purpose) {
        let record = self.directory.get(page);
        if let State::Owned { sharers, holder } = record.state
            && holder == from
        {
            let rest = State::Shared {
                sharers: sharers.without(from, self.grouping),
                writer: None,
            };
            let state = match purpose {
                Purpose::Return | Purpose::Push | Purpose::Share => rest,
                Purpose::Drop => State::Lost,
            };
            self.directory.set(page, Record { state, ..record });
        }
    }

    /// The holder has returned its bytes, and may have kept a copy to read.
    fn shared_back(&mut self, from: NodeId, page: PageIndex, content: Content) {
        let record = self.directory.get(page);
        let own = SharerSet::of(from, self.grouping);
        let written = content != Content::Nothing;
        let (sharers, writer, pattern) = match record.state {
            State::Owned { sharers, holder } => (sharers, Some(holder), record.pattern),
            State::Exclusive { .. } if written => (own, Some(from), record.pattern),
            State::Exclusive { .. } => (own, None, record.pattern.less()),
            State::Idle | State::Shared { .. } | State::Lost => return,
        };
        let state = State::Shared { sharers, writer };
        self.directory.set(
            page,
            Record {
                state,
                pattern,
                ..record
            },
        );
    }

    /// A node has no copy any more.
    pub(super) fn recall_answered(&mut self, node: NodeId, page: PageIndex, out: &mut Outbox) {
        let Some(Busy {
            stage: Some(Stage::Recalling { from, then }),
            ..
        }) = self.busy.get_mut(&page)
        else {
            return;
        };
        from.retain(|&waited| waited != node);
        if from.is_empty() {
            let then = *then;
            self.end(page);
            self.recall_done(page, then, out);
            self.settle(page, out);
        }
    }

    fn recall_done(&mut self, page: PageIndex, then: Then, out: &mut Outbox) {
        match then {
            Then::Forget => {
                if self.directory.get(page).state != State::Lost {
                    self.directory.forget(page);
                }
            }
            Then::Discard(discard) => {
                self.zero(page, State::Idle, out);
                self.discard_done(page, discard, out);
            }
            Then::Move { to } => self.hand_on(page, to, out),
            Then::Serve(get) => self.serve_get(page, get, OwnCopy::Possible, out),
        }
    }

    /// Whether the directory has room for changes of `pages` pages, perhaps after it has
    /// forgotten what can be known again.
    pub(super) fn make_room(&mut self, pages: usize) -> bool {
        let changes = self.busy.len() + pages;
        if !self.directory.has_room(changes) {
            self.directory.shrink();
        }
        self.directory.has_room(changes)
    }

    /// Begins to recall a page, so that there will be room.
    pub(super) fn reclaim(&mut self, out: &mut Outbox) {
        let recalling = |busy: &Busy| {
            matches!(
                busy.stage,
                Some(Stage::Recalling {
                    then: Then::Forget,
                    ..
                })
            )
        };
        if self.busy.values().any(recalling) {
            return;
        }
        let recent = Serial(self.clock.0.saturating_sub(RECENT));
        if let Some(victim) = self
            .directory
            .victim(recent, |page| !self.busy.contains_key(&page))
        {
            self.busy
                .entry(victim)
                .or_default()
                .waiting
                .push_back(Request::Recall);
            self.settle(victim, out);
        }
    }

    /// Takes up requests that waited for room.
    pub(super) fn unpark(&mut self, out: &mut Outbox) {
        while let Some(&(page, request)) = self.parked.front() {
            if !self.make_room(1) {
                return self.reclaim(out);
            }
            self.parked.pop_front();
            self.busy
                .entry(page)
                .or_default()
                .waiting
                .push_back(request);
            self.settle_page(page, out);
        }
    }
}
