//! Discards: the bytes of freed pages are forgotten.

use super::{Admitted, Busy, DiscardInProgress, DiscardRequest, Home, Request, Stage};
use crate::directory::State;
use crate::event::Violation;
use crate::ids::{Access, NodeId, PageIndex};
use crate::message::{LONGEST_SPAN, Message};
use crate::outbox::Outbox;

impl Home {
    /// A node has dropped its copies of these pages, and nobody needs their bytes.
    ///
    /// For pages that the sender held, this is the answer to whatever was asked of it.
    pub(super) fn discard(
        &mut self,
        page: PageIndex,
        run: u8,
        request: DiscardRequest,
        out: &mut Outbox,
    ) {
        if !(1..=LONGEST_SPAN).contains(&run) {
            return out.refuse(request.node, Violation::BadRun);
        }
        self.seen.insert(request.node, request.id);
        let pages = (0..u64::from(run)).map(|distance| page.plus(distance));
        let mask = u64::MAX >> (64 - u32::from(run));
        self.discards.push(DiscardInProgress {
            request,
            page,
            mask,
            left: run.into(),
        });
        for page in pages {
            if !self.owns(page) {
                self.redirect(page, Request::Discard(request), out);
                continue;
            }
            self.dropped(page, request.node, out);
            // A read that its sender was to answer goes on after it.
            let waits_for_it = |busy: &&mut Busy| busy.stage.is_none();
            if let Some(busy) = self.busy.get_mut(&page).filter(waits_for_it) {
                busy.waiting.push_front(Request::Discard(request));
                self.settle(page, out);
                continue;
            }
            match self.admit(page, Request::Discard(request), out) {
                Admitted::Now => {
                    self.serve(page, Request::Discard(request), out);
                    self.settle(page, out);
                }
                Admitted::Later => {}
            }
        }
    }

    /// The sender of a discard has no copy of this page.
    pub(super) fn dropped(&mut self, page: PageIndex, node: NodeId, out: &mut Outbox) {
        if matches!(
            self.stage(page),
            Some(Stage::Adopting { .. } | Stage::Announcing { .. })
        ) {
            return;
        }
        if self.holds(node, page) {
            let rest = self.left_by(node, page);
            self.zero(page, rest, out);
        }
        match self.stage(page) {
            Some(Stage::Recalling { .. }) => self.recall_answered(node, page, out),
            Some(&Stage::Clearing { get }) if node == self.me => {
                self.end(page);
                self.cleared(page, get, out);
                self.settle(page, out);
            }
            Some(Stage::Pushing { .. }) if node == self.me => {
                self.end(page);
                self.settle(page, out);
            }
            Some(&Stage::Forwarded { to, get, acks, .. }) if to == node => {
                self.end(page);
                let others = matches!(self.directory.get(page).state, State::Owned { .. });
                if others && get.access == Access::Read {
                    let busy = self.busy.entry(page).or_default();
                    return busy.waiting.push_front(Request::Get(get));
                }
                let zeroed = self.directory.get(page);
                self.grant_home_bytes(page, get, acks, zeroed, out);
                self.settle(page, out);
            }
            _ => {}
        }
    }

    /// What is known of a page that its holder has dropped. Those who share it have what the holder had, and not
    /// zeros: until they have given it up, one of them is the holder.
    fn left_by(&self, node: NodeId, page: PageIndex) -> State {
        let State::Owned { sharers, holder } = self.directory.get(page).state else {
            return State::Idle;
        };
        let sharers = sharers.without(holder, self.grouping);
        let mut others = sharers.iter(self.grouping);
        match others.find(|&other| other != node) {
            Some(holder) => State::Owned { sharers, holder },
            None => State::Idle,
        }
    }

    /// One page of a discard is done, or is another home's.
    pub(super) fn discard_done(
        &mut self,
        page: PageIndex,
        request: DiscardRequest,
        out: &mut Outbox,
    ) {
        let Some(position) = self
            .discards
            .iter()
            .position(|discard| discard.request == request)
        else {
            return;
        };
        let owned = self.owns(page);
        let discard = &mut self.discards[position];
        discard.left -= 1;
        if !owned {
            discard.mask &= !(1 << (page.0 - discard.page.0));
        }
        if discard.left == 0 {
            let DiscardInProgress {
                request,
                page,
                mask,
                ..
            } = self.discards.swap_remove(position);
            out.send(
                request.node,
                Message::Discarded {
                    page,
                    mask,
                    id: request.id,
                },
            );
        }
    }
}
