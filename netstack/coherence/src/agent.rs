//! The agent of a node: what the node caches, and which faults wait.
//!
//! An `Agent` owns the state of each page that its node has a copy of or wants, and decides
//! what is mapped. What others ask of a page is queued with the page and done in the order in which
//! it came: after what was granted before has arrived, and after the page's hold is over.
//! Only its node's [`Node`](crate::Node) calls it.

mod command;
mod consume;
mod discard;
mod fault;
mod grant;
mod hold;
mod streams;
mod view;

use crate::adaptation::Adaptation;
use crate::event::{Action, Dirt, Violation};
use crate::homes::{HomeMap, Slices};
use crate::ids::{Access, NodeId, PageIndex, RequestId, Rights, Serial, Time, Token};
use crate::message::{Backing, Content, Message};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use crate::pages::PageSet;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use command::Command;
use consume::Consumed;
use discard::DiscardOp;
use hold::{Hold, Recent};
use streams::Streams;

/// Where the sizes and times of an agent are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AgentLimits {
    /// For how many microseconds a page that has just arrived is held, whoever wants it.
    pub hold: u64,
    /// The most pages that are asked for at once, 1 to [`LONGEST_RUN`](crate::LONGEST_RUN).
    pub run: u8,
    /// Pages whose moved homes are remembered.
    pub moved: usize,
}

/// What a node caches, and which faults wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Agent {
    me: NodeId,
    limits: AgentLimits,
    homes: HomeMap,
    pages: BTreeMap<PageIndex, Page>,
    /// The last request sent to each home.
    sent: BTreeMap<NodeId, RequestId>,
    discards: Vec<DiscardOp>,
    streams: Streams,
    adaptation: Adaptation,
    /// Pages that were pushed here.
    consumed: Consumed,
    /// Which threads were last woken for which pages.
    recent: Recent,
    /// Where the search for pages to evict goes on.
    hand: PageIndex,
    /// Homes that rebuild their directories, and must not be asked yet.
    rebuilding: BTreeSet<NodeId>,
    /// Pages whose home this node becomes, until it has their directory.
    coming: PageSet,
    /// The node is to leave: nobody is to wonder whether it has written what it was allowed to.
    departs: bool,
}

/// A page that the node has a copy of, or wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Page {
    copy: Copy,
    mapped: Rights,
    pending: Option<Pending>,
    waiters: Vec<Waiter>,
    /// What is to be done with the copy, in this order.
    commands: VecDeque<Command>,
    /// Whether rights are being taken for the first command.
    protecting: bool,
    /// A write-back is under way; it answers all that its receiver asks meanwhile.
    leaving: bool,
    /// The receiver of the last write-back.
    left_to: NodeId,
    /// A discard is under way; it answers all that its receiver asks meanwhile.
    discarding: Option<Discarding>,
    hold: Hold,
    /// It came before any thread wanted it, for this; and none has touched it since.
    ahead: Option<Access>,
}

/// The bytes that the node has of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Copy {
    /// None.
    #[default]
    None,
    /// Bytes that were current, and may be still, but give no rights.
    Kept { serial: Serial },
    /// Bytes that this node had as the page's home in the old view. They are current if nobody
    /// has a copy, and `owner` was not given another by a node that died.
    Claimed { owner: NodeId, granted: RequestId },
    /// Bytes to read.
    Shared { serial: Serial, backing: Backing },
    /// Bytes to read and write.
    Exclusive { serial: Serial, backing: Backing },
}

/// A request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pending {
    home: NodeId,
    id: RequestId,
    access: Access,
    /// How many pages were asked for; none if this page only came along.
    run: u8,
    /// What was granted, when that is known.
    granted: Option<Granted>,
    /// Answers of sharers that are still to come; negative while they overtake the grant.
    acks: i32,
    /// Whether it waits for other pages of its home.
    parked: bool,
}

/// What a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Granted {
    rights: Rights,
    serial: Serial,
    backing: Backing,
}

/// A thread that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiter {
    token: Token,
    access: Access,
    /// The pages that stay for it until then.
    pinned: Vec<PageIndex>,
}

/// A discard of a page, sent or about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Discarding {
    token: Token,
    sent: Option<RequestId>,
    /// The home that was told, or none yet.
    told: Option<NodeId>,
}

