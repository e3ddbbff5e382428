//! Range locks: bytes of objects, shared or exclusive, several ranges at once or none.
//!
//! Each object has a *home*, which decides in which order nodes have its bytes. A node does not lock; it has *leases*,
//! and its agent grants its threads locks under them. A lease stays until another node wants the bytes,
//! so the next lock of them costs nothing. [`Locks`] is home and agent of one node. It does no I/O: it takes
//! [`Event`]s and returns [`Action`]s. Links are reliable and keep the order between two nodes; between
//! different links there is no order.
//!
//! # What is said
//!
//! | | messages |
//! |---|---|
//! | nobody is in the way | [`Ask`](Message::Ask), [`Grant`](Message::Grant) |
//! | k nodes have leases that are in the way | `Ask`; k times [`Recall`](Message::Recall), [`Cede`](Message::Cede), the latter straight to who asked |
//! | under a lease; to unlock | nothing |
//!
//! For several ranges there is an `Ask` for each, and a `Recall` and a `Cede` for each range and node in
//! its way. What a node tells itself is no message. Whoever is alone with an object gets a lease on all of it; what was not wanted of
//! that goes back to the home when somebody else comes ([`Return`](Message::Return)), and from then on leases are exactly what was asked for.
//!
//! # Why it is right
//!
//! * **Order.** A home settles requests one at a time, with all of their ranges, and never waits for a lock. A request waits for
//!   the holders that it finds noted, and those wait for their own locks and for their own requests that were settled
//!   before: `seen` in a recall says which. So whatever waits, waits for what is earlier in the order of one home, or for a lock
//!   that is held: there is no circle, readers do not overtake writers nor the other way round, and each request is served.
//! * **A recall overtakes a cede** that comes from a third node. The request that the cede is for was settled before, so the recall waits for it.
//! * **A node asks for what it will have**, for its earlier request is under way. The home finds only this node in the way of
//!   the later one, and grants it; it is complete when the earlier one is.
//! * **A reader comes when a writer has not let go**, although another reader was told to have the bytes. The writer
//!   stays noted as one until the next exclusive lease, and is asked by each reader.
//! * **A thread does not wait any longer.** Its request goes on, and the node has a lease that it does not use.
//! * **A thread tries.** A holder that cannot cede at once says so, and cedes later.
//! * **Threads of one node** are served as they came. One that asks has those ask first that came before it and that it conflicts
//!   with, so this is the home's order, too.
//! * **A lease is forgotten**, for the agent's table is full: the home takes the node for a holder that it is not, and its recalls are obeyed at once.
//! * **Records are merged** in the home's table: nodes are asked that have nothing in the way, and say so at once.
//! * **A record is thrown away**: first its holders give up the range, unless they use it. If all records are in use, the request is denied.
//!
//! # When the view changes
//!
//! Packets of the old view are dropped. Each agent forgets its leases but for the locks that its threads hold, reports those to
//! their homes, and asks again for what its threads wait for. A home that has the reports of all members
//! serves. The locks of a node that died are gone with it.
//!
//! # Who may act on a lock
//!
//! A lock counts while its node serves. The membership sees to it that a node stops before a view without it is
//! decided, and homes lease its locks to others only in such a view. So a node is told at once that it does not serve ([`Event::Stopped`]):
//! then no lock is granted, not even under a lease, and nobody acts on one that is held ([`Locks::may_act`]). If it serves again in the
//! same view, all locks are as they were, for nobody else can have got them. If there is a view without it, its locks are held
//! no more, and their holders are told.
//!
//! # Bounds
//!
//! Tables are made once ([`Limits`]). A home's records go beyond their limit only if more is reported after a change of view. Recalls that wait at an agent: at most one for each request
//! of others, range and agent.

mod agent;
mod event;
mod holding;
mod home;
mod lease;
mod message;
mod want;

pub use agent::Agent;
pub use event::{Action, Denial, Event, Patience};
pub use holding::{Holding, Nodes};
pub use home::Home;
pub use lease::{Lease, Need};
pub use message::{Answer, Extent, Message, Packet};
pub use want::{BadWants, MOST_RANGES, Mode, Want, Wants};

