//! One link: which transactions are on it, and what arrives on it.

use super::{Beginner, Ending, Half, Handle, State, TransactionNotice, Transactions, told};
use crate::ids::{Identity, Nanos};
use crate::message::{
    AbortReason, Message, Origin, Payload, Rest, Step, TransactionId, TransactionMessage,
};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use darner_coherence::NodeId;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Link {
    peer: Identity,
    handles: BTreeMap<(Beginner, TransactionId), Handle>,
    /// The last number that this node has used, and the last that the peer has.
    ours: TransactionId,
    theirs: TransactionId,
}

impl Link {
    fn new(peer: Identity) -> Self {
        Self {
            peer,
            handles: BTreeMap::new(),
            ours: TransactionId(0),
            theirs: TransactionId(0),
        }
    }

    pub(super) fn peer(&self) -> Identity {
        self.peer
    }

    pub(super) fn len(&self) -> usize {
        self.handles.len()
    }

    pub(super) fn next_id(&mut self) -> TransactionId {
        self.ours = TransactionId(self.ours.0 + 1);
        self.ours
    }

    pub(super) fn insert(&mut self, key: (Beginner, TransactionId), handle: Handle) {
        self.handles.insert(key, handle);
    }

    pub(super) fn remove(&mut self, key: (Beginner, TransactionId)) {
        self.handles.remove(&key);
    }
}

impl Transactions {
    /// There is a link to `peer`. If there was one, it is lost.
    pub(crate) fn link_up(&mut self, peer: Identity, out: &mut Outbox) {
        self.lose(peer.node, out);
        self.links.insert(peer.node, Link::new(peer));
    }

    /// There is no link to `peer` any more.
    pub(crate) fn link_down(&mut self, peer: Identity, out: &mut Outbox) {
        if self
            .links
            .get(&peer.node)
            .is_some_and(|link| link.peer == peer)
        {
            self.lose(peer.node, out);
        }
    }

    /// All transactions with `node` end.
    pub(crate) fn lose(&mut self, node: NodeId, out: &mut Outbox) {
        let Some(link) = self.links.remove(&node) else {
            return;
        };
        for handle in link.handles.into_values().collect::<Vec<_>>() {
            self.end(handle, Ending::LostLink, out);
        }
    }

    /// The nodes that there are links to.
    pub(crate) fn linked(&self) -> impl Iterator<Item = Identity> {
        self.links.values().map(Link::peer)
    }

    /// Whether there is a link to it.
    pub(crate) fn is_linked(&self, who: Identity) -> bool {
        self.links
            .get(&who.node)
            .is_some_and(|link| link.peer == who)
    }

    pub(crate) fn receive(
        &mut self,
        now: Nanos,
        from: Identity,
        message: TransactionMessage,
        out: &mut Outbox,
    ) {
        let Some(link) = self.links.get(&from.node).filter(|link| link.peer == from) else {
            return;
        };
        let key = (Beginner::of_received(message.origin), message.id);
        let known = link.handles.get(&key).copied();
        match (message.step, known) {
            (
                Step::Create {
                    parent,
                    allowance,
                    payload,
                    rest,
                },
                None,
            ) if key.0 == Beginner::Peer => {
                let deadline = allowance.map(|allowance| now + allowance);
                self.create(from, message.id, parent, deadline, payload, rest, out);
            }
            (Step::Create { .. }, _) | (_, None) => {}
            (Step::Data { payload }, Some(handle)) => self.said(handle, payload, Rest::More, out),
            (Step::End { payload }, Some(handle)) => self.said(handle, payload, Rest::Last, out),
            (Step::Abort { why }, Some(handle)) => self.aborted(handle, why, out),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    fn create(
        &mut self,
        from: Identity,
        id: TransactionId,
        above: Option<(TransactionId, Origin)>,
        deadline: Option<Nanos>,
        payload: Payload,
        rest: Rest,
        out: &mut Outbox,
    ) {
        let Some(link) = self.links.get_mut(&from.node) else {
            return;
        };
        if id <= link.theirs && !mutated!(NumberUsedTwice) {
            return;
        }
        link.theirs = id;
        let parent = above.map(|(id, origin)| (Beginner::of_received(origin), id));
        let parent = parent.map(|key| link.handles.get(&key).copied());
        let why = match parent {
            _ if link.len() >= self.limit => Some(AbortReason::Full),
            Some(None) => Some(AbortReason::ParentEnded),
            Some(Some(parent)) if !self.is_open(parent) => Some(AbortReason::ParentEnded),
            _ => None,
        };
        if let Some(why) = why.filter(|_| !mutated!(OrphansTaken)) {
            let message = TransactionMessage {
                id,
                origin: Origin::Receiver,
                step: Step::Abort { why },
            };
            return out.send(from, Message::Transaction(message));
        }
        let parent = parent.flatten();
        let state = State::Open {
            ours: Half::Open,
            theirs: Half::after(rest),
        };
        let handle = self.add(from.node, (Beginner::Peer, id), parent, deadline, state);
        let began = TransactionNotice::Began {
            handle,
            peer: from,
            parent,
            payload,
            rest,
        };
        told(began, out);
    }

    fn is_open(&self, handle: Handle) -> bool {
        let found = self.transactions.get(&handle);
        found.is_some_and(|found| matches!(found.state, State::Open { .. }))
    }

    fn said(&mut self, handle: Handle, payload: Payload, rest: Rest, out: &mut Outbox) {
        let Some(transaction) = self.transactions.get_mut(&handle) else {
            return;
        };
        let State::Open { ours, theirs } = &mut transaction.state else {
            if rest == Rest::Last {
                self.forget(handle);
            }
            return;
        };
        if *theirs == Half::Closed {
            return;
        }
        *theirs = Half::after(rest);
        let ended = (*ours, *theirs) == (Half::Closed, Half::Closed);
        let said = TransactionNotice::Said {
            handle,
            payload,
            rest,
        };
        told(said, out);
        if ended {
            self.end(handle, Ending::Completed, out);
        }
    }

    fn aborted(&mut self, handle: Handle, why: AbortReason, out: &mut Outbox) {
        let Some(transaction) = self.transactions.get_mut(&handle) else {
            return;
        };
        let State::Open { ours, theirs } = &mut transaction.state else {
            if mutated!(EndToldTwice) {
                let how = Ending::Aborted;
                told(TransactionNotice::Ended { handle, how }, out);
            }
            return self.forget(handle);
        };
        *theirs = Half::Closed;
        if core::mem::replace(ours, Half::Closed) == Half::Open && !mutated!(AbortNotAnswered) {
            let why = AbortReason::Acknowledged;
            self.say(handle, Step::Abort { why }, out);
        }
        let how = match why {
            AbortReason::Wanted | AbortReason::Acknowledged => Ending::Aborted,
            AbortReason::Deadline => Ending::Deadline,
            AbortReason::ParentEnded => Ending::ParentEnded,
            AbortReason::Full => Ending::Refused,
        };
        self.end(handle, how, out);
    }
}
