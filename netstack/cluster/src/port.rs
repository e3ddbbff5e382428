//! Ports on other nodes: proxies, which keep a copy of each request until it has an answer, and the other end.
//!
//! A request to a port of another node is kept here until the answer comes, or it is sure that none will.
//! **Each request ends exactly once at the node that made it**, with a reply or a [`PortFailure`], and is **begun at
//! most once**, wherever the port is.
//!
//! Between two nodes there is a *session* in each direction: it outlives links. The proxies' end counts requests, the ports'
//! end counts answers and keeps each until it is known to have arrived. When there is a new link, the proxies' end
//! says how many answers it has got, and says all requests again that have none: the ports' end says the other answers again, and takes no
//! request whose number it has seen. A new life of either node is a new session; what the old one had ends.
//!
//! A port may move to another node. What it had not begun is answered with its new place, and the proxy sends its copy there. It
//! also remembers the place. Requests keep their order for each port and node, moves included: those that come back from the
//! old place, and those that are made meanwhile, wait for each other, and then go on in order. Should the port itself be back at the
//! old place by then, what was sent before its sender knew that it had left comes back all the same. Requests that were begun at the old place are answered from there.
//!
//! A node that dies takes along what was asked of it: the proxies report [`PortFailure::NodeDied`], for it may have been done.
//! Whoever began something for a node that died, or that waits no longer, is told by [`PortNotice::Cancelled`].
//!
//! | a request is | next |
//! |---|---|
//! | held (older ones are coming back) | sent, when they have; failed at its deadline |
//! | sent, no link | sent again when there is one; failed at its deadline, or when the node dies |
//! | answered: reply, no port, full, dropped | ended |
//! | answered: moved | sent to the other node; failed after [`MOST_MOVES`] moves |
//! | past its deadline | ended; the port is told, and its answer will be ignored |

mod proxy;
mod server;

use crate::config::Limits;
use crate::event::{Action, Notice};
use crate::ids::{Identity, Nanos};
use crate::message::{Message, Payload, PortId, PortMessage};
use crate::outbox::Outbox;
use crate::view::View;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use darner_coherence::NodeId;
use proxy::Proxies;
use server::Server;

/// How often a request follows a port that moves.
pub const MOST_MOVES: u8 = 16;

/// A request of this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A request of some node to a port of this one, to be answered once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// Who asked.
    pub client: Identity,
    /// Counts its requests to this node.
    pub sequence: u64,
}

/// What a node tells its user about ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortNotice {
    /// A port of this node is asked for something. Answer once, or let it move on.
    Requested {
        /// The request.
        ticket: Ticket,
        /// The port.
        port: PortId,
        /// What.
        payload: Payload,
        /// When nobody waits for the answer any more.
        deadline: Option<Nanos>,
    },
    /// Nobody waits for the answer any more.
    Cancelled {
        /// The request.
        ticket: Ticket,
    },
    /// A request of this node has ended. This is the last that is told of it.
    Answered {
        /// The request.
        request: RequestId,
        /// How.
        result: Result<Payload, PortFailure>,
    },
}

/// Why there is no reply to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortFailure {
    /// It took too long. It may have been done, or may yet be.
    Deadline,
    /// The node with the port is no member any more. It may have been done.
    NodeDied,
    /// There is no such port.
    NoPort,
    /// Too much is under way. It was not done.
    Full,
    /// Whoever had it dropped it.
    Dropped,
    /// The port moved too often. It was not done.
    MovedTooOften,
}

/// A ticket is nobody's: it has been answered or cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoTicket;

/// The ports of a node, and its proxies of ports elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ports {
    me: Identity,
    members: BTreeSet<Identity>,
    proxies: Proxies,
    server: Server,
}

/// What is said on links, and to this node itself.
struct Wire<'a, 'b> {
    me: Identity,
    local: VecDeque<PortMessage>,
    out: &'a mut Outbox<'b>,
}

impl Wire<'_, '_> {
    fn say(&mut self, to: Identity, message: PortMessage) {
        if to == self.me {
            self.local.push_back(message);
        } else {
            self.out.send(to, Message::Port(message));
        }
    }

    fn notify(&mut self, notice: PortNotice) {
        self.out.push(Action::Notify(Notice::Port(notice)));
    }
}

impl Ports {
    /// No ports, no requests.
    #[must_use]
    pub fn new(me: Identity, limits: Limits) -> Self {
        Self {
            me,
            members: BTreeSet::new(),
            proxies: Proxies::new(me, limits),
            server: Server::new(me.node, limits),
        }
    }

