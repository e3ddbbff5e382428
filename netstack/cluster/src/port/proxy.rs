//! The proxies' end: what this node has asked of ports elsewhere.

use super::{MOST_MOVES, Places, PortFailure, PortNotice, RequestId, Wire};
use crate::config::Limits;
use crate::ids::{Identity, Nanos};
use crate::message::{Answer, Payload, PortId, PortMessage};
use crate::mutants::mutated;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use darner_coherence::NodeId;

/// After so many answers the other side is told that they have come, if no request has said so.
const UNTOLD: u64 = 32;

/// The local copy of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Copy {
    port: PortId,
    payload: Payload,
    deadline: Option<Nanos>,
    moves: u8,
    /// To whom it was sent, and its number there. None while it is held.
    sent: Option<(Identity, u64)>,
    /// How many answers had come from there by then.
    received: u64,
}

/// The session with a node that is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Session {
    /// How many requests were sent.
    sent: u64,
    /// Those without an answer.
    waiting: BTreeMap<u64, RequestId>,
    /// How many answers have come.
    received: u64,
    /// How many of them the other side knows to have come.
    told: u64,
}

/// Requests that come back from where a port was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Returning {
    from: Identity,
    /// The first and the last of them that are not back.
    first: u64,
    last: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Proxies {
    limits: Limits,
    last: RequestId,
    copies: BTreeMap<RequestId, Copy>,
    deadlines: BTreeSet<(Nanos, RequestId)>,
    sessions: BTreeMap<Identity, Session>,
    linked: BTreeSet<Identity>,
    places: Places,
    returning: BTreeMap<PortId, Returning>,
    /// Held, in order.
    held: BTreeSet<RequestId>,
}

