//! The ports' end: what was asked of this node's ports.

use super::{NoTicket, PortNotice, Ticket, Wire};
use crate::config::Limits;
use crate::ids::{Identity, Nanos};
use crate::message::{Answer, Payload, PortId, PortMessage};
use crate::mutants::mutated;
use crate::view::View;
use alloc::collections::{BTreeMap, VecDeque};
use darner_coherence::NodeId;

/// Where a port is that was here once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Here,
    At(NodeId),
}

/// The session with a node that asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Client {
    /// The last request that has come.
    seen: u64,
    /// Requests that have no answer, and what port they are to.
    open: BTreeMap<u64, PortId>,
    /// How many answers were given.
    answered: u64,
    /// The last of them, which may not have arrived.
    answers: VecDeque<PortMessage>,
    /// For each port: the last of these that said that it has moved.
    moved: BTreeMap<PortId, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Server {
    me: NodeId,
    limits: Limits,
    ports: BTreeMap<PortId, Place>,
    clients: BTreeMap<Identity, Client>,
}

/// What a request says.
pub(super) struct Request {
    /// How many answers its sender had got when it made the request.
    pub(super) received: u64,
    pub(super) port: PortId,
    pub(super) deadline: Option<Nanos>,
    pub(super) payload: Payload,
}

impl Client {
    fn answer(
        &mut self,
        to: Identity,
        sequence: u64,
        port: PortId,
        answer: Answer,
        wire: &mut Wire,
    ) {
        self.answered += 1;
        if matches!(answer, Answer::Moved { .. }) {
            self.moved.insert(port, self.answered);
        }
        let message = PortMessage::Answer {
            number: self.answered,
            sequence,
            answer,
        };
        self.answers.push_back(message);
        wire.say(to, message);
    }
}

impl Server {
    pub(super) fn new(me: NodeId, limits: Limits) -> Self {
        Self {
            me,
            limits,
            ports: BTreeMap::new(),
            clients: BTreeMap::new(),
        }
    }

    pub(super) fn open(&self) -> usize {
        self.clients.values().map(|client| client.open.len()).sum()
    }

    pub(super) fn open_port(&mut self, port: PortId) {
        self.ports.insert(port, Place::Here);
    }

    pub(super) fn close_port(&mut self, port: PortId) {
        self.ports.remove(&port);
    }

    pub(super) fn port_moved(&mut self, port: PortId, to: NodeId) {
        self.ports.insert(port, Place::At(to));
    }

    pub(super) fn request(
        &mut self,
        from: Identity,
        sequence: u64,
        request: Request,
        wire: &mut Wire,
    ) {
        let client = self.clients.entry(from).or_default();
        if sequence <= client.seen && !mutated!(RequestTakenTwice) {
            return;
        }
        client.seen = sequence;
        let full = client.open.len() >= self.limits.requests;
        let moved = client.moved.get(&request.port);
        // The port has gone and is back: what was sent before this one is still on its way.
        let overtakes = moved.is_some_and(|&moved| request.received < moved)
            && !mutated!(OvertakesWhatCameBack);
        let answer = match self.ports.get(&request.port) {
            None => Answer::NoPort,
            Some(&Place::At(to)) => Answer::Moved { to },
            Some(Place::Here) if overtakes => Answer::Moved { to: self.me },
            Some(Place::Here) if full => Answer::Full,
            Some(Place::Here) => {
                client.open.insert(sequence, request.port);
                return wire.notify(PortNotice::Requested {
                    ticket: Ticket {
                        client: from,
                        sequence,
                    },
                    port: request.port,
                    payload: request.payload,
                    deadline: request.deadline,
                });
            }
        };
        client.answer(from, sequence, request.port, answer, wire);
    }

    pub(super) fn answer(
        &mut self,
        ticket: Ticket,
        answer: Answer,
        wire: &mut Wire,
    ) -> Result<(), NoTicket> {
        let client = self.clients.get_mut(&ticket.client).ok_or(NoTicket)?;
        let port = client.open.remove(&ticket.sequence).ok_or(NoTicket)?;
        client.answer(ticket.client, ticket.sequence, port, answer, wire);
        Ok(())
    }

    pub(super) fn cancel(&mut self, from: Identity, sequence: u64, wire: &mut Wire) {
        let client = self.clients.get_mut(&from);
        if client.is_some_and(|client| client.open.remove(&sequence).is_some()) {
            let ticket = Ticket {
                client: from,
                sequence,
            };
            wire.notify(PortNotice::Cancelled { ticket });
        }
    }

    /// So many answers have arrived.
    pub(super) fn received(&mut self, from: Identity, received: u64) {
        let Some(client) = self.clients.get_mut(&from) else {
            return;
        };
        let kept = client.answered.saturating_sub(received);
        while client.answers.len() as u64 > kept {
            client.answers.pop_front();
        }
        client.moved.retain(|_, &mut moved| moved > received);
    }

    /// So many answers have arrived, and no more will by themselves.
    pub(super) fn resume(&mut self, from: Identity, received: u64, wire: &mut Wire) {
        self.received(from, received);
        let Some(client) = self.clients.get(&from) else {
            return;
        };
        if mutated!(AnswersForgotten) {
            return;
        }
        for &answer in &client.answers {
            wire.say(from, answer);
        }
    }

    /// Forgets all clients that were members. One that is none may be in a view that is yet to come.
    pub(super) fn keep(&mut self, view: Option<&View>, wire: &mut Wire) {
        self.clients.retain(|&client, session| {
            let stays = view.is_some_and(|view| !view.is_past(client));
            for &sequence in session.open.keys().filter(|_| !stays) {
                let ticket = Ticket { client, sequence };
                wire.notify(PortNotice::Cancelled { ticket });
            }
            stays
        });
    }
}
