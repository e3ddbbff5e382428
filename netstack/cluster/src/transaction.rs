//! Transactions: what one node asks of another, and the answer, each of any number of messages.
//!
//! The model is DragonFly's dmsg. Either side of a link begins transactions, both say any number of things in
//! it, and each closes its half; when both halves are closed it has ended. Either side may abort it
//! at any time. A transaction may be part of another one, its parent, on the same link or on any other
//! of the node: when that ends, its parts end.
//!
//! **Each transaction ends exactly once at each side**: the user is told [`TransactionNotice::Ended`] once, and nothing
//! of the transaction after that. What ends it is, whichever comes first: both halves are closed; an abort of either
//! side; its deadline; the end of its parent; the loss of the link, which both sides notice for themselves. The two sides may see
//! different ends: a side that has closed its half last does not learn that the other has given up meanwhile.
//!
//! | what arrives | open | half closed by us | over (we gave up, and wait for their half) | unknown |
//! |---|---|---|---|---|
//! | data | told | told | ignored | ignored |
//! | end | told | told; ended | forgotten | ignored |
//! | abort | answered with an abort; ended | ended | forgotten | ignored |
//! | link down | ended | ended | forgotten | – |
//!
//! So whoever gives up hears no more, but keeps the number until the other side has closed its half. What is unknown is a late
//! word in a transaction that both sides have given up, or that was refused.
//!
//! Parts end before their parents. Nothing is sent again here: a link delivers everything in order, or is lost.

mod ending;
mod link;

use crate::event::{Action, Notice};
use crate::ids::{Identity, Nanos};
use crate::message::{Message, Origin, Payload, Rest, Step, TransactionId, TransactionMessage};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use alloc::collections::{BTreeMap, BTreeSet};
use darner_coherence::NodeId;
use link::Link;

/// A transaction, as its own node knows it, whoever began it. Never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u64);

/// What a node tells its user about a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionNotice {
    /// A peer has begun one.
    Began {
        /// The transaction.
        handle: Handle,
        /// Who.
        peer: Identity,
        /// What it is part of.
        parent: Option<Handle>,
        /// The first thing said in it.
        payload: Payload,
        /// Whether the peer will say more.
        rest: Rest,
    },
    /// The peer said something.
    Said {
        /// The transaction.
        handle: Handle,
        /// What.
        payload: Payload,
        /// Whether the peer will say more.
        rest: Rest,
    },
    /// It has ended. This is the last that is told of it.
    Ended {
        /// The transaction.
        handle: Handle,
        /// How.
        how: Ending,
    },
}

/// A transaction that is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Opening {
    /// With whom.
    pub peer: NodeId,
    /// What it is part of.
    pub parent: Option<Handle>,
    /// When it has taken too long.
    pub deadline: Option<Nanos>,
    /// The first thing said in it.
    pub payload: Payload,
    /// Whether this node will say more.
    pub rest: Rest,
}

/// How a transaction has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// Both sides have said their last word.
    Completed,
    /// This node has given it up.
    GivenUp,
    /// The peer has given it up.
    Aborted,
    /// It took too long.
    Deadline,
    /// What it was part of has ended.
    ParentEnded,
    /// The peer has too many.
    Refused,
    /// The link to the peer is lost.
    LostLink,
}

/// Why a transaction cannot be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BeginError {
    /// There is no link to the peer.
    NoLink,
    /// As many as may be are open on the link.
    Full,
    /// What it was to be part of is not open.
    ParentEnded,
}

/// A transaction is not open, or this node has said its last word in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Closed;

/// Which side began a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Beginner {
    Us,
    Peer,
}

impl Beginner {
    fn as_origin(self) -> Origin {
        match self {
            Self::Us => Origin::Sender,
            Self::Peer => Origin::Receiver,
        }
    }

    fn of_received(origin: Origin) -> Self {
        match origin {
            Origin::Sender => Self::Peer,
            Origin::Receiver => Self::Us,
        }
    }
}

/// Whether a side may still say something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Half {
    Open,
    Closed,
}

impl Half {
    fn after(rest: Rest) -> Self {
        match rest {
            Rest::More => Self::Open,
            Rest::Last => Self::Closed,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    /// The user knows it.
    Open { ours: Half, theirs: Half },
    /// The user was told that it has ended; the peer's half is open.
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Transaction {
    peer: NodeId,
    key: (Beginner, TransactionId),
    parent: Option<Handle>,
    parts: BTreeSet<Handle>,
    deadline: Option<Nanos>,
    state: State,
}

/// All transactions of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transactions {
    /// The most on one link.
    limit: usize,
    links: BTreeMap<NodeId, Link>,
    transactions: BTreeMap<Handle, Transaction>,
    deadlines: BTreeSet<(Nanos, Handle)>,
    last: Handle,
}

impl Transactions {
    /// None, and at most `limit` on each link.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            links: BTreeMap::new(),
            transactions: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            last: Handle(0),
        }
    }

