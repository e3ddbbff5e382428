//! Holds: a page that has just arrived stays for a while, so that the instruction that wants
//! it completes.
//!
//! An instruction may touch several pages, and needs all of them at once. So while a thread
//! waits for a page, those pages below it that the thread was woken for and that are still
//! held are *pinned*: they stay until the thread has that page too, and are held anew
//! then. Pages above are not pinned. So whoever waits while it makes others wait, waits
//! for a higher page, and there is no circle. An instruction whose pages were faulted in
//! downwards, and lost, faults again upwards.

use super::{Agent, Waiter};
use crate::event::Action;
use crate::ids::{Access, PageIndex, Time, Token};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// How long a page stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Hold {
    until: Option<Time>,
    pins: Vec<Token>,
    timer: bool,
}

/// The threads last woken, and for which pages, latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Recent(VecDeque<(Token, PageIndex)>);

/// How many are remembered.
const REMEMBERED: usize = 64;

impl Hold {
    /// Whether the page is held or pinned.
    pub(super) fn lasts(&self, now: Time) -> bool {
        self.is_pinned() || self.is_timed(now)
    }

    pub(super) fn unpin_all(&mut self) {
        self.pins.clear();
    }

    pub(super) fn is_pinned(&self) -> bool {
        !self.pins.is_empty()
    }

    pub(super) fn is_timed(&self, now: Time) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

impl Recent {
    fn note(&mut self, token: Token, index: PageIndex) {
        self.0.retain(|&noted| noted != (token, index));
        self.0.push_front((token, index));
        self.0.truncate(REMEMBERED);
    }

    fn pages_of(&self, token: Token) -> Vec<PageIndex> {
        self.0
            .iter()
            .filter(|&&(noted, _)| noted == token)
            .map(|&(_, index)| index)
            .collect()
    }

    fn forget_thread(&mut self, token: Token) {
        self.0.retain(|&(noted, _)| noted != token);
    }

    fn forget(&mut self, index: PageIndex) {
        self.0.retain(|&(_, noted)| noted != index);
    }
}

impl Agent {
    /// Holds a page for a thread that is woken for it.
    pub(super) fn hold(&mut self, now: Time, index: PageIndex, token: Token) {
        self.recent.note(token, index);
        let until = Time(now.0.saturating_add(self.limits.hold));
        if let Some(page) = self.pages.get_mut(&index) {
            page.hold.until = Some(until);
        }
    }

    /// Holds a page that came before any thread wanted it: else those who wait for it would have it before the thread
    /// has come to it.
    pub(super) fn hold_ahead(&mut self, now: Time, index: PageIndex, access: Access) {
        let until = Time(now.0.saturating_add(self.limits.hold));
        if let Some(page) = self.pages.get_mut(&index) {
            page.ahead = Some(access);
            page.hold.until = Some(until);
        }
    }

    /// A thread needs none of the pages together that it was woken for.
    pub(crate) fn retired(&mut self, token: Token) {
        self.recent.forget_thread(token);
    }

    /// Pins the pages that a thread needs together with one it begins to wait for.
    pub(super) fn pin(&mut self, now: Time, token: Token, wanted: PageIndex) -> Vec<PageIndex> {
        let below =
            |index: PageIndex| index < wanted || mutated!(PinsInAnyOrder) && index != wanted;
        let mut pinned = self.recent.pages_of(token);
        pinned.retain(|&index| below(index) && !mutated!(NothingPinned));
        pinned.retain(|index| {
            let held = self
                .pages
                .get_mut(index)
                .filter(|page| page.hold.lasts(now));
            held.is_some_and(|page| {
                page.hold.pins.push(token);
                true
            })
        });
        pinned
    }

    /// Lets go of what was pinned for a thread, but for one more hold.
    pub(super) fn unpin(&mut self, now: Time, waiter: &Waiter, out: &mut Outbox) {
        for &index in &waiter.pinned {
            let Some(page) = self.pages.get_mut(&index) else {
                continue;
            };
            let pins = page.hold.pins.len();
            page.hold.pins.retain(|&pinned| pinned != waiter.token);
            if page.hold.pins.len() < pins {
                page.hold.until = Some(Time(now.0.saturating_add(self.limits.hold)));
                self.arm(now, index, out);
            }
        }
    }

    /// Has the timer go off when a hold is over that something waits for.
    pub(super) fn arm(&mut self, now: Time, index: PageIndex, out: &mut Outbox) {
        let Some(page) = self.pages.get_mut(&index) else {
            return;
        };
        if page.commands.is_empty() || page.hold.timer {
            return;
        }
        if let Some(at) = page.hold.until.filter(|&until| now < until) {
            page.hold.timer = true;
            out.push(Action::SetTimer { page: index, at });
        }
    }

    pub(crate) fn time_over(&mut self, now: Time, index: PageIndex, out: &mut Outbox) {
        let Some(page) = self.pages.get_mut(&index) else {
            return;
        };
        page.hold.timer = false;
        if page.hold.is_timed(now) {
            return self.arm(now, index, out);
        }
        if !page.hold.is_pinned() {
            self.release(index);
        }
        self.advance(now, index, out);
    }

    /// Forgets that a page was held.
    pub(super) fn release(&mut self, index: PageIndex) {
        self.recent.forget(index);
        if let Some(page) = self.pages.get_mut(&index) {
            page.hold.until = None;
            page.hold.pins.clear();
        }
    }
}
