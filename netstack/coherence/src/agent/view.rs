//! A change of view, as an agent sees it.

use super::command::Command;
use super::{Agent, Copy};
use crate::event::View;
use crate::ids::{NodeId, PageIndex, RequestId, Rights, Serial, Time};
use crate::message::{Backing, Message, Reported};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use crate::pages::PageSet;
use alloc::vec::Vec;

impl Agent {
    /// The view has changed: nothing that others asked for in the old one is done any more. `coming` are the pages whose home this
    /// node becomes: what it has of them is not the home's.
    pub(crate) fn view_changed(&mut self, view: &View, coming: PageSet) {
        self.coming = coming;
        self.rebuilding = view.members.iter().copied().collect();
        self.sent.clear();
        self.consumed.clear();
        self.homes.reset(view.slices.clone());
        for page in self.pages.values_mut() {
            let discard = page.commands.contains(&Command::Discard);
            page.commands.clear();
            if discard {
                page.commands.push_back(Command::Discard);
            } else if page.protecting {
                page.commands.push_back(Command::Cancelled);
            }
            page.hold.unpin_all();
        }
    }

    /// A message of the old view: what was granted is taken, what is asked is not done.
    pub(crate) fn drain(&mut self, now: Time, from: NodeId, message: Message, out: &mut Outbox) {
        match message {
            Message::Grant(_)
            | Message::Acked { .. }
            | Message::Keep { .. }
            | Message::WrittenBack { .. }
            | Message::Discarded { .. } => {
                self.receive(now, from, message, out);
            }
            _ => {}
        }
    }

    /// All of the old view's messages have come: decides what this node has.
    ///
    /// A page whose write-back was under way is the home's now, or lost with it: if the old home
    /// took it, others may have written since.
    pub(crate) fn settle_copies(&mut self, out: &mut Outbox) {
        let indices: Vec<PageIndex> = self.pages.keys().copied().collect();
        for index in indices {
            self.own_up(index, out);
            self.settle_copy(index, out);
        }
    }

    /// Tells each home what this node has.
    pub(crate) fn report(&mut self, members: &[NodeId], out: &mut Outbox) {
        for (&index, page) in &self.pages {
            let rights = page.copy.rights();
            if let Copy::Claimed { owner, granted } = page.copy {
                out.send(
                    self.homes.home(index),
                    Message::Claim {
                        page: index,
                        owner,
                        granted,
                    },
                );
            }
            if let (Some(serial), true) = (page.copy.serial(), rights != Rights::None) {
                let copy = Reported {
                    rights,
                    serial,
                    backing: page.copy.backing(),
                };
                out.send(
                    self.homes.home(index),
                    Message::Report { page: index, copy },
                );
            }
        }
        for &member in members {
            out.send(member, Message::ReportsEnd);
        }
    }

    /// Tells a page's home of a request or a write-back that got no answer, whoever was asked.
    fn own_up(&mut self, index: PageIndex, out: &mut Outbox) {
        let page = self.pages.get(&index);
        if page.is_some_and(|page| page.leaving) && !mutated!(VainWriteBackNotTold) {
            out.send(
                self.homes.home(index),
                Message::Unserved {
                    page: index,
                    asked: self.me,
                    id: RequestId::default(),
                },
            );
        }
        let pending = page.and_then(|page| page.pending);
        if let Some(pending) =
            pending.filter(|pending| pending.granted.is_none() && pending.run > 0)
        {
            out.send(
                self.homes.home(index),
                Message::Unserved {
                    page: index,
                    asked: pending.home,
                    id: pending.id,
                },
            );
        }
    }

    /// Decides what this node has of a page, now that nothing more will come.
    fn settle_copy(&mut self, index: PageIndex, out: &mut Outbox) {
        let Some(page) = self.pages.get_mut(&index) else {
            return;
        };
        if let Some(discarding) = &mut page.discarding {
            discarding.sent = None;
            discarding.told = None;
        }
        let granted = page.pending.take().and_then(|pending| pending.granted);
        if let (Some(granted), Rights::None) = (granted, page.copy.rights()) {
            page.copy = Copy::Shared {
                serial: granted.serial,
                backing: granted.backing,
            };
        }
        match &mut page.copy {
            Copy::Exclusive { backing, .. } => *backing = Backing::Older,
            Copy::Kept { .. } => page.leaving = true,
            Copy::None | Copy::Shared { .. } | Copy::Claimed { .. } => {}
        }
        if page.leaving {
            page.leaving = false;
            page.copy = Copy::None;
            self.free(index, out);
        }
    }

    /// Keeps bytes that this node has as a page's home no longer as its own copy.
    pub(crate) fn take_over(&mut self, index: PageIndex, serial: Serial, out: &mut Outbox) {
        let page = self.pages.entry(index).or_default();
        if page.discarding.is_some() {
            if page.copy == Copy::None {
                self.free(index, out);
            }
            return;
        }
        let backing = Backing::Older;
        page.copy = match page.copy {
            Copy::None | Copy::Kept { .. } | Copy::Claimed { .. } => {
                Copy::Shared { serial, backing }
            }
            Copy::Shared { serial, .. } => Copy::Shared { serial, backing },
            Copy::Exclusive { serial, .. } => Copy::Exclusive { serial, backing },
        };
    }

    /// Keeps bytes that this node has as a page's home no longer, until it is known whether anybody
    /// has a copy.
    pub(crate) fn claim(
        &mut self,
        index: PageIndex,
        owner: NodeId,
        granted: RequestId,
        out: &mut Outbox,
    ) {
        let page = self.pages.entry(index).or_default();
        match page.copy {
            Copy::None if page.discarding.is_some() => self.free(index, out),
            Copy::None | Copy::Kept { .. } if !mutated!(NothingClaimed) => {
                page.copy = Copy::Claimed { owner, granted };
            }
            Copy::None | Copy::Kept { .. } => {}
            Copy::Claimed { .. } | Copy::Shared { .. } | Copy::Exclusive { .. } => {}
        }
    }

    /// Nothing came of what this node claimed in the last view. Whether its home served the page
    /// meanwhile is not known, so it is not claimed again.
    pub(crate) fn drop_claims(&mut self, out: &mut Outbox) {
        let indices: Vec<PageIndex> = self.pages.keys().copied().collect();
        for index in indices {
            self.drop_claim(index, out);
        }
    }

    fn drop_claim(&mut self, index: PageIndex, out: &mut Outbox) {
        if let Some(page) = self.pages.get_mut(&index)
            && matches!(page.copy, Copy::Claimed { .. })
        {
            page.copy = Copy::None;
            self.free(index, out);
        }
    }

    /// A home has rebuilt its directory, and may be asked again: for pages of its slices, and for those that have moved
    /// from there to others since.
    pub(super) fn resume(&mut self, now: Time, home: NodeId, out: &mut Outbox) {
        self.rebuilding.remove(&home);
        if home == self.me {
            self.coming = PageSet::default();
        }
        self.resume_discards(out);
        let indices: Vec<PageIndex> = self.pages.keys().copied().collect();
        for index in indices {
            let asked = self.homes.home(index);
            if asked == home {
                self.drop_claim(index, out);
            }
            if !self.rebuilding.contains(&asked) {
                self.advance(now, index, out);
            }
        }
        self.start_discards(now, out);
    }
}
