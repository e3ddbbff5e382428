//! The end of a transaction.

use super::{Ending, Half, Handle, State, TransactionNotice, Transactions, told};
use crate::message::{AbortReason, Step};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use alloc::vec::Vec;

impl Transactions {
    /// Ends a transaction, after all that is part of it. One that has ended is only forgotten,
    /// if its link is lost.
    pub(super) fn end(&mut self, handle: Handle, how: Ending, out: &mut Outbox) {
        // Without recursion: a peer decides how deep this goes.
        for part in self.parts_of(handle).into_iter().rev() {
            let lost = |node| !self.links.contains_key(&node);
            let found = self.transactions.get(&part);
            let how = match found {
                _ if part == handle => how,
                Some(part) if lost(part.peer) => Ending::LostLink,
                _ => Ending::ParentEnded,
            };
            self.end_one(part, how, out);
        }
    }

    /// The transaction and all parts of it, each after what it is part of.
    fn parts_of(&self, handle: Handle) -> Vec<Handle> {
        let mut all = Vec::from([handle]);
        let mut next = 0;
        while let Some(handle) = all.get(next) {
            next += 1;
            let Some(found) = self.transactions.get(handle) else {
                continue;
            };
            if !mutated!(PartsOutlive) {
                all.extend(&found.parts);
            }
        }
        all
    }

    fn end_one(&mut self, handle: Handle, how: Ending, out: &mut Outbox) {
        let Some(transaction) = self.transactions.get_mut(&handle) else {
            return;
        };
        let before = core::mem::replace(&mut transaction.state, State::Over);
        let State::Open { ours, theirs } = before else {
            if how == Ending::LostLink {
                self.forget(handle);
            }
            return;
        };
        if let Some(at) = transaction.deadline.take() {
            self.deadlines.remove(&(at, handle));
        }
        let waits = (ours, theirs) != (Half::Closed, Half::Closed);
        if let Some(why) = reason(how).filter(|_| waits) {
            self.say(handle, Step::Abort { why }, out);
        }
        if theirs == Half::Closed || how == Ending::LostLink {
            self.forget(handle);
        } else {
            self.detach(handle);
        }
        if how != Ending::LostLink || !mutated!(LossNotTold) {
            told(TransactionNotice::Ended { handle, how }, out);
        }
    }

    /// Takes it from the parts of its parent.
    fn detach(&mut self, handle: Handle) {
        let parent = self.transactions.get_mut(&handle);
        let parent = parent.and_then(|found| found.parent.take());
        if let Some(parent) = parent.and_then(|parent| self.transactions.get_mut(&parent)) {
            parent.parts.remove(&handle);
        }
    }

    /// Its number may be forgotten: both halves are closed, or the link is lost.
    pub(super) fn forget(&mut self, handle: Handle) {
        self.detach(handle);
        let Some(transaction) = self.transactions.remove(&handle) else {
            return;
        };
        if let Some(link) = self.links.get_mut(&transaction.peer) {
            link.remove(transaction.key);
        }
    }
}

/// What the peer is told, if it may not know yet.
fn reason(how: Ending) -> Option<AbortReason> {
    match how {
        Ending::GivenUp => Some(AbortReason::Wanted),
        Ending::Deadline => Some(AbortReason::Deadline),
        Ending::ParentEnded => Some(AbortReason::ParentEnded),
        Ending::Completed | Ending::Aborted | Ending::Refused | Ending::LostLink => None,
    }
}
