//! The home of pages: its directory, and the requests it serves.
//!
//! A `Home` owns what is known of who has copies of the pages homed at its node. It sends
//! grants, forwards, invalidations and recalls, and waits only for answers that come in the
//! end whatever else happens. Only its node's [`Node`](crate::Node) calls it.

mod ceding;
mod discard;
mod follow;
mod grant;
mod moving;
mod push;
mod rebuild;
mod recall;
mod ways;

use crate::adaptation::Adaptation;
use crate::directory::{Directory, Record, State};
use crate::event::{Action, Violation};
use crate::homes::Slices;
use crate::ids::{Access, NodeId, PageIndex, RequestId, Serial};
use crate::message::{LONGEST_RUN, LONGEST_SPAN, Message, Outcome, Purpose};
use crate::mutants::{guard, mutated};
use crate::outbox::Outbox;
use crate::pages::PageSet;
use crate::sharers::{Grouping, SharerSet};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use ceding::Ceded;
use push::Produced;
pub(crate) use rebuild::Inherited;
use rebuild::Rebuild;
use ways::Ways;

/// Where the sizes of a home's tables are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HomeLimits {
    /// Entries of the directory.
    pub records: usize,
    /// Pages that may have moved away, or here, at a time.
    pub moved: usize,
}

/// The directory of a node, and what it is about to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Home {
    me: NodeId,
    grouping: Grouping,
    members: Vec<NodeId>,
    slices: Slices,
    directory: Directory,
    limits: HomeLimits,
    adaptation: Adaptation,
    /// Pages of other homes' slices that have moved here.
    adopted: BTreeSet<PageIndex>,
    /// Pages of this home's slices that have moved away, and where to.
    away: BTreeMap<PageIndex, Away>,
    /// Pages of this home's slices that are not all zeros, as far as is known: somebody was allowed to write them.
    written: PageSet,
    /// Slices of which this home knows what there is to know: it has had its directory of them, and has not ceded them.
    served: PageSet,
    /// What the homes may not have heard that have got them.
    ceded: Vec<Ceded>,
    /// The last request received from each node.
    seen: BTreeMap<NodeId, RequestId>,
    clock: Serial,
    busy: BTreeMap<PageIndex, Busy>,
    /// Requests that wait for room in the directory.
    parked: VecDeque<(PageIndex, Request)>,
    discards: Vec<DiscardInProgress>,
    /// Pages that this home's own node writes and others read.
    produced: Produced,
    /// Pages that way was made for.
    ways: Ways,
    rebuild: Option<Rebuild>,
}

/// Where a page has moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Away {
    to: NodeId,
    /// The serial at which it moved: the latest news is the one with the highest.
    stamp: Serial,
}

/// A page that something is under way for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Busy {
    /// What; nothing while the next request is taken from the queue.
    stage: Option<Stage>,
    waiting: VecDeque<Request>,
    /// The node whose write-back overtook the note of the holder that had given it the page.
    overtaken_by: Option<NodeId>,
}

/// What a page's home waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// The holder's note, or its write-back or discard.
    Forwarded {
        to: NodeId,
        get: Get,
        acks: u16,
        serial: Serial,
    },
    /// This node's own agent, that it gives its copy up before `get` is granted.
    Clearing { get: Get },
    /// Copies to come back, or to be gone.
    Recalling { from: Vec<NodeId>, then: Then },
    /// This node's own agent, that it lets others read.
    Pushing { to: SharerSet },
    /// The new home to have the page.
    Adopting { to: NodeId, stamp: Serial },
    /// The old home to have forgotten the page.
    Arriving { from: NodeId },
    /// The home of the slice to know the new home.
    Announcing { to: NodeId },
}

/// What a recall is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Then {
    Forget,
    Discard(DiscardRequest),
    Move {
        to: NodeId,
    },
    /// To serve a reader, and those after it, from this home's bytes.
    Serve(Get),
}

/// What waits for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Request {
    Get(Get),
    Discard(DiscardRequest),
    Recall,
    Push { to: SharerSet },
    Move { to: NodeId },
}

/// A node's request for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Get {
    node: NodeId,
    id: RequestId,
    access: Access,
    have: Option<Serial>,
}

/// A node's request to forget a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DiscardRequest {
    node: NodeId,
    id: RequestId,
}

/// A discard of which pages are still to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DiscardInProgress {
    request: DiscardRequest,
    page: PageIndex,
    /// Pages that are this home's to do.
    mask: u64,
    left: u32,
}

/// Whether this node's own agent may have a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnCopy {
    Possible,
    Gone,
}

impl Request {
    /// The request's number, if it is `node`'s.
    fn number_of(&self, node: NodeId) -> Option<RequestId> {
        match *self {
            Self::Get(get) if get.node == node => Some(get.id),
            Self::Discard(discard) if discard.node == node => Some(discard.id),
            _ => None,
        }
    }
}