impl Copy {
    fn rights(self) -> Rights {
        match self {
            Self::None | Self::Kept { .. } | Self::Claimed { .. } => Rights::None,
            Self::Shared { .. } => Rights::Read,
            Self::Exclusive { .. } => Rights::Write,
        }
    }

    fn serial(self) -> Option<Serial> {
        match self {
            Self::None | Self::Claimed { .. } => None,
            Self::Kept { serial }
            | Self::Shared { serial, .. }
            | Self::Exclusive { serial, .. } => Some(serial),
        }
    }

    fn backing(self) -> Backing {
        match self {
            Self::None | Self::Kept { .. } | Self::Claimed { .. } => Backing::Current,
            Self::Shared { backing, .. } | Self::Exclusive { backing, .. } => backing,
        }
    }
}

impl Page {
    fn is_unused(&self) -> bool {
        self.copy == Copy::None
            && self.pending.is_none()
            && self.waiters.is_empty()
            && self.commands.is_empty()
            && !self.leaving
            && self.discarding.is_none()
    }
}

impl Agent {
    pub(crate) fn new(me: NodeId, slices: Slices, limits: AgentLimits) -> Self {
        Self {
            me,
            limits,
            homes: HomeMap::new(me, slices, limits.moved),
            pages: BTreeMap::new(),
            sent: BTreeMap::new(),
            discards: Vec::new(),
            streams: Streams::default(),
            adaptation: Adaptation::default(),
            consumed: Consumed::default(),
            recent: Recent::default(),
            hand: PageIndex(0),
            rebuilding: BTreeSet::new(),
            coming: PageSet::default(),
            departs: false,
        }
    }

    pub(crate) fn set_adaptation(&mut self, adaptation: Adaptation) {
        self.adaptation = adaptation;
    }

    /// What the program may do with a page at this moment.
    #[must_use]
    pub fn mapped(&self, page: PageIndex) -> Rights {
        self.pages
            .get(&page)
            .map_or(Rights::None, |page| page.mapped)
    }

    /// Whether the node has bytes of a page that it may use, or may be allowed to use again.
    #[must_use]
    pub fn has_bytes(&self, page: PageIndex) -> bool {
        self.pages
            .get(&page)
            .is_some_and(|page| page.copy != Copy::None || page.leaving)
    }

    /// The pages that the node has rights to, if only to take them up again.
    pub fn held(&self) -> impl Iterator<Item = (PageIndex, Rights)> {
        self.pages
            .iter()
            .map(|(&index, page)| (index, page.copy.rights()))
            .filter(|&(_, rights)| rights != Rights::None)
    }

    /// Whether the node has asked for a page, and not got it.
    #[must_use]
    pub fn awaits(&self, page: PageIndex) -> bool {
        self.pages
            .get(&page)
            .is_some_and(|page| page.pending.is_some())
    }

    /// Whether the node has asked for a page, and no grant has come.
    pub(crate) fn awaits_bytes(&self, page: PageIndex) -> bool {
        let pending = self.pages.get(&page).and_then(|page| page.pending);
        pending.is_some_and(|pending| pending.granted.is_none())
    }

    /// Whether something is to be done with a page because others want it.
    #[must_use]
    pub fn is_asked(&self, page: PageIndex) -> bool {
        self.pages
            .get(&page)
            .is_some_and(|page| !page.commands.is_empty())
    }

    /// Whether the node gives a page up: it writes it back, or discards it.
    #[must_use]
    pub fn is_leaving(&self, page: PageIndex) -> bool {
        self.pages
            .get(&page)
            .is_some_and(|page| page.leaving || page.discarding.is_some())
    }

    /// Whether anything that the node writes back is under way.
    #[must_use]
    pub fn gives_up(&self) -> bool {
        self.pages.values().any(|page| page.leaving)
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let idle = |page: &Page| {
            page.pending.is_none()
                && page.waiters.is_empty()
                && page.commands.is_empty()
                && !page.leaving
                && page.discarding.is_none()
        };
        self.discards.is_empty() && self.rebuilding.is_empty() && self.pages.values().all(idle)
    }

    /// The node that this one would ask about a page.
    #[must_use]
    pub fn home(&self, page: PageIndex) -> NodeId {
        self.homes.home(page)
    }

