//! Homes that follow their pages' use: a page has its home where it is used, so that using it there costs nothing and
//! others ask there at once.
//!
//! A page moves to whoever touches it first, and to whoever writes it again and again though others read it. How it
//! moves is told in `moving.rs`: all copies are recalled, and whoever asks then is redirected.

use super::{Get, Home, Request};
use crate::directory::State;
use crate::ids::{Access, NodeId, PageIndex};
use crate::outbox::Outbox;

impl Home {
    /// Whether a page is to move to the node that asks for it.
    pub(super) fn follows(&self, page: PageIndex, get: Get) -> bool {
        let Some(signs) = self.adaptation.signs() else {
            return false;
        };
        (self.is_new(page) || self.is_written_by(page, get, signs))
            && self.refusal(page, get.node).is_none()
    }

    /// Whether nobody has used a page of this home's slices yet, as far as is known.
    fn is_new(&self, page: PageIndex) -> bool {
        self.directory.is_unknown(page) && !self.adopted.contains(&page)
    }

    /// Whether a node writes a page again, as it did before.
    fn is_written_by(&self, page: PageIndex, get: Get, signs: u8) -> bool {
        let record = self.directory.get(page);
        let writer: Option<NodeId> = match record.state {
            State::Shared { writer, .. } => writer,
            State::Owned { holder, .. } => Some(holder),
            _ => None,
        };
        get.access == Access::Write && writer == Some(get.node) && record.pattern.is_steady(signs)
    }

    /// Moves a page to the node that asks, which then is told to ask itself.
    pub(super) fn follow(&mut self, page: PageIndex, get: Option<Get>, to: NodeId) {
        let waiting = &mut self.busy.entry(page).or_default().waiting;
        if let Some(get) = get {
            waiting.push_front(Request::Get(get));
        }
        waiting.push_front(Request::Move { to });
    }

    /// The same for a run of pages, of which those behind the first come along if they are new.
    pub(super) fn follow_run(&mut self, page: PageIndex, run: u8, get: Get, out: &mut Outbox) {
        self.follow(page, Some(get), get.node);
        for distance in 1..u64::from(run) {
            let next = page.plus(distance);
            let along = self.owns(next) && !self.is_busy(next) && self.is_new(next);
            if along && self.make_room(1) && self.refusal(next, get.node).is_none() {
                self.follow(next, None, get.node);
                self.settle_page(next, out);
            }
        }
    }
}
