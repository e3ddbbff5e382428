//! Draining this node: it leaves a program that runs, and nothing is lost by that.
//!
//! From the moment when it is asked to, it starts no more threads. The nodes agree that it drains: its slices of memory, and the words
//! in them that threads wait for, get another home. It waits until its last thread of the program has ended; then it gives up all pages that
//! it has, tells the others that nothing of the program is left here, and leaves.
//!
//! A thread of its own sees to the order; what concerns pages and members is the engine's.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use darner_coherence::NodeId;

use super::record::{Kind, words};
use super::{FIRST, Reply, Request, call, config, me, nodes, servers, statistics, tell};
use crate::sched::{self, SpawnError, Tid, WaitQueue};

/// Whether this node drains.
static DRAINS: AtomicBool = AtomicBool::new(false);
/// Threads that are being started here, and may have been let in before this node was drained.
static STARTING: AtomicUsize = AtomicUsize::new(0);
/// Who waits for the last thread of the program to end.
static WAITERS: WaitQueue = WaitQueue::new();

/// Why a node is not drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum NotDrained {
    /// It is the first one, which has the program's files.
    First = 1,
    /// It drains already.
    Already = 2,
    /// It is not there: not yet, or no more.
    NotThere = 3,
}

impl NotDrained {
    fn of(number: u64) -> Option<Self> {
        match number {
            0 => None,
            1 => Some(Self::First),
            2 => Some(Self::Already),
            _ => Some(Self::NotThere),
        }
    }
}

/// Has a node drain. Returns when it is given nothing new any more. Thread context, no lock held.
pub fn drain(node: NodeId) -> Result<(), NotDrained> {
    if node == FIRST {
        return Err(NotDrained::First);
    }
    if node.0 == me() {
        return begin();
    }
    if nodes::is_draining(node) {
        return Err(NotDrained::Already);
    }
    if nodes::cpus_of(node) == 0 {
        return Err(NotDrained::NotThere);
    }
    let asked = call(Request::Call {
        to: node,
        kind: Kind::Drain,
        words: words([]),
    });
    match asked {
        Reply::Words([number, ..]) => NotDrained::of(number).map_or(Ok(()), Err)?,
        _ => return Err(NotDrained::NotThere),
    }
    call(Request::Drain { node });
    Ok(())
}

/// As [`drain`], on the node itself.
pub(super) fn begin() -> Result<(), NotDrained> {
    if me() == FIRST.0 {
        return Err(NotDrained::First);
    }
    if DRAINS.swap(true, Ordering::SeqCst) {
        return Err(NotDrained::Already);
    }
    call(Request::Ready);
    call(Request::Drain { node: NodeId(me()) });
    servers::give(servers::Work::Own(depart));
    Ok(())
}

/// What [`begin`] answers, as a number for another node.
pub(super) fn number(result: Result<(), NotDrained>) -> u64 {
    result.map_or_else(|why| why as u64, |()| 0)
}

/// Leaves when the last thread of the program has ended here.
fn depart() {
    let is_over = || STARTING.load(Ordering::SeqCst) == 0 && !sched::has_program_threads();
    WAITERS.wait_until(None, || is_over().then_some(()));
    let Some(config) = config() else { return };
    statistics::report_of(config.me.0);
    call(Request::Empty);
    let others = (0..config.nodes)
        .map(NodeId)
        .filter(|&node| node != config.me);
    for to in others.filter(|&node| nodes::is_there(node)) {
        // Its answer comes behind all that was said to it, and when it misses nothing.
        call(Request::Call {
            to,
            kind: Kind::Departs,
            words: words([]),
        });
    }
    tell(Request::Resign);
}

/// A thread of the program has ended here, and cannot be found any more. Thread context, no lock held.
pub fn thread_ended() {
    if DRAINS.load(Ordering::SeqCst) {
        WAITERS.wake_all();
    }
}

/// Starts a thread of the program here by `start`. [`SpawnError::NoNode`]: this node drains. Thread context, no lock held.
pub(super) fn start(start: impl FnOnce() -> Result<Tid, SpawnError>) -> Result<Tid, SpawnError> {
    STARTING.fetch_add(1, Ordering::SeqCst);
    let started = match DRAINS.load(Ordering::SeqCst) {
        true => Err(SpawnError::NoNode),
        false => start(),
    };
    STARTING.fetch_sub(1, Ordering::SeqCst);
    thread_ended();
    started
}