impl Home {
    pub(crate) fn new(
        me: NodeId,
        members: Vec<NodeId>,
        grouping: Grouping,
        slices: Slices,
        limits: HomeLimits,
    ) -> Self {
        Self {
            me,
            grouping,
            members,
            served: slices.of(me),
            slices,
            directory: Directory::new(limits.records, grouping),
            limits,
            adaptation: Adaptation::default(),
            adopted: BTreeSet::new(),
            away: BTreeMap::new(),
            written: PageSet::default(),
            ceded: Vec::new(),
            seen: BTreeMap::new(),
            clock: Serial(0),
            busy: BTreeMap::new(),
            parked: VecDeque::new(),
            discards: Vec::new(),
            produced: Produced::default(),
            ways: Ways::default(),
            rebuild: None,
        }
    }

    pub(crate) fn set_adaptation(&mut self, adaptation: Adaptation) {
        self.adaptation = adaptation;
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Whether this node is the home of a page.
    #[must_use]
    pub fn owns(&self, page: PageIndex) -> bool {
        let slice = self.slices.home(page) == self.me;
        (slice && !self.away.contains_key(&page)) || self.adopted.contains(&page)
    }

    /// What is known of a page.
    #[must_use]
    pub fn record(&self, page: PageIndex) -> Record {
        self.directory.get(page)
    }

    /// Whether `node` may have a copy of a page, as far as this home knows.
    #[must_use]
    pub fn may_hold(&self, node: NodeId, page: PageIndex) -> bool {
        match self.record(page).state {
            State::Idle | State::Lost => false,
            State::Shared { sharers, .. } | State::Owned { sharers, .. } => {
                sharers.contains(node, self.grouping)
            }
            State::Exclusive { owner } => owner == node,
        }
    }

    /// Whether pages would be taken for lost if a node were gone: it may have the only bytes of theirs that are current, as
    /// far as this home knows.
    #[must_use]
    pub fn would_miss(&self, node: NodeId) -> bool {
        self.directory
            .iter()
            .any(|(.., record)| match record.state {
                State::Exclusive { owner: has } | State::Owned { holder: has, .. } => has == node,
                State::Idle | State::Shared { .. } | State::Lost => false,
            })
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.busy.is_empty()
            && self.parked.is_empty()
            && self.discards.is_empty()
            && self.rebuild.is_none()
    }

    /// Whether no directory is being rebuilt here.
    #[must_use]
    pub fn is_quiet_about_views(&self) -> bool {
        self.rebuild.is_none()
    }

    /// Whether something is under way for a page.
    #[must_use]
    pub fn is_busy(&self, page: PageIndex) -> bool {
        self.busy.contains_key(&page) || self.parked.iter().any(|&(parked, _)| parked == page)
    }

    /// Says that every node has a copy of these pages since before it was a member.
    pub(crate) fn replicate(&mut self, first: PageIndex, pages: u64) {
        let sharers = self
            .members
            .iter()
            .fold(crate::SharerSet::EMPTY, |set, &node| {
                set.with(node, self.grouping)
            });
        let state = State::Shared {
            sharers,
            writer: None,
        };
        let record = Record {
            state,
            serial: Serial(0),
            pattern: Default::default(),
        };
        self.directory.set_range(first, pages, record);
        self.written.insert(first, pages);
    }

    pub(crate) fn receive(&mut self, from: NodeId, message: Message, out: &mut Outbox) {
        if self.rebuild.is_some() {
            return self.receive_rebuilding(from, message, out);
        }
        match message {
            Message::Get {
                page,
                run,
                access,
                have,
                id,
            } => self.get(
                page,
                run,
                Get {
                    node: from,
                    id,
                    access,
                    have,
                },
                out,
            ),
            Message::Note { page, outcome } => self.note(from, page, outcome, out),
            Message::Dropped {
                page,
                serial,
                seen,
                used,
            } => self.consumed(from, page, serial, seen, used),
            Message::WriteBack { page, .. } => self.write_back(from, page, out),
            Message::Discard { page, run, id } => {
                self.discard(page, run, DiscardRequest { node: from, id }, out)
            }
            Message::Recalled { page, content } => self.recalled(from, page, content, out),
            Message::Adopt {
                page,
                serial,
                clock,
                ..
            } => self.adopt(from, page, serial, clock, out),
            Message::Adopted { page } => self.moved_in(from, page, out),
            Message::Yours { page } => self.forgotten_by(from, page, out),
            Message::Moved { page, to, stamp } => {
                self.slice_moved(from, page, Away { to, stamp }, out)
            }
            Message::MovedKnown { page } => self.move_known(from, page, out),
            _ => out.refuse(from, Violation::OutOfPlace),
        }
    }

    fn get(&mut self, page: PageIndex, run: u8, get: Get, out: &mut Outbox) {
        if !(1..=LONGEST_RUN).contains(&run) {
            return out.refuse(get.node, Violation::BadRun);
        }
        if get.access == Access::Write {
            self.ways.written(page);
        }
        self.seen.insert(get.node, get.id);
        if !self.owns(page) {
            return self.redirect(page, Request::Get(get), out);
        }
        match self.admit(page, Request::Get(get), out) {
            Admitted::Now => {
                if self.follows(page, get) {
                    self.follow_run(page, run, get, out);
                } else {
                    self.serve_run(page, run, get, out);
                }
                self.settle(page, out);
            }
            Admitted::Later => {}
        }
    }

    /// Whether a request is to be served at once; else it waits.
    fn admit(&mut self, page: PageIndex, request: Request, out: &mut Outbox) -> Admitted {
        if let Some(busy) = self.busy.get_mut(&page) {
            busy.waiting.push_back(request);
            return Admitted::Later;
        }
        if !self.parked.iter().any(|&(parked, _)| parked == page) && self.make_room(1) {
            return Admitted::Now;
        }
        if let Request::Get(Get { node, id, .. }) = request
            && !mutated!(ParkedInSilence)
        {
            out.send(node, Message::Parked { page, id });
        }
        self.parked.push_back((page, request));
        self.unpark(out);
        Admitted::Later
    }

    /// Serves what waits for a page until something is under way again, or nothing waits.
    fn settle(&mut self, page: PageIndex, out: &mut Outbox) {
        self.settle_page(page, out);
        self.unpark(out);
    }

    fn settle_page(&mut self, page: PageIndex, out: &mut Outbox) {
        while let Some(busy) = self.busy.get_mut(&page) {
            if busy.stage.is_some() {
                return;
            }
            let Some(request) = busy.waiting.pop_front() else {
                self.busy.remove(&page);
                return;
            };
            if self.owns(page) {
                self.serve(page, request, out);
            } else {
                self.redirect(page, request, out);
            }
        }
    }

    fn serve(&mut self, page: PageIndex, request: Request, out: &mut Outbox) {
        match request {
            Request::Get(get) if self.follows(page, get) => self.follow(page, Some(get), get.node),
            Request::Get(get) => self.serve_get(page, get, OwnCopy::Possible, out),
            Request::Discard(discard) => self.recall(page, Then::Discard(discard), out),
            Request::Recall => self.recall(page, Then::Forget, out),
            Request::Push { to } => self.begin_push(page, to, out),
            Request::Move { to } => self.recall(page, Then::Move { to }, out),
        }
    }

    fn begin(&mut self, page: PageIndex, stage: Stage) {
        self.busy.entry(page).or_default().stage = Some(stage);
    }

    fn end(&mut self, page: PageIndex) {
        if let Some(busy) = self.busy.get_mut(&page) {
            busy.stage = None;
        }
    }

    fn stage(&self, page: PageIndex) -> Option<&Stage> {
        self.busy.get(&page)?.stage.as_ref()
    }

    /// The next serial, for an exclusive grant.
    fn tick(&mut self) -> Serial {
        self.clock.0 += 1;
        self.clock
    }

    /// The last request of `node` that was granted as far as it concerns this page: the
    /// last one received, or the one before the first that waits.
    fn seen_by(&self, node: NodeId, page: PageIndex) -> RequestId {
        let seen = self.seen.get(&node).copied().unwrap_or_default();
        let queued = self
            .busy
            .get(&page)
            .into_iter()
            .flat_map(|busy| busy.waiting.iter());
        let parked = self
            .parked
            .iter()
            .filter(|&&(parked, _)| parked == page)
            .map(|(_, request)| request);
        let first = queued
            .chain(parked)
            .find_map(|request| request.number_of(node));
        if mutated!(QueuedCountsAsGranted) {
            seen
        } else {
            first.map_or(seen, RequestId::before)
        }
    }

    /// Whether `node` has dropped its copy for a discard that is not answered yet.
    fn has_discarded(&self, node: NodeId, page: PageIndex) -> bool {
        let covers = |discard: &DiscardInProgress| {
            let distance = page.0.wrapping_sub(discard.page.0);
            discard.request.node == node && distance < 64 && discard.mask >> distance & 1 == 1
        };
        self.discards.iter().any(covers)
    }

    fn redirect(&mut self, page: PageIndex, request: Request, out: &mut Outbox) {
        let home = self.home_elsewhere(page);
        match request {
            Request::Get(Get { node, id, .. }) => {
                self.send_to(home, node, page, Some(id), out);
            }
            Request::Discard(DiscardRequest { node, id }) => {
                self.send_to(home, node, page, Some(id), out);
                self.discard_done(page, DiscardRequest { node, id }, out);
            }
            Request::Recall | Request::Push { .. } | Request::Move { .. } => {}
        }
    }

    /// Tells a node who the home of a page is, and of which pages around it.
    fn send_to(
        &self,
        home: NodeId,
        node: NodeId,
        page: PageIndex,
        id: Option<RequestId>,
        out: &mut Outbox,
    ) {
        let (first, at) = page.in_span();
        let span = self.away.range(first..first.plus(LONGEST_SPAN.into()));
        let mask = span
            .filter(|(_, away)| away.to == home)
            .fold(1 << at, |mask, (page, _)| mask | 1 << page.in_span().1);
        out.send(
            node,
            Message::Redirect {
                page,
                home,
                mask,
                id,
            },
        );
    }

    fn home_elsewhere(&self, page: PageIndex) -> NodeId {
        self.away
            .get(&page)
            .map_or_else(|| self.slices.home(page), |away| away.to)
    }

    fn note(&mut self, from: NodeId, page: PageIndex, outcome: Outcome, out: &mut Outbox) {
        match self.stage(page) {
            Some(&Stage::Forwarded {
                to,
                get,
                acks,
                serial,
            }) if to == from => {
                self.end(page);
                self.noted(page, from, outcome, get, acks, serial, out);
                self.catch_up(page, get.node, out);
                self.settle(page, out);
            }
            _ => out.refuse(from, Violation::Unasked),
        }
    }

    /// Does what a node had said before the note came by which it was given the page.
    fn catch_up(&mut self, page: PageIndex, node: NodeId, out: &mut Outbox) {
        let overtaken_by = self
            .busy
            .get_mut(&page)
            .and_then(|busy| busy.overtaken_by.take());
        if overtaken_by == Some(node) {
            out.send(node, Message::WrittenBack { page });
            self.given_up(node, page, out);
        }
        if self.has_discarded(node, page) {
            self.dropped(page, node, out);
        }
    }

    fn write_back(&mut self, from: NodeId, page: PageIndex, out: &mut Outbox) {
        let leaving_for = match self.stage(page) {
            Some(&(Stage::Adopting { to, .. } | Stage::Announcing { to })) => Some(to),
            _ => (!self.owns(page)).then(|| self.home_elsewhere(page)),
        };
        if let Some(home) = leaving_for {
            return self.send_to(home, from, page, None, out);
        }
        if self.overtakes(from, page) && !mutated!(OvertakingWriteBackRefused) {
            self.busy.entry(page).or_default().overtaken_by = Some(from);
            return out.push(Action::Store { page });
        }
        let holds = self.holds(from, page);
        if guard!(StaleWriteBackRefused, holds) {
            out.push(Action::Store { page });
        }
        out.send(from, Message::WrittenBack { page });
        if holds {
            self.given_up(from, page, out);
        } else {
            self.recall_answered(from, page, out);
        }
    }

    /// Whether a node is being given the page, and the note of it has not come.
    fn overtakes(&self, node: NodeId, page: PageIndex) -> bool {
        matches!(self.stage(page), Some(Stage::Forwarded { to, get, .. }) if get.node == node && *to != node)
    }

    /// Whether a node has the only bytes that are current, as far as this home knows.
    fn holds(&self, node: NodeId, page: PageIndex) -> bool {
        match self.directory.get(page).state {
            State::Exclusive { owner } => owner == node,
            State::Owned { holder, .. } => holder == node,
            _ => false,
        }
    }

    /// The holder has no copy any more, and this home's bytes are current.
    fn given_up(&mut self, from: NodeId, page: PageIndex, out: &mut Outbox) {
        let record = self.directory.get(page);
        let rest = match record.state {
            State::Owned { sharers, holder } => State::Shared {
                sharers: sharers.without(from, self.grouping),
                writer: Some(holder),
            },
            _ => State::Idle,
        };
        match self.stage(page).cloned() {
            Some(Stage::Forwarded { to, get, acks, .. }) if to == from => {
                self.end(page);
                self.grant_home_bytes(
                    page,
                    get,
                    acks,
                    Record {
                        state: rest,
                        ..record
                    },
                    out,
                );
                self.settle(page, out);
            }
            Some(Stage::Recalling { .. }) => {
                self.returned(from, page, Purpose::Return);
                self.recall_answered(from, page, out);
            }
            // Also if the table has no room: an owner that leaves must not be taken for the owner for ever.
            _ => self.directory.set(
                page,
                Record {
                    state: rest,
                    ..record
                },
            ),
        }
    }
}

/// Whether a request can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admitted {
    Now,
    Later,
}
