//! Those who use transactions and ports, on nodes that agree on views themselves, and what must be true of it.
//!
//! A thread that begins a transaction, or asks a port, waits for its end. The other side says as much as it, then its
//! last word; now and then it begins a part of its own, or gives up.

use super::threads::State;
use super::{Happening, World};
use crate::oracle::Wrong;
use crate::time::MICROSECOND;
use crate::work::{Talk, port_id};
use darner_cluster::{
    Answer, Ending, Handle, Identity, Nanos, Opening, Payload, PortId, PortNotice, RequestId, Rest,
    Ticket, TransactionNotice,
};
use darner_coherence::NodeId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A transaction that has not ended, as one side sees it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    parent: Option<Handle>,
    /// How many messages of the peer have come, and how many were said.
    heard: u64,
    said: u64,
    /// How many more are to be said.
    left: u64,
    /// What is done instead of saying the last.
    end: End,
    closed: bool,
    peer_closed: bool,
    /// The thread that waits for its end.
    waits: Option<(u32, u32)>,
}

/// How a side means a transaction to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closes,
    Aborts,
}

/// A request that has come to a port.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    ticket: Ticket,
    port: PortId,
    /// Which request of which node's life it is.
    number: (u64, u64),
}

/// A request that was made.
#[derive(Clone, Copy, Debug)]
struct Asked {
    number: (u64, u64),
    waits: (u32, u32),
}

/// All users.
#[derive(Clone, Debug, Default)]
pub(super) struct Users {
    transactions: BTreeMap<(Identity, Handle), Seen>,
    requests: BTreeMap<(Identity, RequestId), Asked>,
    /// Requests that have come and were not begun.
    queued: BTreeMap<NodeId, VecDeque<Waiting>>,
    /// Requests that were begun, and have no answer.
    begun: BTreeMap<(NodeId, Ticket), Waiting>,
    /// All that were ever begun.
    executed: BTreeSet<(u64, u64)>,
    /// The last request of each life that was begun at each port.
    last: BTreeMap<(PortId, u64), u64>,
    made: u64,
    /// Where ports are.
    places: BTreeMap<PortId, NodeId>,
}

/// A number for a life.
fn life(who: Identity) -> u64 {
    u64::from(who.node.0) << 32 | who.incarnation.0
}

fn payload(words: [u64; 4]) -> Payload {
    Payload { command: 1, words }
}

impl Users {
    /// A life is over, and what it knew is gone.
    pub(super) fn died(&mut self, who: Identity) {
        self.transactions.retain(|&(owner, _), _| owner != who);
        self.requests.retain(|&(owner, _), _| owner != who);
        self.queued.remove(&who.node);
        self.begun.retain(|&(node, _), _| node != who.node);
        self.places.retain(|_, &mut place| place != who.node);
    }

    /// What has not ended, if anything has not.
    pub(super) fn under_way(&self) -> Option<String> {
        let open = self.transactions.iter().next();
        let open = open.map(|open| format!("the transaction {open:?}"));
        let asked = || {
            let asked = self.requests.iter().next();
            asked.map(|asked| format!("the request {asked:?}"))
        };
        open.or_else(asked)
    }
}

impl World {
    fn place_of_thread(&self, thread: u32) -> (u32, u32) {
        let node = self.threads[thread as usize].node;
        (thread, self.machine(node).incarnation)
    }

    /// A thread that waited for the end of something goes on.
    fn ends_wait(&mut self, (thread, incarnation): (u32, u32)) {
        let this = &self.threads[thread as usize];
        if self.machine(this.node).incarnation != incarnation {
            return;
        }
        if this.state != State::WaitsForEnd {
            return self.complain(Wrong::WokenInVain, || {
                format!("what thread {thread} waited for ends, and it does not wait")
            });
        }
        self.check_wait(thread as usize);
        self.threads[thread as usize].state = State::Runs;
        self.completes(thread);
    }

    /// A thread begins a transaction, and waits for its end.
    pub(super) fn talk(&mut self, thread: u32, node: NodeId, talk: Talk) {
        let Some(who) = self.identity(node) else {
            return self.completes(thread);
        };
        self.waits(thread, State::WaitsForEnd);
        let waits = Some(self.place_of_thread(thread));
        let begun = self.begin_talk(who, None, talk, waits);
        if begun.is_none() {
            self.threads[thread as usize].state = State::Runs;
            self.completes(thread);
        }
    }