    /// Says that the node has a copy of these pages since before it was a member.
    pub(crate) fn replicate(&mut self, first: PageIndex, pages: u64, out: &mut Outbox) {
        for distance in 0..pages {
            let page = self.pages.entry(first.plus(distance)).or_default();
            page.copy = Copy::Shared {
                serial: Serial(0),
                backing: Backing::Current,
            };
            page.mapped = Rights::Read;
            out.push(Action::Map {
                page: first.plus(distance),
                rights: Rights::Read,
            });
        }
    }

    pub(crate) fn receive(&mut self, now: Time, from: NodeId, message: Message, out: &mut Outbox) {
        match message {
            Message::Grant(grant) => self.grant(now, from, grant, out),
            Message::Acked { page, id } => self.acked(now, from, page, id, out),
            Message::Forward {
                page,
                access,
                requester,
                id,
                serial,
                acks,
                advice,
                seen,
            } => {
                let forward = command::Forward {
                    home: from,
                    access,
                    requester,
                    id,
                    serial,
                    acks,
                    advice,
                    seen,
                };
                self.command(now, page, Command::Forward(forward), out);
            }
            Message::Invalidate {
                page,
                collector,
                seen,
            } => {
                self.command(
                    now,
                    page,
                    Command::Invalidate {
                        home: from,
                        collector,
                        seen,
                    },
                    out,
                );
            }
            Message::Recall {
                page,
                purpose,
                seen,
            } => {
                self.command(
                    now,
                    page,
                    Command::Recall {
                        home: from,
                        purpose,
                        seen,
                    },
                    out,
                );
            }
            Message::WrittenBack { page } => self.written_back(now, from, page, out),
            Message::Discarded { page, mask, id } => self.discarded(now, from, page, mask, id, out),
            Message::Redirect {
                page,
                home,
                mask,
                id,
            } => {
                self.learn_homes(page, home, mask);
                self.redirected(now, from, page, id, out);
            }
            Message::Parked { page, id } => self.parked(now, from, page, id, out),
            Message::Push { page, serial, .. } => self.pushed(page, serial, out),
            Message::Lost { page, id } => self.lost(now, from, page, id, out),
            Message::Resume => self.resume(now, from, out),
            Message::Keep { page, serial } => self.keep(from, page, serial, out),
            _ => out.refuse(from, Violation::OutOfPlace),
        }
    }

    /// Does what can be done for a page: first what others ask, then what its own threads want.
    fn advance(&mut self, now: Time, index: PageIndex, out: &mut Outbox) {
        self.satisfy(now, index, out);
        self.run_commands(now, index, out);
        self.want(index, out);
        if self.pages.get(&index).is_some_and(Page::is_unused) {
            self.pages.remove(&index);
        }
        self.start_discards(now, out);
    }

    fn next_request(&mut self, home: NodeId) -> RequestId {
        let last = self.sent.entry(home).or_default();
        *last = last.next();
        *last
    }

    /// The node's bytes of a page are gone.
    fn free(&mut self, index: PageIndex, out: &mut Outbox) {
        let comes = self.coming.contains(index);
        if !self.homes.is_here(index) || comes {
            out.push(Action::Free { page: index });
        }
    }

    /// Whether bytes must not be dropped: they are newer than the home's.
    ///
    /// This node's own bytes are the home's, if it is the home.
    fn newer(&self, index: PageIndex, backing: Backing, dirt: Dirt) -> Backing {
        let written = dirt == Dirt::Dirty && !mutated!(DirtNotNoticed);
        let inherited = backing == Backing::Older && !mutated!(InheritedDirtForgotten);
        if (written || inherited) && !self.homes.is_here(index) {
            Backing::Older
        } else {
            Backing::Current
        }
    }

    pub(crate) fn evict(&mut self, now: Time, index: PageIndex, out: &mut Outbox) {
        if self.may_evict(now, index) {
            self.command(now, index, Command::Evict, out);
        }
    }

    /// Gives up pages for good, so that none is missed when this node has left.
    pub(crate) fn depart(&mut self, now: Time, pages: usize, out: &mut Outbox) {
        self.departs = true;
        self.relieve(now, pages, out);
    }

