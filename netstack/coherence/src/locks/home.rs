//! The home of objects: which nodes have leases on which of their bytes.
//!
//! A home decides the order of requests, and never waits for a lock. When a request has come whole and there is room
//! for its records, it is *settled*, all of its ranges at once: the requester is noted as holder, and each node that
//! may have a lease in the way is told to cede it, straight to the requester. What is settled later
//! waits, at its holders, for what was settled before. A request waits at the home only for room, or for the reports of a new view.
//!
//! Only its node's [`Locks`](super::Locks) calls it.

use super::holding::{Holding, Nodes};
use super::message::{Answer, Extent, Message};
use super::want::{Mode, Want, Wants};
use super::{Limits, Out, refuse};
use crate::event::Violation;
use crate::ids::{NodeId, RequestId};
use crate::mutants::mutated;
use crate::ranges::{ObjectId, RangeTable, Room, Span};
use crate::sharers::Grouping;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use arrayvec::ArrayVec;

/// The records of a node, and the requests that wait for room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Home {
    me: NodeId,
    grouping: Grouping,
    members: Vec<NodeId>,
    records: RangeTable<Holding>,
    /// By node: its last request that was settled.
    seen: Vec<RequestId>,
    /// By node: the ranges of a request that has not come whole.
    parts: Vec<ArrayVec<Want, { super::MOST_RANGES }>>,
    parked: VecDeque<Request>,
    most_parked: usize,
    reclaim: Option<Reclaim>,
    /// Records in a row that could not be thrown away.
    misses: usize,
    /// Members whose reports of the view have not all come.
    unreported: Vec<NodeId>,
}

/// A request that has come whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Request {
    node: NodeId,
    id: RequestId,
    wants: Wants,
    answer: Answer,
}

/// A record that is being thrown away.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reclaim {
    span: Span,
    awaited: Vec<NodeId>,
    kept: bool,
}

impl Home {
    pub(super) fn new(me: NodeId, nodes: u16, members: Vec<NodeId>, limits: Limits) -> Self {
        // A request must fit once everything else was thrown away.
        let records = limits.records.max(4 * super::MOST_RANGES);
        Self {
            me,
            grouping: Grouping::new(nodes),
            members,
            records: RangeTable::new(records),
            seen: alloc::vec![RequestId::default(); nodes.into()],
            parts: alloc::vec![ArrayVec::new(); nodes.into()],
            parked: VecDeque::with_capacity(limits.parked),
            most_parked: limits.parked,
            reclaim: None,
            misses: 0,
            unreported: Vec::new(),
        }
    }

    /// Who may have leases.
    #[must_use]
    pub fn records(&self) -> &RangeTable<Holding> {
        &self.records
    }

    /// Whether `node` may have a lease on a byte, as far as this home knows.
    #[must_use]
    pub fn may_hold(&self, node: NodeId, object: ObjectId, offset: u64, mode: Mode) -> bool {
        self.records.get(object, offset).is_some_and(|holding| {
            let nodes = match mode {
                Mode::Shared => holding.holders,
                Mode::Exclusive => holding.writers,
            };
            nodes.contains(node, self.grouping)
        })
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.parked.is_empty()
            && self.reclaim.is_none()
            && !self.is_rebuilding()
            && self.parts.iter().all(ArrayVec::is_empty)
    }

    /// Whether reports of the view are still to come.
    #[must_use]
    pub fn is_rebuilding(&self) -> bool {
        !self.unreported.is_empty()
    }

    pub(super) fn receive(&mut self, from: NodeId, message: Message, out: &mut Out) {
        match message {
            Message::Ask {
                id,
                want,
                left,
                answer,
            } => self.ask(from, id, want, left, answer, out),
            Message::Return { span } => self.returned(from, span, out),
            Message::InUse { span } => self.answered(from, span, true, out),
            Message::Report { want } => self.report(from, want, out),
            Message::ReportsEnd => self.reports_end(from, out),
            _ => refuse(from, Violation::OutOfPlace, out),
        }
    }