    fn begin_talk(
        &mut self,
        who: Identity,
        parent: Option<Handle>,
        talk: Talk,
        waits: Option<(u32, u32)>,
    ) -> Option<Handle> {
        let now = self.council_clock(who.node);
        let says = u64::from(talk.says);
        let rest = if says == 0 { Rest::Last } else { Rest::More };
        let opening = Opening {
            peer: NodeId(talk.peer % self.plan.nodes),
            parent,
            deadline: talk.within.map(|within| now + Nanos(within)),
            payload: payload([0, says, u64::from(talk.kind), 0]),
            rest,
        };
        let seen = Seen {
            parent,
            heard: 0,
            said: 1,
            left: says,
            end: if talk.kind & 1 == 1 {
                End::Aborts
            } else {
                End::Closes
            },
            closed: rest == Rest::Last,
            peer_closed: false,
            waits,
        };
        let begun = self.with_council(
            who.node,
            |node, now, actions| node.begin(now, opening, actions),
            |world, begun| {
                if let Ok(handle) = begun {
                    world.users.transactions.insert((who, *handle), seen);
                }
            },
        );
        let handle = begun?.ok()?;
        self.put_words(who, handle);
        Some(handle)
    }

    /// Has a side of a transaction say what it has to say, soon.
    fn put_words(&mut self, who: Identity, handle: Handle) {
        let takes = self
            .machine_mut(who.node)
            .chance
            .within(0..30 * MICROSECOND);
        let what = Happening::Speaks {
            node: who.node,
            life: who.incarnation.0 as u32,
            handle: handle.0,
        };
        self.put(self.now.after(takes), what);
    }

    /// A side says the next thing in a transaction, if that has not ended.
    pub(super) fn speaks(&mut self, node: NodeId, of_life: u32, handle: u64) {
        let Some(who) = self.identity(node) else {
            return;
        };
        let handle = Handle(handle);
        let known = self.users.transactions.get_mut(&(who, handle));
        let open = |seen: &&mut Seen| !seen.closed;
        let Some(seen) = known
            .filter(open)
            .filter(|_| who.incarnation.0 as u32 == of_life)
        else {
            return;
        };
        seen.left = seen.left.saturating_sub(1);
        let last = seen.left == 0;
        if last && seen.end == End::Aborts {
            self.with_council(
                node,
                |node, now, out| node.abort(now, handle, out),
                |_, _| {},
            );
            return;
        }
        let number = seen.said;
        seen.said += 1;
        seen.closed = last;
        let rest = if last { Rest::Last } else { Rest::More };
        let words = payload([number, 0, 0, 0]);
        self.with_council(
            node,
            |node, now, out| node.tell(now, handle, words, rest, out),
            |_, _| {},
        );
        self.put_words(who, handle);
    }

    /// A node tells of a transaction.
    pub(super) fn transaction(&mut self, node: NodeId, notice: TransactionNotice) {
        let Some(who) = self.identity(node) else {
            return;
        };
        match notice {
            TransactionNotice::Began {
                handle,
                parent,
                payload,
                rest,
                ..
            } => self.began(who, handle, parent, payload, rest),
            TransactionNotice::Said {
                handle,
                payload,
                rest,
            } => {
                let known = self.users.transactions.get_mut(&(who, handle));
                let open = known.filter(|seen| !seen.peer_closed && payload.words[0] == seen.heard);
                let Some(seen) = open else {
                    return self.complain_of_transaction(who, notice);
                };
                seen.heard += 1;
                seen.peer_closed = rest == Rest::Last;
            }
            TransactionNotice::Ended { handle, how } => self.ends(who, handle, how),
        }
    }

    fn complain_of_transaction(&mut self, who: Identity, notice: TransactionNotice) {
        let handle = match notice {
            TransactionNotice::Began { handle, .. }
            | TransactionNotice::Said { handle, .. }
            | TransactionNotice::Ended { handle, .. } => handle,
        };
        let seen = self.users.transactions.get(&(who, handle)).copied();
        self.complain(Wrong::TransactionOutOfTurn, || {
            format!("{who:?} is told {notice:?} of {seen:?}")
        });
    }

