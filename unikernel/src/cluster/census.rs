//! Which of the program's threads are on other nodes than the first: what is lost when a node is.
//!
//! The first node keeps the list. Whoever starts a thread tells it so, and whoever ends one. A thread that the first
//! node has not heard of yet was started by one that it has heard of and that has not ended, on a node that
//! is then lost, too: so no thread is lost without it being known.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use darner_coherence::NodeId;

use super::record::{Kind, words};
use super::{FIRST, Request, me, nodes, tell};
use crate::panic;
use crate::sched::{self, Tid};
use crate::sync::Lock;

static THREADS: Lock<Threads> = Lock::new(Threads {
    alive: BTreeSet::new(),
    ended: BTreeSet::new(),
});

struct Threads {
    /// Those that have begun and not ended.
    alive: BTreeSet<Tid>,
    /// Those of whose end this node has heard before it has heard of their beginning.
    ended: BTreeSet<Tid>,
}

/// A thread was started from here. Thread context, no lock held.
pub fn began(tid: Tid) {
    say(Kind::Began, tid);
}

/// A thread of this node is about to end. Thread context, no lock held.
pub fn ended(tid: Tid) {
    say(Kind::Ended, tid);
}

fn say(kind: Kind, tid: Tid) {
    let node = NodeId(sched::node_of(tid));
    if node == FIRST {
        return;
    }
    if me() != FIRST.0 {
        let words = words([tid.into()]);
        return tell(Request::Tell {
            to: FIRST,
            kind,
            words,
        });
    }
    note(kind, tid);
}

/// Takes note of a thread's beginning or end, on the first node. A beginning on a node that is gone is a
/// loss. Any context but interrupts.
pub(super) fn note(kind: Kind, tid: Tid) {
    let node = NodeId(sched::node_of(tid));
    let is_alive = {
        let mut threads = THREADS.lock();
        match kind {
            Kind::Began if !threads.ended.remove(&tid) => threads.alive.insert(tid),
            Kind::Ended if !threads.alive.remove(&tid) => {
                threads.ended.insert(tid);
                false
            }
            _ => false,
        }
    };
    if is_alive && nodes::is_gone(node) {
        lost(node);
    }
}

/// A node is gone: if any of the program's threads was there, the program ends. On the first node.
pub(super) fn gone(node: NodeId) {
    let is_lost = {
        let threads = THREADS.lock();
        threads.alive.iter().any(|&tid| is_on(tid, node))
    };
    if is_lost {
        lost(node);
    }
}

fn is_on(tid: Tid, node: NodeId) -> bool {
    sched::node_of(tid) == node.0
}

/// How many of the lost threads a report names.
const NAMED: usize = 8;

fn lost(node: NodeId) -> ! {
    let (named, count) = {
        let threads = THREADS.lock();
        let lost = || threads.alive.iter().filter(|&&tid| is_on(tid, node));
        let named: Vec<Tid> = lost().take(NAMED).copied().collect();
        (named, lost().count())
    };
    panic::lost(format_args!(
        "node {} is gone (it has not been heard of for too long), and with it {count} of the program's threads, which had \
         not ended: {named:?}",
        node.0
    ))
}
