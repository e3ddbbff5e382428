//! Those who use transactions and ports, and notice what must not be.

use super::world::World;
use darner_cluster::{
    Answer, Ending, Handle, Identity, Nanos, NodeId, Opening, Payload, PortFailure, PortId,
    PortNotice, RequestId, Rest, Ticket, TransactionNotice,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A transaction, as a user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    pub parent: Option<Handle>,
    /// How many messages of the peer have come.
    heard: u64,
    /// How many were said.
    said: u64,
    /// Whether the user has said its last word, and the peer its.
    closed: bool,
    peer_closed: bool,
    pub ended: Option<Ending>,
}

/// A request that has come to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Waiting {
    ticket: Ticket,
    port: PortId,
    /// Which request of which node's life it is.
    number: (u64, u64),
}

/// All users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Users {
    pub transactions: BTreeMap<(Identity, Handle), Seen>,
    /// Requests that were made, and how they ended.
    pub requests: BTreeMap<(Identity, RequestId), Option<Result<Payload, PortFailure>>>,
    /// Requests that have come and were not begun.
    pub queued: BTreeMap<u16, VecDeque<Waiting>>,
    /// Requests that were begun.
    pub begun: BTreeMap<u16, Vec<Waiting>>,
    /// All that were ever begun.
    executed: BTreeSet<(u64, u64)>,
    /// The last request of each life that was begun at each port.
    last: BTreeMap<(PortId, u64), u64>,
    /// How many requests were made, over all.
    made: u64,
    /// Where ports are.
    pub places: BTreeMap<PortId, u16>,
}

/// A number for a life.
fn life(who: Identity) -> u64 {
    u64::from(who.node.0) << 32 | who.incarnation.0
}

fn payload(words: [u64; 4]) -> Payload {
    Payload { command: 1, words }
}

impl Users {
    /// A life is over: what it knew is gone.
    pub fn died(&mut self, who: Identity) {
        self.transactions.retain(|&(node, _), _| node != who);
        self.requests.retain(|&(node, _), _| node != who);
        self.queued.remove(&who.node.0);
        self.begun.remove(&who.node.0);
        self.places.retain(|_, &mut place| place != who.node.0);
    }

    pub fn transaction(
        &mut self,
        who: Identity,
        notice: TransactionNotice,
        wrong: &mut Option<String>,
    ) {
        let handle = match notice {
            TransactionNotice::Began { handle, .. }
            | TransactionNotice::Said { handle, .. }
            | TransactionNotice::Ended { handle, .. } => handle,
        };
        let key = (who, handle);
        let known = self.transactions.get_mut(&key);
        let open = known.filter(|seen| seen.ended.is_none());
        match (notice, open) {
            (TransactionNotice::Began { parent, rest, .. }, None) => {
                let parent_open = parent.is_none_or(|parent| {
                    let parent = self.transactions.get(&(who, parent));
                    parent.is_some_and(|parent| parent.ended.is_none())
                });
                if !parent_open || self.transactions.contains_key(&key) {
                    wrong.get_or_insert(format!("{who:?}: {notice:?}"));
                }
                let seen = Seen {
                    parent,
                    heard: 1,
                    said: 0,
                    closed: false,
                    peer_closed: rest == Rest::Last,
                    ended: None,
                };
                self.transactions.insert(key, seen);
            }
            (TransactionNotice::Said { payload, rest, .. }, Some(seen)) if !seen.peer_closed => {
                if payload.words[0] != seen.heard {
                    let heard = seen.heard;
                    wrong.get_or_insert(format!("{who:?}: {notice:?} after {heard}"));
                }
                seen.heard += 1;
                seen.peer_closed = rest == Rest::Last;
            }
            (TransactionNotice::Ended { how, .. }, Some(seen)) => {
                let complete = seen.closed && seen.peer_closed;
                if complete != (how == Ending::Completed) {
                    wrong.get_or_insert(format!("{who:?}: {notice:?} of {seen:?}"));
                }
                seen.ended = Some(how);
                let parts = self.transactions.iter();
                let mut parts =
                    parts.filter(|(key, seen)| key.0 == who && seen.parent == Some(handle));
                if parts.any(|(_, seen)| seen.ended.is_none()) {
                    wrong.get_or_insert(format!("{who:?}: {notice:?} before its parts"));
                }
            }
            _ => {
                wrong.get_or_insert(format!("{who:?}: {notice:?} of no open transaction"));
            }
        }
    }