    fn began(
        &mut self,
        who: Identity,
        handle: Handle,
        parent: Option<Handle>,
        payload: Payload,
        rest: Rest,
    ) {
        let [_, says, kind, _] = payload.words;
        let seen = Seen {
            parent,
            heard: 1,
            said: 0,
            left: says + 1,
            end: if kind & 2 == 2 {
                End::Aborts
            } else {
                End::Closes
            },
            closed: false,
            peer_closed: rest == Rest::Last,
            waits: None,
        };
        let of_closed =
            parent.is_some_and(|parent| !self.users.transactions.contains_key(&(who, parent)));
        let known = self.users.transactions.insert((who, handle), seen);
        if known.is_some() || of_closed {
            self.complain(Wrong::TransactionOutOfTurn, || {
                format!(
                    "{who:?} is told that {handle:?} begins, a part of {parent:?}; it was {known:?}"
                )
            });
        }
        if kind & 4 == 4 {
            let peer = self.machine_mut(who.node).chance.within(0..64) as u16;
            let part = Talk {
                peer,
                says: 1,
                kind: 0,
                within: None,
            };
            // It is begun a moment later, as this node is in the middle of something.
            self.users_later(who, handle, part);
        }
        self.put_words(who, handle);
    }

    fn users_later(&mut self, who: Identity, parent: Handle, part: Talk) {
        let what = Happening::BeginsPart {
            node: who.node,
            life: who.incarnation.0 as u32,
            parent: parent.0,
            peer: part.peer,
        };
        self.put(self.now.after(MICROSECOND), what);
    }

    /// A side begins a part of a transaction, if that has not ended.
    pub(super) fn begins_part(&mut self, node: NodeId, of_life: u32, parent: u64, peer: u16) {
        let Some(who) = self.identity(node) else {
            return;
        };
        let parent = Handle(parent);
        let is_open = self.users.transactions.contains_key(&(who, parent));
        if who.incarnation.0 as u32 == of_life && is_open {
            let part = Talk {
                peer,
                says: 1,
                kind: 0,
                within: None,
            };
            self.begin_talk(who, Some(parent), part, None);
        }
    }

    fn ends(&mut self, who: Identity, handle: Handle, how: Ending) {
        let Some(seen) = self.users.transactions.remove(&(who, handle)) else {
            return self.complain_of_transaction(who, TransactionNotice::Ended { handle, how });
        };
        let mut others = self.users.transactions.iter();
        let part =
            others.find(|&(&(owner, _), other)| owner == who && other.parent == Some(handle));
        if let Some(part) = part {
            let what = format!("{handle:?} ends ({how:?}) before its part {part:?}");
            self.complain(Wrong::TransactionOutOfTurn, || what);
        }
        if (seen.closed && seen.peer_closed) != (how == Ending::Completed) {
            self.complain(Wrong::TransactionOutOfTurn, || {
                format!("{who:?} is told that {handle:?} ends ({how:?}), which is {seen:?}")
            });
        }
        if let Some(waits) = seen.waits {
            self.ends_wait(waits);
        }
    }

    /// A thread asks a port, and waits for the answer.
    pub(super) fn call(&mut self, thread: u32, node: NodeId, port: u16, within: Option<u64>) {
        let Some(who) = self.identity(node) else {
            return self.completes(thread);
        };
        self.waits(thread, State::WaitsForEnd);
        let waits = self.place_of_thread(thread);
        self.users.made += 1;
        let number = (life(who), self.users.made);
        let words = payload([number.0, number.1, 0, 0]);
        let now = self.council_clock(node);
        let deadline = within.map(|within| now + Nanos(within));
        let port = port_id(&self.plan, port);
        self.with_council(
            node,
            |node, now, out| node.put(now, port, deadline, words, out),
            |world, &request| {
                let asked = Asked { number, waits };
                world.users.requests.insert((who, request), asked);
            },
        );
    }

