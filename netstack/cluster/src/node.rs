//! A node: its membership, its transactions and its ports, and what passes between them.

use crate::config::Config;
use crate::event::{Action, Event};
use crate::ids::{Identity, Incarnation, Nanos};
use crate::membership::Membership;
use crate::message::{Answer, Message, Packet, Payload, PortId, Rest};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use crate::port::{NoTicket, Ports, RequestId, Ticket};
use crate::transaction::{BeginError, Closed, Handle, Opening, Transactions};
use alloc::vec::Vec;
use darner_coherence::NodeId;

/// A node of a cluster.
///
/// Each function that takes the time adds what is to be done to `actions`. The time never goes back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    membership: Membership,
    transactions: Transactions,
    ports: Ports,
    /// For when the timer is set.
    timer: Nanos,
}

impl Node {
    /// A node that has not started.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            membership: Membership::new(config),
            transactions: Transactions::new(config.limits.transactions),
            ports: Ports::new(config.me.identity(), config.limits),
            timer: Nanos::NEVER,
        }
    }

    /// Who is in the cluster.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// What is under way between nodes.
    #[must_use]
    pub fn transactions(&self) -> &Transactions {
        &self.transactions
    }

    /// Ports and proxies.
    #[must_use]
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Takes note of an event.
    pub fn handle(&mut self, now: Nanos, event: Event, actions: &mut Vec<Action>) {
        if self.membership.ended().is_some() {
            // Whoever asks something of this node has to learn that nobody answers.
            if let Event::LinkUp { peer } = event {
                actions.push(Action::Disconnect { peer });
            }
            return;
        }
        self.run(now, actions, |node, out| match event {
            Event::Started => node.membership.start(now, out),
            Event::Received { from, packet } => node.received(now, from, packet, out),
            Event::LinkUp { peer } => {
                node.transactions.link_up(peer, out);
                node.membership.link_up(now, peer, out);
                node.ports.link_up(now, peer, out);
            }
            Event::LinkDown { peer } => {
                node.transactions.link_down(peer, out);
                node.membership.link_down(peer);
                node.ports.link_down(peer);
            }
            Event::TimeOver => node.timer = Nanos::NEVER,
            Event::StoodStill => node.membership.stood_still(now),
            Event::Drain => node.membership.drain(now, out),
            Event::Leave => node.membership.leave(now, out),
        });
    }

    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// If there is no link to the peer, too much is open on it, or the parent has ended.
    pub fn begin(
        &mut self,
        now: Nanos,
        opening: Opening,
        actions: &mut Vec<Action>,
    ) -> Result<Handle, BeginError> {
        self.run(now, actions, |node, out| {
            node.transactions.begin(now, opening, out)
        })
    }

    /// Says something in a transaction; with [`Rest::Last`] it is the last.
    ///
    /// # Errors
    ///
    /// [`Closed`] if it has ended, or this node has said its last word in it.
    pub fn tell(
        &mut self,
        now: Nanos,
        handle: Handle,
        payload: Payload,
        rest: Rest,
        actions: &mut Vec<Action>,
    ) -> Result<(), Closed> {
        self.run(now, actions, |node, out| {
            node.transactions.tell(handle, payload, rest, out)
        })
    }

    /// Gives a transaction up. Its end is told at once.
    ///
    /// # Errors
    ///
    /// [`Closed`] if it has ended.
    pub fn abort(
        &mut self,
        now: Nanos,
        handle: Handle,
        actions: &mut Vec<Action>,
    ) -> Result<(), Closed> {
        self.run(now, actions, |node, out| {
            node.transactions.abort(handle, out)
        })
    }

    /// Asks a port of this or another node. The end is told by
    /// [`PortNotice::Answered`](crate::PortNotice::Answered), perhaps at once.
    pub fn put(
        &mut self,
        now: Nanos,
        port: PortId,
        deadline: Option<Nanos>,
        payload: Payload,
        actions: &mut Vec<Action>,
    ) -> RequestId {
        self.run(now, actions, |node, out| {
            node.ports.put(now, port, deadline, payload, out)
        })
    }

    /// Answers a request to a port of this node, or with [`Answer::Moved`] has it go on to where the port is now,
    /// if it was not begun.
    ///
    /// # Errors
    ///
    /// [`NoTicket`] if it was answered, or nobody waits for it any more.
    pub fn answer(
        &mut self,
        now: Nanos,
        ticket: Ticket,
        answer: Answer,
        actions: &mut Vec<Action>,
    ) -> Result<(), NoTicket> {
        self.run(now, actions, |node, out| {
            node.ports.answer(now, ticket, answer, out)
        })
    }

    /// Opens a port of this node, new or moved here.
    pub fn open_port(&mut self, port: PortId) {
        self.ports.open_port(port);
    }

    /// Closes a port of this node. What it was asked may still be answered.
    pub fn close_port(&mut self, port: PortId) {
        self.ports.close_port(port);
    }

    /// From now on what is asked of the port is sent to `to`, where it has been opened. To keep the order, first
    /// answer in order with [`Answer::Moved`] what was not begun.
    pub fn port_moved(&mut self, port: PortId, to: NodeId) {
        self.ports.port_moved(port, to);
    }

    fn received(&mut self, now: Nanos, from: NodeId, packet: Packet, out: &mut Outbox) {
        let me = self.membership.identity().incarnation;
        if packet.receiver != Incarnation::ANY && packet.receiver != me {
            return;
        }
        let from = Identity {
            node: from,
            incarnation: packet.sender,
        };
        match packet.message {
            Message::Membership(message) => {
                self.membership
                    .receive(now, from, packet.epoch, message, out);
            }
            Message::Transaction(message) => self.transactions.receive(now, from, message, out),
            // A member may be known here by its link before it is by a view.
            Message::Port(message) if self.transactions.is_linked(from) && !self.is_past(from) => {
                self.ports.receive(now, from, message, out);
            }
            Message::Port(_) => {}
        }
    }

    /// Whether it was a member: what it had asked here is forgotten, and must not be taken for new. A node that
    /// is in no view yet has forgotten nothing, and is asked by those who have heard of its first before it has.
    fn is_past(&self, who: Identity) -> bool {
        let view = self.membership.view();
        view.is_some_and(|view| view.is_past(who)) && !mutated!(PastHeard)
    }

    /// There is another view, or none any more: what was under way with those who have gone ends.
    fn members_changed(&mut self, now: Nanos, out: &mut Outbox) {
        let view = self.membership.view();
        let stays = |who: Identity| match view {
            Some(view) => view.has(who) || !self.ports.knows(who),
            None => false,
        };
        let linked = self.transactions.linked();
        let gone: Vec<Identity> = linked.filter(|&peer| !stays(peer)).collect();
        self.ports.view_changed(now, view, out);
        for peer in gone {
            self.transactions.lose(peer.node, out);
            self.ports.link_down(peer);
            self.membership.link_down(peer);
            out.push(Action::Disconnect { peer });
        }
    }

    fn set_timer(&mut self, now: Nanos, out: &mut Outbox) {
        let membership = self.membership.deadline(now);
        let others = self.transactions.deadline().min(self.ports.deadline());
        let at = membership.min(others).max(now + Nanos(1));
        // A timer that goes off too early is set again then.
        if at < self.timer {
            self.timer = at;
            out.push(Action::SetTimer { at });
        }
    }

    fn run<T>(
        &mut self,
        now: Nanos,
        actions: &mut Vec<Action>,
        first: impl FnOnce(&mut Self, &mut Outbox) -> T,
    ) -> T {
        let (epoch, ended) = (self.membership.epoch(), self.membership.ended());
        let me = self.membership.identity().incarnation;
        let mut out = Outbox::new(me, epoch, actions);
        let result = first(self, &mut out);
        self.membership.advance(now, &mut out);
        if (epoch, ended) != (self.membership.epoch(), self.membership.ended()) {
            self.members_changed(now, &mut out);
        }
        self.transactions.advance(now, &mut out);
        self.ports.advance(now, &mut out);
        self.set_timer(now, &mut out);
        result
    }
}