    /// How many requests of this node have not ended.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.proxies.pending()
    }

    /// How many requests to ports of this node have not been answered.
    #[must_use]
    pub fn open(&self) -> usize {
        self.server.open()
    }

    /// Whether it was a member when members last changed.
    pub(crate) fn knows(&self, who: Identity) -> bool {
        self.members.contains(&who)
    }

    pub(crate) fn deadline(&self) -> Nanos {
        self.proxies.deadline()
    }

    /// Does something, and then what this node says to itself for it.
    fn run<T>(
        &mut self,
        now: Nanos,
        out: &mut Outbox,
        first: impl FnOnce(&mut Self, &mut Wire) -> T,
    ) -> T {
        let mut wire = Wire {
            me: self.me,
            local: VecDeque::new(),
            out,
        };
        let result = first(self, &mut wire);
        self.proxies.release(now, &self.members, &mut wire);
        while let Some(message) = wire.local.pop_front() {
            self.dispatch(now, self.me, message, &mut wire);
            self.proxies.release(now, &self.members, &mut wire);
        }
        result
    }

    fn dispatch(&mut self, now: Nanos, from: Identity, message: PortMessage, wire: &mut Wire) {
        match message {
            PortMessage::Request {
                sequence,
                received,
                port,
                allowance,
                payload,
            } => {
                let deadline = allowance.map(|allowance| now + allowance);
                let request = server::Request {
                    received,
                    port,
                    deadline,
                    payload,
                };
                self.server.received(from, received);
                self.server.request(from, sequence, request, wire);
            }
            PortMessage::Answer {
                number,
                sequence,
                answer,
            } => {
                self.proxies.answered(from, number, sequence, answer, wire);
            }
            PortMessage::Cancel { sequence } => self.server.cancel(from, sequence, wire),
            PortMessage::Resume { received } => self.server.resume(from, received, wire),
            PortMessage::Received { received } => self.server.received(from, received),
        }
    }

    pub(crate) fn receive(
        &mut self,
        now: Nanos,
        from: Identity,
        message: PortMessage,
        out: &mut Outbox,
    ) {
        self.run(now, out, |ports, wire| {
            ports.dispatch(now, from, message, wire)
        });
    }

    /// Opens a port of this node, new or moved here.
    pub(crate) fn open_port(&mut self, port: PortId) {
        self.server.open_port(port);
    }

    /// Closes a port of this node. What it has been asked and has not answered can still be answered.
    pub(crate) fn close_port(&mut self, port: PortId) {
        self.server.close_port(port);
    }

    /// From now on the port is at `to`, where it has been opened.
    pub(crate) fn port_moved(&mut self, port: PortId, to: NodeId) {
        // The proxies are not told: their requests that are still under way would be overtaken.
        self.server.port_moved(port, to);
    }

    pub(crate) fn put(
        &mut self,
        now: Nanos,
        port: PortId,
        deadline: Option<Nanos>,
        payload: Payload,
        out: &mut Outbox,
    ) -> RequestId {
        self.run(now, out, |ports, wire| {
            ports
                .proxies
                .put(now, port, deadline, payload, &ports.members, wire)
        })
    }

    pub(crate) fn answer(
        &mut self,
        now: Nanos,
        ticket: Ticket,
        answer: crate::message::Answer,
        out: &mut Outbox,
    ) -> Result<(), NoTicket> {
        self.run(now, out, |ports, wire| {
            ports.server.answer(ticket, answer, wire)
        })
    }

    pub(crate) fn link_up(&mut self, now: Nanos, peer: Identity, out: &mut Outbox) {
        self.run(now, out, |ports, wire| {
            ports.proxies.link_up(now, peer, wire)
        });
    }

    pub(crate) fn link_down(&mut self, peer: Identity) {
        self.proxies.link_down(peer);
    }

    /// The members are these; what others had ends.
    pub(crate) fn view_changed(&mut self, now: Nanos, view: Option<&View>, out: &mut Outbox) {
        let members = view.into_iter().flat_map(|view| &view.members);
        self.members = members.map(|member| member.identity()).collect();
        self.run(now, out, |ports, wire| {
            ports.proxies.keep(&ports.members, wire);
            ports.server.keep(view, wire);
        });
    }

    /// Ends what has taken too long.
    pub(crate) fn advance(&mut self, now: Nanos, out: &mut Outbox) {
        self.run(now, out, |ports, wire| ports.proxies.advance(now, wire));
    }
}

/// Places of ports that are not where they began, as many as there is room for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Places {
    known: BTreeMap<PortId, NodeId>,
    capacity: usize,
}

impl Places {
    fn of(&self, port: PortId) -> NodeId {
        self.known.get(&port).copied().unwrap_or(port.birthplace())
    }

    fn learn(&mut self, port: PortId, place: NodeId) {
        self.known.remove(&port);
        if place == port.birthplace() || self.capacity == 0 {
            return;
        }
        if self.known.len() >= self.capacity {
            self.known.pop_first();
        }
        self.known.insert(port, place);
    }
}