    /// A node tells of a port, or of a request to one.
    pub(super) fn port(&mut self, node: NodeId, notice: PortNotice) {
        let Some(who) = self.identity(node) else {
            return;
        };
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
                self.users
                    .queued
                    .entry(node)
                    .or_default()
                    .push_back(waiting);
                self.put_work(who);
            }
            PortNotice::Cancelled { ticket } => {
                if let Some(queued) = self.users.queued.get_mut(&node) {
                    queued.retain(|waiting| waiting.ticket != ticket);
                }
                self.users.begun.remove(&(node, ticket));
            }
            PortNotice::Answered { request, result } => {
                let Some(asked) = self.users.requests.remove(&(who, request)) else {
                    return self.complain(Wrong::AnsweredTwice, || {
                        format!("{who:?} is told {notice:?}, and waits for no such answer")
                    });
                };
                let done = |payload: Payload| {
                    let number = (payload.words[0], payload.words[1]);
                    number == asked.number && self.users.executed.contains(&number)
                };
                if result.is_ok_and(|payload| !done(payload)) {
                    self.complain(Wrong::AnsweredTwice, || {
                        format!("{who:?} is told {notice:?} of {asked:?}, which was not done")
                    });
                }
                self.ends_wait(asked.waits);
            }
        }
    }

    fn put_work(&mut self, who: Identity) {
        let takes = self
            .machine_mut(who.node)
            .chance
            .within(0..60 * MICROSECOND);
        let what = Happening::Works {
            node: who.node,
            life: who.incarnation.0 as u32,
        };
        self.put(self.now.after(takes), what);
    }

    /// Whoever serves a node's ports begins the next request, or answers one that it has begun.
    pub(super) fn works(&mut self, node: NodeId, of_life: u32) {
        let Some(who) = self.identity(node) else {
            return;
        };
        if who.incarnation.0 as u32 != of_life {
            return;
        }
        let answers = self.machine_mut(node).chance.percent(50);
        let of_node = self.users.begun.iter().filter(|&(&(at, _), _)| at == node);
        let open: Vec<Ticket> = of_node.map(|(&(_, ticket), _)| ticket).collect();
        let queued = self.users.queued.entry(node).or_default();
        if let Some(waiting) = queued
            .front()
            .copied()
            .filter(|_| open.is_empty() || !answers)
        {
            queued.pop_front();
            self.execute_request(node, waiting);
            self.put_work(who);
        } else if !open.is_empty() {
            let ticket = self.machine_mut(node).chance.one_of(&open);
            self.answer(node, ticket);
            self.put_work(who);
        }
    }

    fn execute_request(&mut self, node: NodeId, waiting: Waiting) {
        let (client, number) = waiting.number;
        let again = !self.users.executed.insert(waiting.number);
        let last = self.users.last.entry((waiting.port, client)).or_default();
        let overtaken = number < *last;
        *last = number;
        if again || overtaken {
            self.complain(Wrong::BegunTwice, || {
                format!("{waiting:?} is begun, again ({again}) or after a later one ({overtaken})")
            });
        }
        self.users.begun.insert((node, waiting.ticket), waiting);
    }

    fn answer(&mut self, node: NodeId, ticket: Ticket) {
        let Some(waiting) = self.users.begun.remove(&(node, ticket)) else {
            return;
        };
        let (client, number) = waiting.number;
        let answer = Answer::Reply(payload([client, number, 0, 0]));
        self.with_council(
            node,
            |node, now, out| node.answer(now, ticket, answer, out),
            |_, _| {},
        );
    }

    /// Opens a port at a node, or has it move there.
    pub(super) fn bring_port(&mut self, port: u16, to: NodeId) {
        let port = port_id(&self.plan, port);
        let from = self.users.places.get(&port).copied();
        if from == Some(to) || self.identity(to).is_none() {
            return;
        }
        self.users.places.insert(port, to);
        self.with_council(to, |node, _, _| node.open_port(port), |_, ()| {});
        let Some(from) = from else { return };
        let queued = self.users.queued.entry(from).or_default();
        let (goes, stays) = queued.iter().partition(|waiting| waiting.port == port);
        *queued = stays;
        let goes: VecDeque<Waiting> = goes;
        for Waiting { ticket, .. } in goes {
            let moved = Answer::Moved { to };
            self.with_council(
                from,
                |node, now, out| node.answer(now, ticket, moved, out),
                |_, _| {},
            );
        }
        self.with_council(from, |node, _, _| node.port_moved(port, to), |_, ()| {});
    }
}