use crate::event::{View, Violation};
use crate::ids::{Epoch, NodeId, Time, Token};
use crate::post::Post;
use alloc::vec::Vec;
use core::mem;

type Out<'a> = Post<'a, Message, Action>;

/// Sizes of a node's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Records of the home, at least 32.
    pub records: usize,
    /// Requests that wait at the home for room or for the reports of a new view, at least 1. More are denied.
    pub parked: usize,
    /// Records of the leases that the node has, at least 8.
    pub leases: usize,
    /// Locks that threads of the node hold or wait for. More are denied.
    pub locks: usize,
}

/// What a node is made with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Its number.
    pub me: NodeId,
    /// One more than the highest number that any node of the cluster will have.
    pub nodes: u16,
    /// The first view. A node that joins is made with the one before, and then told of its own.
    pub view: View,
    /// Sizes of its tables.
    pub limits: Limits,
}

/// The range locks of one node: its home and its agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Locks {
    me: NodeId,
    nodes: u16,
    epoch: Epoch,
    members: Vec<NodeId>,
    home: Home,
    agent: Agent,
    /// Packets of a view that this node has not been told of.
    early: Vec<(NodeId, Packet)>,
}

impl Locks {
    /// A node without locks.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let Config {
            me,
            nodes,
            view,
            limits,
        } = config;
        Self {
            me,
            nodes,
            epoch: view.epoch,
            home: Home::new(me, nodes, view.members.clone(), limits),
            agent: Agent::new(me, nodes, view.members.clone(), limits),
            members: view.members,
            early: Vec::new(),
        }
    }

    /// The node's number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.me
    }

    /// The view that the node is in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The agent.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Whether a thread holds a lock and may act on it. To be asked before anything is done under the lock that other
    /// nodes can see.
    #[must_use]
    pub fn may_act(&self, token: Token) -> bool {
        self.agent.may_act(token)
    }

    /// Whether nothing is under way. Locks may be held.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.home.is_quiet() && self.agent.is_quiet() && self.early.is_empty()
    }

    /// Takes note of an event, and adds what is to be done for it.
    pub fn handle(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        let send = |to, epoch, message| {
            let packet = Packet { epoch, message };
            Action::Send { to, packet }
        };
        let mut out = Out::new(self.me, self.epoch, actions, send);
        match event {
            Event::Lock {
                token,
                wants,
                patience,
            } => self.agent.lock(now, token, wants, patience, &mut out),
            Event::Unlock { token } => self.agent.unlock(token, &mut out),
            Event::Cancel { token } => self.agent.cancel(token, &mut out),
            Event::Received { from, packet } => self.received(from, packet, &mut out),
            Event::TimeOver => self.agent.time_over(now, &mut out),
            Event::View(view) => self.view_changed(view, &mut out),
            Event::Stopped => self.agent.stop(),
            Event::Serving => self.agent.serve(&mut out),
        }
        self.run_local(&mut out);
        self.agent.arm(&mut out);
    }

    fn run_local(&mut self, out: &mut Out) {
        while let Some(message) = out.take_local() {
            self.dispatch(self.me, message, out);
        }
    }

    fn received(&mut self, from: NodeId, packet: Packet, out: &mut Out) {
        if packet.epoch > self.epoch {
            self.early.push((from, packet));
        } else if from.0 >= self.nodes || self.members.binary_search(&from).is_err() {
            refuse(from, Violation::Stranger, out);
        } else if packet.epoch == self.epoch {
            self.dispatch(from, packet.message, out);
        }
    }

    fn dispatch(&mut self, from: NodeId, message: Message, out: &mut Out) {
        if message.is_for_home() {
            self.home.receive(from, message, out);
        } else {
            self.agent.receive(from, message, out);
        }
    }

    fn view_changed(&mut self, view: View, out: &mut Out) {
        if view.epoch <= self.epoch {
            return;
        }
        self.epoch = view.epoch;
        self.members = view.members;
        out.set_epoch(self.epoch);
        self.home.view_changed(&self.members);
        self.agent.view_changed(&self.members, out);
        self.run_local(out);
        for (from, packet) in mem::take(&mut self.early) {
            self.received(from, packet, out);
        }
    }
}

fn refuse(from: NodeId, why: Violation, out: &mut Out) {
    out.push(Action::Refused { from, why });
}
