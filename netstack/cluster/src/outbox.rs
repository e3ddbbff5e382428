//! Where the machines of a node put what they want done.

use crate::event::{Action, MembershipNotice, Notice};
use crate::ids::{Identity, Incarnation};
use crate::message::{Message, Packet};
use alloc::vec::Vec;
use darner_coherence::Epoch;

/// Actions for the environment, and the view in which they are.
pub(crate) struct Outbox<'a> {
    sender: Incarnation,
    epoch: Epoch,
    actions: &'a mut Vec<Action>,
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(sender: Incarnation, epoch: Epoch, actions: &'a mut Vec<Action>) -> Self {
        Self {
            sender,
            epoch,
            actions,
        }
    }

    pub(crate) fn set_epoch(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn send(&mut self, to: Identity, message: Message) {
        self.actions.push(Action::Send {
            to: to.node,
            packet: Packet {
                sender: self.sender,
                receiver: to.incarnation,
                epoch: self.epoch,
                message,
            },
        });
    }

    pub(crate) fn notify(&mut self, notice: MembershipNotice) {
        self.actions
            .push(Action::Notify(Notice::Membership(notice)));
    }
}
