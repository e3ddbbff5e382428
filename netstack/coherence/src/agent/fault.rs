//! Faults: threads that wait for pages, and the requests made for them.

use super::{Agent, Copy, Page, Pending, Waiter};
use crate::adaptation::Adaptation;
use crate::event::{Failure, Violation};
use crate::ids::{Access, NodeId, PageIndex, RequestId, Rights, Time, Token};
use crate::message::Message;
use crate::mutants::mutated;
use crate::outbox::Outbox;
use alloc::vec::Vec;

impl Agent {
    pub(crate) fn fault(
        &mut self,
        now: Time,
        token: Token,
        index: PageIndex,
        access: Access,
        out: &mut Outbox,
    ) {
        if self.mapped(index) >= access.needs() {
            return out.wake(token, Ok(()));
        }
        if self.limits.run > 1 {
            let pages = &self.pages;
            let here = |page| {
                pages
                    .get(&page)
                    .is_some_and(|page| page.mapped >= access.needs())
            };
            self.streams.touched(index, access, here);
        }
        let pinned = if self.waits_in_order(index) {
            self.pin(now, token, index)
        } else {
            Vec::new()
        };
        self.pages.entry(index).or_default().waiters.push(Waiter {
            token,
            access,
            pinned,
        });
        self.advance(now, index, out);
    }

    /// Whether what a page may wait for are only pages above it.
    fn waits_in_order(&self, index: PageIndex) -> bool {
        let page = self.pages.get(&index);
        page.is_none_or(|page| {
            page.discarding.is_none() && page.pending.is_none_or(|pending| !pending.parked)
        })
    }

    /// A request waits for any other pages: so nothing may wait for those who made it.
    ///
    /// A holder's grant may have overtaken this.
    pub(super) fn parked(
        &mut self,
        now: Time,
        from: NodeId,
        index: PageIndex,
        id: RequestId,
        out: &mut Outbox,
    ) {
        let pending = self
            .pages
            .get_mut(&index)
            .and_then(|page| page.pending.as_mut());
        let Some(pending) = pending.filter(|pending| pending.id == id && pending.home == from)
        else {
            return;
        };
        pending.parked = true;
        let Some(page) = self.pages.get_mut(&index) else {
            return;
        };
        let mut waiters = core::mem::take(&mut page.waiters);
        for waiter in &mut waiters {
            self.unpin(now, waiter, out);
            waiter.pinned.clear();
        }
        if let Some(page) = self.pages.get_mut(&index) {
            page.waiters = waiters;
        }
    }

    /// Asks for a page if threads wait for it, and nothing is under way that may bring it.
    pub(super) fn want(&mut self, index: PageIndex, out: &mut Outbox) {
        let Some(page) = self.pages.get(&index) else {
            return;
        };
        let busy =
            page.pending.is_some() || page.protecting || page.leaving || page.discarding.is_some();
        let Some(access) = page.waiters.iter().map(|waiter| waiter.access).max() else {
            return;
        };
        let home = self.homes.home(index);
        if busy && !mutated!(FollowersAskToo) || self.rebuilding.contains(&home) {
            return;
        }
        if self.limits.run == 1 {
            return self.ask(index, access, 1, out);
        }
        let ahead = self.streams.ahead(index, access, self.limits.run);
        let wanted = (1..u64::from(ahead.expected))
            .map(|distance| index.plus(distance))
            .filter(|&next| self.may_ask(next, access));
        let wanted: Vec<PageIndex> = [index].into_iter().chain(wanted).collect();
        let Some((&last, first)) = wanted.split_last() else {
            return;
        };
        for &page in first {
            self.ask(page, access, 1, out);
        }
        let hoped = self.free_run(last, ahead.hoped);
        self.ask(last, access, 1 + hoped, out);
    }

    /// Asks for pages that no thread waits for yet, but will touch. What comes stays unmapped
    /// until then.
    ///
    /// Each is asked for by itself: of a run, a home gives only what it can give away at once, and these are
    /// all wanted.
    pub(crate) fn prefetch(
        &mut self,
        first: PageIndex,
        pages: u64,
        access: Access,
        out: &mut Outbox,
    ) {
        for index in (0..pages).map(|distance| first.plus(distance)) {
            if self.may_ask(index, access) {
                self.ask(index, access, 1, out);
            }
        }
    }