    pub fn port(&mut self, who: Identity, notice: PortNotice, wrong: &mut Option<String>) {
        match notice {
            PortNotice::Requested {
                ticket,
                port,
                payload,
                ..
            } => {
                let number = (payload.words[0], payload.words[1]);
                let waiting = Waiting {
                    ticket,
                    port,
                    number,
                };
                self.queued
                    .entry(who.node.0)
                    .or_default()
                    .push_back(waiting);
            }
            PortNotice::Cancelled { ticket } => {
                let queued = self.queued.entry(who.node.0).or_default();
                queued.retain(|waiting| waiting.ticket != ticket);
                let begun = self.begun.entry(who.node.0).or_default();
                begun.retain(|waiting| waiting.ticket != ticket);
            }
            PortNotice::Answered { request, result } => {
                // At once: the one who asks does not know its number yet.
                let known = self.requests.entry((who, request)).or_insert(None);
                if known.replace(result).is_some() {
                    wrong.get_or_insert(format!("{who:?}: {notice:?} twice"));
                }
                if let Ok(payload) = result
                    && !self
                        .executed
                        .contains(&(payload.words[0], payload.words[1]))
                {
                    wrong.get_or_insert(format!("{who:?}: {notice:?} of what was not done"));
                }
            }
        }
    }

    fn begin(&mut self, waiting: Waiting, wrong: &mut Option<String>) {
        let (life, number) = waiting.number;
        if !self.executed.insert(waiting.number) {
            wrong.get_or_insert(format!("{waiting:?} was begun twice"));
        }
        let last = self.last.entry((waiting.port, life)).or_insert(0);
        if number < *last {
            wrong.get_or_insert(format!("{waiting:?} was begun after {last}"));
        }
        *last = number;
    }
}

/// What users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    Begin {
        node: u16,
        peer: u16,
        part: bool,
        rest: Rest,
        span: Option<u64>,
    },
    /// Something in one of the open transactions.
    Tell {
        node: u16,
        which: u16,
        rest: Rest,
    },
    Abort {
        node: u16,
        which: u16,
    },
    OpenPort {
        node: u16,
        port: u16,
    },
    Put {
        node: u16,
        port: u16,
        span: Option<u64>,
    },
    /// The first request in the queue is begun.
    Work {
        node: u16,
    },
    /// One that was begun is answered.
    Reply {
        node: u16,
        which: u16,
    },
    MovePort {
        port: u16,
        to: u16,
    },
}

/// The ports of the test all began at node 0.
pub fn port_id(port: u16) -> PortId {
    PortId::new(NodeId(0), u64::from(port))
}

impl World {
    fn open_transactions(&self, node: u16) -> Vec<Handle> {
        let who = self.identity(node);
        let all = self.users.transactions.iter();
        let open = all.filter(|((owner, _), seen)| *owner == who && seen.ended.is_none());
        open.map(|((_, handle), _)| *handle).collect()
    }

    fn pick(&self, node: u16, which: u16) -> Option<Handle> {
        let open = self.open_transactions(node);
        open.get(usize::from(which) % open.len().max(1)).copied()
    }

    pub fn apply(&mut self, action: Use) {
        match action {
            Use::Begin {
                node,
                peer,
                part,
                rest,
                span,
            } => self.begin(node, peer, part, rest, span),
            Use::Tell { node, which, rest } => {
                if let Some(handle) = self.pick(node, which) {
                    self.tell(node, handle, rest);
                }
            }
            Use::Abort { node, which } => {
                if let Some(handle) = self.pick(node, which) {
                    let done = self.with(node, |node, now, out| node.abort(now, handle, out));
                    assert_ne!(done, Some(Err(darner_cluster::Closed)));
                }
            }
            Use::OpenPort { node, port } => {
                let port = port_id(port);
                if self.hosts[usize::from(node)].node.is_some()
                    && !self.users.places.contains_key(&port)
                {
                    self.users.places.insert(port, node);
                    self.with(node, |node, _, _| node.open_port(port));
                }
            }
            Use::Put { node, port, span } => self.put(node, port_id(port), span),
            Use::Work { node } => self.work(node),
            Use::Reply { node, which } => self.reply(node, which),
            Use::MovePort { port, to } => self.move_port(port_id(port), to),
        }
    }