    /// Whether the node has no bytes of any page as its own copy, and wants none.
    pub(crate) fn has_nothing(&self) -> bool {
        self.pages.is_empty()
    }

    /// Gives up pages that are not in use right now, going round.
    pub(crate) fn relieve(&mut self, now: Time, pages: usize, out: &mut Outbox) {
        let round = self
            .pages
            .range(self.hand..)
            .chain(self.pages.range(..self.hand));
        let candidates = round
            .map(|(&index, _)| index)
            .filter(|&index| self.may_evict(now, index));
        let victims: Vec<PageIndex> = candidates.take(pages).collect();
        for index in victims {
            self.hand = index.plus(1);
            self.command(now, index, Command::Evict, out);
        }
    }

    fn may_evict(&self, now: Time, index: PageIndex) -> bool {
        let Some(page) = self.pages.get(&index) else {
            return false;
        };
        page.copy != Copy::None
            && page.pending.is_none()
            && page.waiters.is_empty()
            && page.commands.is_empty()
            && !page.leaving
            && page.discarding.is_none()
            && !page.hold.lasts(now)
            && !self.rebuilding.contains(&self.homes.home(index))
    }

    fn write_back(&mut self, index: PageIndex, out: &mut Outbox) {
        let home = self.homes.home(index);
        if let Some(page) = self.pages.get_mut(&index) {
            page.left_to = home;
        }
        out.send(
            home,
            Message::WriteBack {
                page: index,
                content: Content::Bytes,
            },
        );
    }

    fn written_back(&mut self, now: Time, from: NodeId, index: PageIndex, out: &mut Outbox) {
        match self.pages.get_mut(&index) {
            Some(page) if page.leaving => {
                page.leaving = false;
                page.copy = Copy::None;
                self.free(index, out);
                self.advance(now, index, out);
            }
            _ => out.refuse(from, Violation::Unasked),
        }
    }

    fn redirected(
        &mut self,
        now: Time,
        from: NodeId,
        index: PageIndex,
        id: Option<RequestId>,
        out: &mut Outbox,
    ) {
        let Some(page) = self.pages.get_mut(&index) else {
            return out.refuse(from, Violation::Unasked);
        };
        match id {
            None if page.leaving => {
                self.write_back(index, out);
                self.advance(now, index, out);
            }
            Some(id)
                if page
                    .pending
                    .is_some_and(|pending| pending.id == id && pending.home == from) =>
            {
                for next in self.ended(index).into_iter().chain([index]) {
                    self.advance(now, next, out);
                }
            }
            Some(id)
                if page
                    .discarding
                    .is_some_and(|discarding| discarding.sent == Some(id)) =>
            {
                self.send_discard(index, 1, out);
            }
            _ => out.refuse(from, Violation::Unasked),
        }
    }

    /// Pages have another home than was thought; but this node knows best which are homed here.
    ///
    /// The page that was asked for comes last, so that those around it do not make a small table forget it.
    fn learn_homes(&mut self, index: PageIndex, home: NodeId, mask: u64) {
        let (first, at) = index.in_span();
        for bit in (0..64).filter(|&bit| bit != at && mask >> bit & 1 == 1) {
            let other = first.plus(bit.into());
            if self.homes.home(other) != self.me {
                self.homes.learn(other, home);
            }
        }
        self.homes.learn(index, home);
    }

    /// A message sent to its own node: the node is not the page's home any more.
    pub(crate) fn home_left(&mut self, index: PageIndex, to: NodeId, out: &mut Outbox) {
        self.homes.left(index, to);
        if !self.has_bytes(index) {
            out.push(Action::Free { page: index });
        }
    }

    /// The node is the page's home now.
    pub(crate) fn home_came(&mut self, index: PageIndex) {
        self.homes.came(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_redirect_of_many_pages_is_remembered_for_the_one_that_was_asked_for() {
        let slices = Slices::new(vec![(PageIndex(0), NodeId(0))]).unwrap();
        let limits = AgentLimits {
            hold: 0,
            run: 1,
            moved: 1,
        };
        let mut agent = Agent::new(NodeId(1), slices, limits);
        agent.learn_homes(PageIndex(3), NodeId(2), 0b1_1100);
        assert_eq!(agent.home(PageIndex(3)), NodeId(2));
    }
}