    fn ask(
        &mut self,
        node: NodeId,
        id: RequestId,
        want: Want,
        left: u8,
        answer: Answer,
        out: &mut Out,
    ) {
        if want.span.object().home_among(&self.members) != Some(self.me) {
            return refuse(node, Violation::NotHome, out);
        }
        let parts = &mut self.parts[usize::from(node.0)];
        if parts.try_push(want).is_err() {
            parts.clear();
            return refuse(node, Violation::Malformed, out);
        }
        if mutated!(RangesOneByOne) {
            let wants = Wants::one(want.span, want.mode);
            parts.clear();
            return self.admit(node, id, wants, answer, out);
        }
        if left > 0 {
            return;
        }
        let wants = Wants::new(parts);
        parts.clear();
        match wants {
            Ok(wants) => self.admit(node, id, wants, answer, out),
            Err(_) => refuse(node, Violation::Malformed, out),
        }
    }

    fn admit(&mut self, node: NodeId, id: RequestId, wants: Wants, answer: Answer, out: &mut Out) {
        if self.parked.len() >= self.most_parked {
            return out.send(node, Message::Deny { id });
        }
        self.parked.push_back(Request {
            node,
            id,
            wants,
            answer,
        });
        self.settle_parked(out);
    }

    /// Settles what waits, in order, as long as there is room.
    fn settle_parked(&mut self, out: &mut Out) {
        if self.is_rebuilding() && !mutated!(ServedBeforeReports) {
            return;
        }
        while let Some(request) = self.parked.front() {
            let changes = request.wants.as_slice().len();
            if self.reclaim.is_some() || !self.make_room(changes, out) {
                return;
            }
            if let Some(request) = self.parked.pop_front() {
                self.settle(&request, out);
            }
        }
    }

    fn settle(&mut self, request: &Request, out: &mut Out) {
        let &Request {
            node,
            id,
            ref wants,
            answer,
        } = request;
        let wants = wants.as_slice();
        self.seen[usize::from(node.0)] = id;
        let in_the_way = |&want: &Want| self.in_the_way(want, node).count();
        let acks: usize = wants.iter().map(in_the_way).sum();
        let acks = u16::try_from(acks).unwrap_or(u16::MAX);
        for &want in wants {
            for holder in self.in_the_way(want, node) {
                let seen = self.seen[usize::from(holder.0)];
                out.send(
                    holder,
                    Message::Recall {
                        want,
                        to: node,
                        id,
                        acks,
                        seen,
                        answer,
                    },
                );
            }
        }
        let whole = self.whole(wants, node).filter(|_| acks == 0);
        for (&want, later) in wants.iter().zip((0..wants.len()).rev()) {
            let span = whole.unwrap_or(want.span);
            self.note(want.mode.of(span), node, later);
        }
        if acks == 0 {
            let extent = whole.map(|span| Extent {
                start: span.start(),
                end: span.end(),
            });
            out.send(node, Message::Grant { id, extent });
        }
    }

    /// Members other than `node` that may have a lease that `want` conflicts with.
    fn in_the_way(&self, want: Want, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let conflicting =
            self.records
                .within(want.span)
                .fold(Nodes::None, |nodes, (_, holding)| {
                    let more = match want.mode {
                        Mode::Shared if mutated!(WritersLeftToReaders) => Nodes::None,
                        Mode::Shared => holding.writers,
                        Mode::Exclusive => holding.holders,
                    };
                    nodes.union(more, self.grouping)
                });
        conflicting
            .iter(self.grouping)
            .filter(move |&other| other != node && self.members.binary_search(&other).is_ok())
    }

    /// All of the object, if nobody but `node` has anything of it.
    fn whole(&self, wants: &[Want], node: NodeId) -> Option<Span> {
        let [want] = wants else { return None };
        let whole = Span::whole(want.span.object());
        let alone = |(_, holding): (Span, Holding)| {
            holding
                .holders
                .iter(self.grouping)
                .all(|other| other == node)
        };
        self.records.within(whole).all(alone).then_some(whole)
    }