    /// Asks for a page, and for those behind it that can be given away at once: `run` in all.
    fn ask(&mut self, index: PageIndex, access: Access, run: u8, out: &mut Outbox) {
        let home = self.homes.home(index);
        let have = self.pages.get(&index).and_then(|page| page.copy.serial());
        let id = self.next_request(home);
        for distance in 0..u64::from(run) {
            let run = if distance == 0 { run } else { 0 };
            let page = self.pages.entry(index.plus(distance)).or_default();
            page.pending = Some(Pending {
                home,
                id,
                access,
                run,
                granted: None,
                acks: 0,
                parked: false,
            });
        }
        out.send(
            home,
            Message::Get {
                page: index,
                run,
                access,
                have,
                id,
            },
        );
    }

    /// Whether a page that no thread waits for yet may be asked for: nothing is under way for it, and its
    /// rights do not suffice.
    fn may_ask(&self, index: PageIndex, access: Access) -> bool {
        let idle = |page: &Page| {
            page.copy.rights() < access.needs()
                && page.pending.is_none()
                && page.waiters.is_empty()
                && page.commands.is_empty()
                && !page.protecting
                && !page.leaving
                && page.discarding.is_none()
        };
        !self.rebuilding.contains(&self.homes.home(index))
            && self.pages.get(&index).is_none_or(idle)
    }

    /// How many pages behind this one have the same home, and nothing known of them here; `most` at most.
    ///
    /// None, if there are bytes of this one here. It may be held for a thread that waits for a page behind it, and that must not wait
    /// for this one's request.
    fn free_run(&self, index: PageIndex, most: u8) -> u8 {
        let page = self.pages.get(&index);
        if page.is_some_and(|page| page.copy != Copy::None) {
            return 0;
        }
        let home = self.homes.home(index);
        let unknown = |distance: u8| {
            let next = index.plus(distance.into());
            !self.pages.contains_key(&next) && self.homes.home(next) == home
        };
        (1..=most).take_while(|&distance| unknown(distance)).count() as u8
    }

    /// Wakes the threads that have what they wait for.
    pub(super) fn satisfy(&mut self, now: Time, index: PageIndex, out: &mut Outbox) {
        let Some(page) = self.pages.get_mut(&index) else {
            return;
        };
        let rights = page.copy.rights();
        if page.protecting || page.leaving || page.discarding.is_some() {
            return;
        }
        let woken: Vec<Waiter> = page
            .waiters
            .extract_if(.., |waiter| waiter.access.needs() <= rights)
            .collect();
        if woken.is_empty() {
            return;
        }
        self.map(index, rights, out);
        for waiter in woken {
            self.hold(now, index, waiter.token);
            self.unpin(now, &waiter, out);
            out.wake(waiter.token, Ok(()));
        }
    }

    pub(super) fn map(&mut self, index: PageIndex, rights: Rights, out: &mut Outbox) {
        let Some(page) = self.pages.get_mut(&index) else {
            return;
        };
        if page.mapped < rights {
            page.mapped = rights;
            page.ahead = None;
            let adapts = self.adaptation != Adaptation::Off && !self.homes.is_here(index);
            if adapts && rights == Rights::Read {
                self.consumed.touched(index);
            }
            out.push(crate::event::Action::Map {
                page: index,
                rights,
            });
        }
    }

    /// The request for a page has ended without a grant; pages that were to come along have not.
    pub(super) fn ended(&mut self, index: PageIndex) -> Vec<PageIndex> {
        let Some(pending) = self
            .pages
            .get_mut(&index)
            .and_then(|page| page.pending.take())
        else {
            return Vec::new();
        };
        let along = (1..u64::from(pending.run)).map(|distance| index.plus(distance));
        let along: Vec<PageIndex> = along
            .filter(|next| {
                let asked = self.pages.get(next).and_then(|page| page.pending);
                asked.is_some_and(|asked| {
                    asked.run == 0 && asked.id == pending.id && asked.home == pending.home
                })
            })
            .collect();
        for next in &along {
            if let Some(page) = self.pages.get_mut(next) {
                page.pending = None;
            }
        }
        along
    }

    pub(super) fn lost(
        &mut self,
        now: Time,
        from: NodeId,
        index: PageIndex,
        id: RequestId,
        out: &mut Outbox,
    ) {
        let asked = self.pages.get(&index).and_then(|page| page.pending);
        if asked.is_none_or(|pending| pending.id != id || pending.home != from) {
            return out.refuse(from, Violation::Unasked);
        }
        let along = self.ended(index);
        let Some(page) = self.pages.get_mut(&index) else {
            return;
        };
        page.copy = Copy::None;
        for waiter in core::mem::take(&mut page.waiters) {
            self.unpin(now, &waiter, out);
            out.wake(waiter.token, Err(Failure::Lost));
        }
        for next in along.into_iter().chain([index]) {
            self.advance(now, next, out);
        }
    }
}
