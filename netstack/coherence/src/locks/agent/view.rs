//! What an agent does when the view changes.

use super::super::Out;
use super::super::event::{Action, Denial};
use super::super::lease::Need;
use super::super::message::Message;
use super::super::want::Want;
use super::{Agent, Hold, Standing};
use crate::ids::{NodeId, RequestId};
use crate::mutants::mutated;
use alloc::vec::Vec;

impl Agent {
    /// Forgets all that was under way and all leases but those of locks that are held, tells the
    /// homes of these, and asks again for what threads wait for.
    pub(in super::super) fn view_changed(&mut self, members: &[NodeId], out: &mut Out) {
        self.members = members.to_vec();
        self.asked.clear();
        self.recalls.clear();
        self.leases.clear();
        self.sent.fill(RequestId::default());
        for waiter in &mut self.waiters {
            waiter.standing = Standing::Follows;
        }
        if self.members.binary_search(&self.me).is_err() {
            while let Some(waiter) = self.waiters.first() {
                self.deny(waiter.token, Denial::Expelled, out);
            }
            if !mutated!(ExpelledKeepLocks) {
                self.lose_all(out);
            }
            return;
        }
        self.report(out);
        for &member in &self.members {
            out.send(member, Message::ReportsEnd);
        }
        self.advance(out);
    }

    /// What threads hold here may be others' now.
    fn lose_all(&mut self, out: &mut Out) {
        for Hold { token, .. } in self.holds.drain(..) {
            let why = Denial::Expelled;
            out.push(Action::Denied { token, why });
        }
    }

    fn report(&mut self, out: &mut Out) {
        let held = self.holds.iter().flat_map(|hold| hold.wants.as_slice());
        let held: Vec<Want> = held.copied().collect();
        for want in held {
            self.lease(want.span, want.mode, Need::Wanted);
            let home = want.span.object().home_among(&self.members);
            if let Some(home) = home.filter(|_| !mutated!(LocksNotReported)) {
                out.send(home, Message::Report { want });
            }
        }
    }
}