    /// Enters a lease, and leaves room for `later` more if there was room for all of them.
    ///
    /// A range of which different things are known stays so if that needs no more room than there is.
    fn note(&mut self, want: Want, node: NodeId, later: usize) {
        let grouping = self.grouping;
        let none = Holding {
            holders: Nodes::None,
            writers: Nodes::None,
            grouping,
        };
        let sole = Holding {
            holders: Nodes::One(node),
            writers: Nodes::One(node),
            grouping,
        };
        let shared = |holding: Holding| Holding {
            holders: holding.holders.with(node, grouping),
            ..holding
        };
        let pieces = self.records.within(want.span).count();
        let kept_apart = self.records.has_room(later + (pieces + 3).div_ceil(2));
        if want.mode == Mode::Shared && kept_apart {
            let with_node = |known: Option<Holding>| Some(shared(known.unwrap_or(none)));
            return self.records.replace_each(want.span, with_node);
        }
        let known = self.records.within(want.span);
        let all = known.fold(none, |all, (_, holding)| all.with_all(holding));
        let noted = match want.mode {
            Mode::Exclusive => sole,
            Mode::Shared => shared(all),
        };
        self.records.replace(want.span, Some(noted));
    }

    /// Whether there is room for so many ranges; else it will be made.
    fn make_room(&mut self, changes: usize, out: &mut Out) -> bool {
        loop {
            let (span, holding) = match self.records.make_room(changes) {
                Room::Made => return true,
                Room::Recall(span, holding) => (span, holding),
            };
            let is_member = |node: &NodeId| self.members.binary_search(node).is_ok();
            let awaited: Vec<NodeId> = holding
                .holders
                .iter(self.grouping)
                .filter(is_member)
                .collect();
            if awaited.is_empty() {
                self.records.replace(span, None);
                continue;
            }
            for &node in &awaited {
                out.send(node, Message::Trim { span });
            }
            self.reclaim = Some(Reclaim {
                span,
                awaited,
                kept: false,
            });
            return false;
        }
    }

    fn returned(&mut self, node: NodeId, span: Span, out: &mut Out) {
        let grouping = self.grouping;
        let rest = |known: Option<Holding>| {
            let known = known?;
            let left = Holding {
                holders: known.holders.without(node, grouping),
                writers: known.writers.without(node, grouping),
                grouping,
            };
            (!left.holders.is_none()).then_some(left)
        };
        // Without room it stays noted as a holder, which costs a message later and nothing else.
        let _ = self.records.update(span, rest);
        self.answered(node, span, false, out);
    }

    /// A node has answered a [`Message::Trim`], or has returned a range unasked.
    fn answered(&mut self, node: NodeId, span: Span, kept: bool, out: &mut Out) {
        let Some(reclaim) = self.reclaim.as_mut().filter(|reclaim| reclaim.span == span) else {
            return;
        };
        reclaim.awaited.retain(|&awaited| awaited != node);
        reclaim.kept |= kept;
        if !reclaim.awaited.is_empty() {
            return;
        }
        let kept = reclaim.kept;
        self.reclaim = None;
        if kept {
            self.misses += 1;
        } else {
            self.misses = 0;
            self.records.replace(span, None);
        }
        if self.misses > self.records.len()
            && let Some(Request { node, id, .. }) = self.parked.pop_front()
        {
            out.send(node, Message::Deny { id });
        }
        self.settle_parked(out);
    }

    pub(super) fn view_changed(&mut self, members: &[NodeId]) {
        self.members = members.to_vec();
        self.unreported = members.to_vec();
        self.records.clear();
        self.seen.fill(RequestId::default());
        self.parts.iter_mut().for_each(ArrayVec::clear);
        self.parked.clear();
        self.reclaim = None;
        self.misses = 0;
    }

    /// A lock that was granted is entered whether there is room or not.
    fn report(&mut self, node: NodeId, want: Want, out: &mut Out) {
        if !self.unreported.contains(&node) {
            return refuse(node, Violation::OutOfPlace, out);
        }
        let _ = self.records.make_room(1);
        self.note(want, node, 0);
    }

    fn reports_end(&mut self, node: NodeId, out: &mut Out) {
        let reporting = self.unreported.len();
        self.unreported.retain(|&unreported| unreported != node);
        if self.unreported.len() == reporting {
            return refuse(node, Violation::OutOfPlace, out);
        }
        self.settle_parked(out);
    }
}
