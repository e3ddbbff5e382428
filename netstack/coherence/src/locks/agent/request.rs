//! What is asked of homes.

use super::super::event::{Denial, Patience};
use super::super::lease::Need;
use super::super::message::{Answer, Extent, Message};
use super::super::want::{Want, Wants};
use super::super::{Out, refuse};
use super::{Agent, Standing};
use crate::event::Violation;
use crate::ids::{NodeId, RequestId};
use crate::mutants::mutated;
use crate::ranges::Span;

/// A request under way. It goes on if the thread does not wait any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub home: NodeId,
    pub id: RequestId,
    pub wants: Wants,
    /// How many [`Message::Cede`] have come.
    pub acks: u16,
    pub progress: Progress,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Progress {
    /// Other nodes.
    Open,
    /// Earlier requests of this node that conflict with it: what these will have, the home does not
    /// ask others for again.
    Answered,
}

impl Agent {
    /// Asks for what is not leased, and is not about to be.
    pub(super) fn ask_for_the_rest(&mut self, out: &mut Out) {
        for index in 0..self.waiters.len() {
            if self.waiters[index].standing == Standing::Follows && !self.is_secured(index) {
                self.ask_in_order(index, out);
            }
        }
    }

    fn is_secured(&self, index: usize) -> bool {
        let waiter = &self.waiters[index];
        let coming = |want: Want| waiter.patience != Patience::Try && self.is_coming(want);
        let mut wants = waiter.wants.as_slice().iter();
        wants.all(|&want| self.has_lease(want) || coming(want))
    }

    /// Whether a request that is under way brings a range, and nobody is to have it thereafter.
    fn is_coming(&self, want: Want) -> bool {
        self.asked.iter().any(|asked| {
            let includes = asked.wants.as_slice().iter().any(|has| has.includes(want));
            let recalled_after = self.recalls.iter().any(|recall| {
                recall.want.conflicts(want)
                    && recall.home == asked.home
                    && asked.id.at_or_before(recall.seen)
            });
            includes && !recalled_after
        })
    }

    /// Asks for a thread, and before that for those that came earlier and would be
    /// overtaken by it.
    fn ask_in_order(&mut self, last: usize, out: &mut Out) {
        let mut asking = alloc::vec![last];
        for index in (0..last).rev() {
            let earlier = &self.waiters[index];
            let overtaken = asking
                .iter()
                .any(|&later| self.waiters[later].wants.conflict(&earlier.wants));
            if earlier.standing == Standing::Follows && overtaken && !mutated!(FollowersOvertaken) {
                asking.push(index);
            }
        }
        for &index in asking.iter().rev() {
            self.ask(index, out);
        }
    }

    fn ask(&mut self, index: usize, out: &mut Out) {
        let wants = self.waiters[index].wants.clone();
        let Some(home) = self.home_of(&wants) else {
            return;
        };
        let id = self.sent[usize::from(home.0)].next();
        self.sent[usize::from(home.0)] = id;
        let waiter = &mut self.waiters[index];
        waiter.standing = Standing::Asked(id);
        let answer = match waiter.patience {
            Patience::Try => Answer::AtOnce,
            Patience::Forever | Patience::Until(_) => Answer::WhenFree,
        };
        let parts = wants.as_slice();
        for (&want, left) in parts.iter().zip((0..parts.len() as u8).rev()) {
            let ask = Message::Ask {
                id,
                want,
                left,
                answer,
            };
            out.send(home, ask);
        }
        self.asked.push(Asked {
            home,
            id,
            wants,
            acks: 0,
            progress: Progress::Open,
        });
    }

    pub(super) fn granted(
        &mut self,
        home: NodeId,
        id: RequestId,
        extent: Option<Extent>,
        out: &mut Out,
    ) {
        let Some(index) = self.find(home, id) else {
            return refuse(home, Violation::Unasked, out);
        };
        let asked = self.asked[index].wants.as_slice()[0];
        if let Some(Extent { start, end }) = extent {
            match Span::new(asked.span.object(), start, end) {
                Some(span) if !span.contains(asked.span) => {
                    return refuse(home, Violation::Malformed, out);
                }
                // With earlier requests under way, it is not clear that all of it is there.
                Some(span) if index == 0 || mutated!(ExtentTakenAtOnce) => {
                    self.lease(span, asked.mode, Need::CameAlong);
                }
                Some(_) => {}
                None => return refuse(home, Violation::Malformed, out),
            }
        }
        self.answered(index, out);
    }

    pub(super) fn ceded(
        &mut self,
        from: NodeId,
        home: NodeId,
        id: RequestId,
        acks: u16,
        out: &mut Out,
    ) {
        let Some(index) = self.find(home, id) else {
            return refuse(from, Violation::Unasked, out);
        };
        self.asked[index].acks += 1;
        if self.asked[index].acks >= acks || mutated!(FirstCedeSuffices) {
            self.answered(index, out);
        }
    }

    fn answered(&mut self, index: usize, out: &mut Out) {
        self.asked[index].progress = Progress::Answered;
        while let Some(index) = (0..self.asked.len()).find(|&index| self.is_complete(index)) {
            self.complete(index);
        }
        self.advance(out);
    }

    fn is_complete(&self, index: usize) -> bool {
        let asked = &self.asked[index];
        let awaited =
            |earlier: &Asked| earlier.home == asked.home && earlier.wants.conflict(&asked.wants);
        asked.progress == Progress::Answered
            && (!self.asked[..index].iter().any(awaited) || mutated!(EarlierNotAwaited))
    }

    fn complete(&mut self, index: usize) {
        let Asked {
            home, id, wants, ..
        } = self.asked.remove(index);
        for want in wants.as_slice() {
            self.lease(want.span, want.mode, Need::Wanted);
        }
        if let Some(index) = self.waiter(home, id) {
            self.waiters[index].standing = Standing::Ready(id);
        }
    }

    pub(super) fn busy(&mut self, home: NodeId, id: RequestId, out: &mut Out) {
        // Whoever tried may have given up, or may have been told by another holder.
        if let Some(index) = self.waiter(home, id)
            && self.waiters[index].patience == Patience::Try
        {
            self.deny(self.waiters[index].token, Denial::WouldBlock, out);
            self.advance(out);
        }
    }

    pub(super) fn denied(&mut self, home: NodeId, id: RequestId, out: &mut Out) {
        let Some(index) = self.find(home, id) else {
            return refuse(home, Violation::Unasked, out);
        };
        self.asked.remove(index);
        if let Some(index) = self.waiter(home, id) {
            self.deny(self.waiters[index].token, Denial::NoRoom, out);
        }
        self.advance(out);
    }

    fn find(&self, home: NodeId, id: RequestId) -> Option<usize> {
        self.asked
            .iter()
            .position(|asked| asked.home == home && asked.id == id)
    }

    /// The thread that asked, if it still waits.
    fn waiter(&self, home: NodeId, id: RequestId) -> Option<usize> {
        self.waiters.iter().position(|waiter| {
            waiter.standing.place() == Some(id) && self.home_of(&waiter.wants) == Some(home)
        })
    }
}