    fn begin(&mut self, node: u16, peer: u16, part: bool, rest: Rest, span: Option<u64>) {
        if self.hosts[usize::from(node)].node.is_none() {
            return;
        }
        let who = self.identity(node);
        let parent = self.pick(node, 0).filter(|_| part);
        let deadline = span.map(|span| self.clock(node) + Nanos(span));
        let opening = Opening {
            peer: NodeId(peer),
            parent,
            deadline,
            payload: payload([0; 4]),
            rest,
        };
        let seen = Seen {
            parent,
            heard: 0,
            said: 1,
            closed: rest == Rest::Last,
            peer_closed: false,
            ended: None,
        };
        self.with_first(
            node,
            |node, now, out| node.begin(now, opening, out),
            |users, begun| {
                if let Ok(handle) = begun {
                    users.transactions.insert((who, *handle), seen);
                }
            },
        );
    }

    fn tell(&mut self, node: u16, handle: Handle, rest: Rest) {
        let key = (self.identity(node), handle);
        let Some(seen) = self.users.transactions.get_mut(&key) else {
            return;
        };
        if seen.closed {
            return;
        }
        let number = seen.said;
        seen.said += 1;
        seen.closed = rest == Rest::Last;
        let words = payload([number, 0, 0, 0]);
        self.with(node, |node, now, out| {
            node.tell(now, handle, words, rest, out)
        });
    }

    fn put(&mut self, node: u16, port: PortId, span: Option<u64>) {
        if self.hosts[usize::from(node)].node.is_none() {
            return;
        }
        let who = self.identity(node);
        self.users.made += 1;
        let words = payload([life(who), self.users.made, 0, 0]);
        let deadline = span.map(|span| self.clock(node) + Nanos(span));
        let made = self.with(node, |node, now, out| {
            node.put(now, port, deadline, words, out)
        });
        if let Some(request) = made {
            self.users.requests.entry((who, request)).or_insert(None);
        }
    }

    fn work(&mut self, node: u16) {
        let next = self
            .users
            .queued
            .get_mut(&node)
            .and_then(VecDeque::pop_front);
        if let Some(waiting) = next {
            self.users.begin(waiting, &mut self.wrong);
            self.users.begun.entry(node).or_default().push(waiting);
        }
    }

    fn reply(&mut self, node: u16, which: u16) {
        let begun = self.users.begun.entry(node).or_default();
        if begun.is_empty() {
            return;
        }
        let waiting = begun.remove(usize::from(which) % begun.len());
        let (life, number) = waiting.number;
        let answer = Answer::Reply(payload([life, number, 0, 0]));
        self.with(node, |node, now, out| {
            node.answer(now, waiting.ticket, answer, out)
        });
    }

    fn move_port(&mut self, port: PortId, to: u16) {
        let Some(&from) = self.users.places.get(&port) else {
            return;
        };
        if from == to || self.hosts[usize::from(to)].node.is_none() {
            return;
        }
        self.users.places.insert(port, to);
        self.with(to, |node, _, _| node.open_port(port));
        let queued = self.users.queued.entry(from).or_default();
        let (goes, stays) = queued.iter().partition(|waiting| waiting.port == port);
        *queued = stays;
        let goes: VecDeque<Waiting> = goes;
        for waiting in goes {
            let moved = Answer::Moved { to: NodeId(to) };
            self.with(from, |node, now, out| {
                node.answer(now, waiting.ticket, moved, out)
            });
        }
        self.with(from, |node, _, _| node.port_moved(port, NodeId(to)));
    }

    /// All users end what they have begun, as far as they can now.
    pub fn finish_all(&mut self) {
        for node in self.running() {
            for handle in self.open_transactions(node) {
                self.tell(node, handle, Rest::Last);
            }
            while self
                .users
                .queued
                .get(&node)
                .is_some_and(|queue| !queue.is_empty())
            {
                self.work(node);
            }
            while self
                .users
                .begun
                .get(&node)
                .is_some_and(|begun| !begun.is_empty())
            {
                self.reply(node, 0);
            }
        }
    }

    /// Whether all that was begun has ended, and nothing of it is left.
    pub fn is_finished(&self) -> Result<(), String> {
        let open = self
            .users
            .transactions
            .iter()
            .find(|(_, seen)| seen.ended.is_none());
        if let Some(open) = open {
            return Err(format!("a transaction did not end: {open:?}"));
        }
        let open = self
            .users
            .requests
            .iter()
            .find(|(_, result)| result.is_none());
        if let Some(open) = open {
            return Err(format!("a request did not end: {open:?}"));
        }
        for node in self.running() {
            let machine = self.hosts[usize::from(node)]
                .node
                .as_ref()
                .expect("it runs");
            let left = (
                machine.transactions().len(),
                machine.ports().pending(),
                machine.ports().open(),
            );
            if left != (0, 0, 0) {
                return Err(format!("node {node} keeps {left:?}"));
            }
        }
        Ok(())
    }
}
