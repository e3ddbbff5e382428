//! Where the state machines of a node put what they have to say.

use crate::ids::{Epoch, NodeId};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Actions for the environment, and messages of a node to itself.
pub(crate) struct Post<'a, M, A> {
    me: NodeId,
    epoch: Epoch,
    actions: &'a mut Vec<A>,
    local: VecDeque<M>,
    send: fn(NodeId, Epoch, M) -> A,
}

impl<'a, M, A> Post<'a, M, A> {
    /// Puts what is to be done into `actions`, messages to other nodes as `send` has it.
    pub(crate) fn new(
        me: NodeId,
        epoch: Epoch,
        actions: &'a mut Vec<A>,
        send: fn(NodeId, Epoch, M) -> A,
    ) -> Self {
        Self {
            me,
            epoch,
            actions,
            local: VecDeque::new(),
            send,
        }
    }

    pub(crate) fn set_epoch(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    pub(crate) fn push(&mut self, action: A) {
        self.actions.push(action);
    }

    pub(crate) fn send(&mut self, to: NodeId, message: M) {
        if to == self.me {
            self.local.push_back(message);
        } else {
            self.actions.push((self.send)(to, self.epoch, message));
        }
    }

    /// The next message of the node to itself.
    pub(crate) fn take_local(&mut self) -> Option<M> {
        self.local.pop_front()
    }
}