    /// How many are open, or wait for their peers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.transactions.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    /// The next deadline.
    pub(crate) fn deadline(&self) -> Nanos {
        self.deadlines.first().map_or(Nanos::NEVER, |&(at, _)| at)
    }

    /// Begins one.
    pub(crate) fn begin(
        &mut self,
        now: Nanos,
        opening: Opening,
        out: &mut Outbox,
    ) -> Result<Handle, BeginError> {
        let Opening {
            peer,
            parent,
            deadline,
            payload,
            rest,
        } = opening;
        let above = parent.map(|parent| self.on_wire(peer, parent)).transpose();
        let above = above.map_err(|Closed| BeginError::ParentEnded)?.flatten();
        let link = self.links.get_mut(&peer).ok_or(BeginError::NoLink)?;
        if link.len() >= self.limit {
            return Err(BeginError::Full);
        }
        let key = (Beginner::Us, link.next_id());
        let state = State::Open {
            ours: Half::after(rest),
            theirs: Half::Open,
        };
        let handle = self.add(peer, key, parent, deadline, state);
        let step = Step::Create {
            parent: above,
            allowance: deadline.map(|deadline| deadline.since(now)),
            payload,
            rest,
        };
        self.say(handle, step, out);
        Ok(handle)
    }

    /// How `parent` is named on the link to `peer`, if it is on it.
    fn on_wire(
        &self,
        peer: NodeId,
        parent: Handle,
    ) -> Result<Option<(TransactionId, Origin)>, Closed> {
        let open = |parent: &&Transaction| matches!(parent.state, State::Open { .. });
        let parent = self.transactions.get(&parent).filter(open).ok_or(Closed)?;
        let (beginner, id) = parent.key;
        Ok((parent.peer == peer).then(|| (id, beginner.as_origin())))
    }

    /// Says something in an open transaction; with [`Rest::Last`] for the last time.
    pub(crate) fn tell(
        &mut self,
        handle: Handle,
        payload: Payload,
        rest: Rest,
        out: &mut Outbox,
    ) -> Result<(), Closed> {
        let transaction = self.transactions.get_mut(&handle).ok_or(Closed)?;
        let State::Open { ours, theirs } = &mut transaction.state else {
            return Err(Closed);
        };
        if *ours == Half::Closed {
            return Err(Closed);
        }
        *ours = Half::after(rest);
        let ended = (*ours, *theirs) == (Half::Closed, Half::Closed);
        let step = match rest {
            Rest::More => Step::Data { payload },
            Rest::Last => Step::End { payload },
        };
        self.say(handle, step, out);
        if ended {
            self.end(handle, Ending::Completed, out);
        }
        Ok(())
    }

    /// Gives an open transaction up.
    pub(crate) fn abort(&mut self, handle: Handle, out: &mut Outbox) -> Result<(), Closed> {
        let open = |found: &Transaction| matches!(found.state, State::Open { .. });
        if !self.transactions.get(&handle).is_some_and(open) {
            return Err(Closed);
        }
        self.end(handle, Ending::GivenUp, out);
        Ok(())
    }

    /// Ends what has taken too long.
    pub(crate) fn advance(&mut self, now: Nanos, out: &mut Outbox) {
        while let Some(&(at, handle)) = self.deadlines.first() {
            if now < at || mutated!(DeadlineIgnored) {
                return;
            }
            self.end(handle, Ending::Deadline, out);
        }
    }

    fn add(
        &mut self,
        peer: NodeId,
        key: (Beginner, TransactionId),
        parent: Option<Handle>,
        deadline: Option<Nanos>,
        state: State,
    ) -> Handle {
        self.last = Handle(self.last.0 + 1);
        let handle = self.last;
        if let Some(link) = self.links.get_mut(&peer) {
            link.insert(key, handle);
        }
        if let Some(parent) = parent.and_then(|parent| self.transactions.get_mut(&parent)) {
            parent.parts.insert(handle);
        }
        if let Some(at) = deadline {
            self.deadlines.insert((at, handle));
        }
        let transaction = Transaction {
            peer,
            key,
            parent,
            parts: BTreeSet::new(),
            deadline,
            state,
        };
        self.transactions.insert(handle, transaction);
        handle
    }

    fn say(&self, handle: Handle, step: Step, out: &mut Outbox) {
        let Some(transaction) = self.transactions.get(&handle) else {
            return;
        };
        let (beginner, id) = transaction.key;
        if let Some(link) = self.links.get(&transaction.peer) {
            let origin = beginner.as_origin();
            let message = TransactionMessage { id, origin, step };
            out.send(link.peer(), Message::Transaction(message));
        }
    }
}

fn told(notice: TransactionNotice, out: &mut Outbox) {
    out.push(Action::Notify(Notice::Transaction(notice)));
}
