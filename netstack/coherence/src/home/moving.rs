//! Moving: another node becomes a page's home.
//!
//! All copies are recalled first. So nobody is owed anything when the page leaves, and no
//! message of the old home can meet one of the new home on its way to the same node.
//! The old home keeps the bytes until the new one has them, and the new one serves nobody before
//! the old one has heard that. So if one of the two dies meanwhile, the other has the page, and
//! knows that its bytes are current.
//!
//! Requests that come meanwhile wait, and are redirected when the new home has the page.
//! The home of the page's slice always knows where it is, or learns before anybody else is told.

use super::{Away, Home, Request, Stage};
use crate::directory::State;
use crate::event::{Action, MoveRefusal, Violation};
use crate::ids::{NodeId, PageIndex, Serial};
use crate::message::{Content, Message};
use crate::outbox::{Local, Outbox};

impl Home {
    pub(crate) fn move_range(
        &mut self,
        first: PageIndex,
        pages: u64,
        to: NodeId,
        out: &mut Outbox,
    ) {
        for distance in 0..pages {
            let page = first.plus(distance);
            match self.refusal(page, to) {
                Some(why) => out.push(Action::NotMoved { page, why }),
                None => {
                    self.busy
                        .entry(page)
                        .or_default()
                        .waiting
                        .push_back(Request::Move { to });
                    self.settle(page, out);
                }
            }
        }
    }

    /// Whether this home would still have a page if these were the members: it is the page's
    /// home, and has not given it to one of them or forgotten it.
    #[must_use]
    pub fn keeps(&self, page: PageIndex, members: &[NodeId]) -> bool {
        let given = match self.stage(page) {
            Some(Stage::Adopting { to, .. }) => members.contains(to),
            Some(Stage::Announcing { .. }) => true,
            _ => false,
        };
        self.owns(page) && !given
    }

    /// Whether a page is to move, or moves.
    #[must_use]
    pub fn is_moving(&self, page: PageIndex) -> bool {
        let moving = |request: &Request| matches!(request, Request::Move { .. });
        self.is_leaving(page)
            || self
                .busy
                .get(&page)
                .is_some_and(|busy| busy.waiting.iter().any(moving))
    }

    pub(super) fn refusal(&self, page: PageIndex, to: NodeId) -> Option<MoveRefusal> {
        let moving = |request: &Request| matches!(request, Request::Move { .. });
        let under_way = self
            .busy
            .values()
            .filter(|busy| busy.waiting.iter().any(moving))
            .count();
        let table = self.away.len() + under_way;
        if !self.owns(page) {
            Some(MoveRefusal::NotHome)
        } else if !self.members.contains(&to) {
            Some(MoveRefusal::Stranger)
        } else if to == self.me || self.is_moving(page) || self.rebuild.is_some() {
            Some(MoveRefusal::Moving)
        } else if table >= self.limits.moved {
            Some(MoveRefusal::TableFull)
        } else {
            None
        }
    }

    /// Whether a page has moved on from here, and the home of its slice may not know where to.
    pub(super) fn is_announcing(&self, page: PageIndex) -> bool {
        matches!(self.stage(page), Some(Stage::Announcing { .. }))
    }

    fn is_leaving(&self, page: PageIndex) -> bool {
        matches!(
            self.stage(page),
            Some(
                Stage::Adopting { .. }
                    | Stage::Announcing { .. }
                    | Stage::Recalling {
                        then: super::Then::Move { .. },
                        ..
                    }
            )
        )
    }

    /// Gives a page of which nobody has a copy to its new home.
    pub(super) fn hand_on(&mut self, page: PageIndex, to: NodeId, out: &mut Outbox) {
        let record = self.directory.get(page);
        if record.state == State::Lost {
            return out.push(Action::NotMoved {
                page,
                why: MoveRefusal::NotHome,
            });
        }
        self.directory.forget(page);
        let (serial, clock, content) = (record.serial, self.tick(), Content::Bytes);
        out.send(
            to,
            Message::Adopt {
                page,
                serial,
                clock,
                content,
            },
        );
        self.begin(page, Stage::Adopting { to, stamp: clock });
    }

    pub(super) fn adopt(
        &mut self,
        from: NodeId,
        page: PageIndex,
        serial: Serial,
        clock: Serial,
        out: &mut Outbox,
    ) {
        out.push(Action::Store { page });
        self.adopt_stored(from, page, serial, clock, out);
    }

    /// Adopts a page whose bytes were stored when they came.
    pub(super) fn adopt_stored(
        &mut self,
        from: NodeId,
        page: PageIndex,
        serial: Serial,
        clock: Serial,
        out: &mut Outbox,
    ) {
        if self.owns(page) && !self.is_announcing(page) {
            return out.refuse(from, Violation::Unasked);
        }
        self.take_in(page, serial, clock);
        out.tell(Local::HomeCame { page });
        out.send(from, Message::Adopted { page });
        self.begin(page, Stage::Arriving { from });
    }

    /// The old home has forgotten the page.
    pub(super) fn forgotten_by(&mut self, from: NodeId, page: PageIndex, out: &mut Outbox) {
        match self.stage(page) {
            Some(Stage::Arriving { from: old }) if *old == from => {
                self.end(page);
                self.settle(page, out);
            }
            _ => out.refuse(from, Violation::Unasked),
        }
    }

    pub(super) fn take_in(&mut self, page: PageIndex, serial: Serial, clock: Serial) {
        self.clock = self.clock.max(clock);
        self.directory.raise_floor(serial);
        self.directory.forget(page);
        if self.slices.home(page) == self.me {
            self.away.remove(&page);
            self.lets_write(page);
        } else {
            self.adopted.insert(page);
        }
    }

    /// The new home has the page.
    pub(super) fn moved_in(&mut self, from: NodeId, page: PageIndex, out: &mut Outbox) {
        match self.stage(page) {
            Some(&Stage::Adopting { to, stamp }) if to == from => {
                out.tell(Local::HomeLeft { page, to });
                out.send(to, Message::Yours { page });
                let slice = self.slices.home(page);
                if slice == self.me {
                    self.away.insert(page, Away { to, stamp });
                } else if slice != to {
                    self.begin(page, Stage::Announcing { to });
                    return out.send(slice, Message::Moved { page, to, stamp });
                } else {
                    self.adopted.remove(&page);
                }
                self.end(page);
                self.settle(page, out);
            }
            // It has come back by way of others before this was heard.
            _ => {}
        }
    }

    /// A page of this home's slices has moved on, if this is not older than what is known.
    pub(super) fn slice_moved(
        &mut self,
        from: NodeId,
        page: PageIndex,
        moved: Away,
        out: &mut Outbox,
    ) {
        if let Some(known) = self
            .away
            .get_mut(&page)
            .filter(|known| known.stamp < moved.stamp)
        {
            *known = moved;
        }
        out.send(from, Message::MovedKnown { page });
    }

    pub(super) fn move_known(&mut self, from: NodeId, page: PageIndex, out: &mut Outbox) {
        match self.stage(page) {
            Some(Stage::Announcing { .. }) if self.slices.home(page) == from => {
                self.adopted.remove(&page);
                self.end(page);
                self.settle(page, out);
            }
            // It has come back before its leaving was known.
            _ => {}
        }
    }
}
