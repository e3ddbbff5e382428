//! Where the state machines of a node put what they want done.

use crate::event::{Action, Failure, Violation};
use crate::ids::{Epoch, NodeId, PageIndex, Token};
use crate::message::{Message, Packet};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What a node tells itself.
pub(crate) enum Local {
    /// What it would also tell another.
    Message(Message),
    /// To the agent: the node is not the page's home any more.
    HomeLeft { page: PageIndex, to: NodeId },
    /// To the agent: the node is the page's home now.
    HomeCame { page: PageIndex },
}

/// Actions for the environment, and messages of a node to itself.
pub(crate) struct Outbox<'a> {
    me: NodeId,
    epoch: Epoch,
    actions: &'a mut Vec<Action>,
    local: VecDeque<Local>,
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(me: NodeId, epoch: Epoch, actions: &'a mut Vec<Action>) -> Self {
        Self {
            me,
            epoch,
            actions,
            local: VecDeque::new(),
        }
    }

    pub(crate) fn set_epoch(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn send(&mut self, to: NodeId, message: Message) {
        if to == self.me {
            self.local.push_back(Local::Message(message));
        } else {
            self.actions.push(Action::Send {
                to,
                packet: Packet {
                    epoch: self.epoch,
                    message,
                },
            });
        }
    }

    /// Sends what may be lost.
    pub(crate) fn hint(&mut self, to: NodeId, message: Message) {
        let epoch = self.epoch;
        let packet = Packet { epoch, message };
        self.actions.push(Action::Hint { to, packet });
    }

    pub(crate) fn tell(&mut self, local: Local) {
        self.local.push_back(local);
    }

    pub(crate) fn wake(&mut self, token: Token, result: Result<(), Failure>) {
        self.actions.push(Action::Wake { token, result });
    }

    pub(crate) fn refuse(&mut self, from: NodeId, why: Violation) {
        self.actions.push(Action::Refused { from, why });
    }

    /// The next message of the node to itself.
    pub(crate) fn take_local(&mut self) -> Option<Local> {
        self.local.pop_front()
    }
}