impl Proxies {
    pub(super) fn new(me: Identity, limits: Limits) -> Self {
        Self {
            limits,
            last: RequestId(0),
            copies: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            sessions: BTreeMap::new(),
            linked: BTreeSet::from([me]),
            places: Places {
                known: BTreeMap::new(),
                capacity: limits.places,
            },
            returning: BTreeMap::new(),
            held: BTreeSet::new(),
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.copies.len()
    }

    pub(super) fn deadline(&self) -> Nanos {
        self.deadlines.first().map_or(Nanos::NEVER, |&(at, _)| at)
    }

    pub(super) fn put(
        &mut self,
        now: Nanos,
        port: PortId,
        deadline: Option<Nanos>,
        payload: Payload,
        members: &BTreeSet<Identity>,
        wire: &mut Wire,
    ) -> RequestId {
        self.last = RequestId(self.last.0 + 1);
        let request = self.last;
        let copy = Copy {
            port,
            payload,
            deadline,
            moves: 0,
            sent: None,
            received: 0,
        };
        self.copies.insert(request, copy);
        if let Some(at) = deadline {
            self.deadlines.insert((at, request));
        }
        if self.returning.contains_key(&port) && !mutated!(OvertakesReturning) {
            self.held.insert(request);
        } else {
            let place = self.places.of(port);
            self.send(now, request, place, members, wire);
        }
        request
    }

    /// Sends a request for the first time to `place`.
    fn send(
        &mut self,
        now: Nanos,
        request: RequestId,
        place: NodeId,
        members: &BTreeSet<Identity>,
        wire: &mut Wire,
    ) {
        let Some(&to) = members.iter().find(|member| member.node == place) else {
            return self.finish(request, Err(PortFailure::NodeDied), wire);
        };
        let session = self.sessions.entry(to).or_default();
        if session.waiting.len() >= self.limits.requests {
            return self.finish(request, Err(PortFailure::Full), wire);
        }
        session.sent += 1;
        let sequence = session.sent;
        session.waiting.insert(sequence, request);
        if let Some(copy) = self.copies.get_mut(&request) {
            copy.sent = Some((to, sequence));
            copy.received = session.received;
        }
        if self.linked.contains(&to) {
            self.say(now, to, sequence, request, wire);
        }
    }

    fn say(
        &mut self,
        now: Nanos,
        to: Identity,
        sequence: u64,
        request: RequestId,
        wire: &mut Wire,
    ) {
        let session = self.sessions.entry(to).or_default();
        session.told = session.received;
        let Some(copy) = self.copies.get(&request) else {
            return;
        };
        let message = PortMessage::Request {
            sequence,
            received: copy.received,
            port: copy.port,
            allowance: copy.deadline.map(|deadline| deadline.since(now)),
            payload: copy.payload,
        };
        wire.say(to, message);
    }

    /// On a new link all is said again that has no answer.
    pub(super) fn link_up(&mut self, now: Nanos, peer: Identity, wire: &mut Wire) {
        self.linked.retain(|linked| linked.node != peer.node);
        self.linked.insert(peer);
        let Some(session) = self.sessions.get_mut(&peer) else {
            return;
        };
        session.told = session.received;
        let received = session.received;
        wire.say(peer, PortMessage::Resume { received });
        if mutated!(NotSentAgain) {
            return;
        }
        let waiting: Vec<_> = session.waiting.clone().into_iter().collect();
        for (sequence, request) in waiting {
            self.say(now, peer, sequence, request, wire);
        }
    }

    pub(super) fn link_down(&mut self, peer: Identity) {
        self.linked.remove(&peer);
    }

    pub(super) fn answered(
        &mut self,
        from: Identity,
        number: u64,
        sequence: u64,
        answer: Answer,
        wire: &mut Wire,
    ) {
        let Some(session) = self.sessions.get_mut(&from) else {
            return;
        };
        // Those after a gap come again when the other side knows of it.
        if number != session.received + 1 {
            return;
        }
        session.received = number;
        let waiting = session.waiting.remove(&sequence);
        if session.received >= session.told + UNTOLD {
            session.told = session.received;
            let received = session.received;
            wire.say(from, PortMessage::Received { received });
        }
        let Some(request) = waiting else {
            return;
        };
        let result = match answer {
            Answer::Reply(payload) => Ok(payload),
            Answer::NoPort => Err(PortFailure::NoPort),
            Answer::Full => Err(PortFailure::Full),
            Answer::Dropped => Err(PortFailure::Dropped),
            Answer::Moved { to } => {
                return self.moved(from, sequence, request, to, wire);
            }
        };
        self.finish(request, result, wire);
    }

    /// A request comes back, and is held until all have that were sent after it.
    fn moved(
        &mut self,
        from: Identity,
        sequence: u64,
        request: RequestId,
        to: NodeId,
        wire: &mut Wire,
    ) {
        let Some(copy) = self.copies.get_mut(&request) else {
            return;
        };
        copy.moves += 1;
        copy.sent = None;
        let port = copy.port;
        let too_often = copy.moves > MOST_MOVES && !mutated!(FollowsForever);
        self.places.learn(port, to);
        // Whatever was sent to the port there after this one comes back too.
        let session = self.sessions.get(&from);
        let mut later = session
            .into_iter()
            .flat_map(|session| session.waiting.range(sequence..));
        let same = |(_, request): &(&u64, &RequestId)| {
            let copy = self.copies.get(request);
            copy.is_some_and(|copy| copy.port == port)
        };
        if let Some((&last, _)) = later.rfind(same) {
            let first = sequence;
            self.returning.insert(port, Returning { from, first, last });
        }
        if too_often {
            self.finish(request, Err(PortFailure::MovedTooOften), wire);
        } else {
            self.held.insert(request);
        }
    }

    /// Sends what is held, in order, if nothing comes back any more that was sent where it was.
    pub(super) fn release(&mut self, now: Nanos, members: &BTreeSet<Identity>, wire: &mut Wire) {
        if self.returning.is_empty() && self.held.is_empty() {
            return;
        }
        let (sessions, copies) = (&self.sessions, &self.copies);
        self.returning.retain(|&port, returning| {
            let session = sessions.get(&returning.from);
            let range = returning.first..=returning.last;
            let mut waiting = session
                .into_iter()
                .flat_map(|session| session.waiting.range(range.clone()));
            waiting.any(|(_, request)| copies.get(request).is_some_and(|copy| copy.port == port))
        });
        for request in self.held.clone() {
            let Some(copy) = self.copies.get(&request) else {
                self.held.remove(&request);
                continue;
            };
            let port = copy.port;
            if !self.returning.contains_key(&port) {
                self.held.remove(&request);
                let place = self.places.of(port);
                self.send(now, request, place, members, wire);
            }
        }
    }

    /// Fails what was sent to nodes that are not among these.
    pub(super) fn keep(&mut self, members: &BTreeSet<Identity>, wire: &mut Wire) {
        let gone = self.sessions.keys().filter(|node| !members.contains(node));
        for node in gone.copied().collect::<Vec<_>>() {
            let session = self.sessions.remove(&node).unwrap_or_default();
            for request in session.waiting.into_values() {
                if !mutated!(DeathNotNoticed) {
                    self.finish(request, Err(PortFailure::NodeDied), wire);
                }
            }
        }
        let places = &mut self.places.known;
        places.retain(|_, place| members.iter().any(|member| member.node == *place));
    }

    /// Ends what has taken too long.
    pub(super) fn advance(&mut self, now: Nanos, wire: &mut Wire) {
        while let Some(&(at, request)) = self.deadlines.first() {
            if now < at || mutated!(WaitsForever) {
                return;
            }
            let sent = self.copies.get(&request).and_then(|copy| copy.sent);
            if let Some((to, sequence)) = sent {
                if let Some(session) = self.sessions.get_mut(&to) {
                    session.waiting.remove(&sequence);
                }
                if self.linked.contains(&to) {
                    wire.say(to, PortMessage::Cancel { sequence });
                }
            }
            self.finish(request, Err(PortFailure::Deadline), wire);
        }
    }

    fn finish(
        &mut self,
        request: RequestId,
        result: Result<Payload, PortFailure>,
        wire: &mut Wire,
    ) {
        self.held.remove(&request);
        let Some(copy) = self.copies.remove(&request) else {
            return;
        };
        if let Some(at) = copy.deadline {
            self.deadlines.remove(&(at, request));
        }
        wire.notify(PortNotice::Answered { request, result });
    }
}
