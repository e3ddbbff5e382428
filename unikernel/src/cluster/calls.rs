//! What a node has another one do.

use alloc::vec::Vec;
use core::alloc::Layout;
use core::sync::atomic::{AtomicUsize, Ordering};

use darner_coherence::NodeId;

use super::nodes::{self, owner_of};
use super::placement::Placement;
use super::record::{Kind, words};
use super::{FIRST, Reply, Request, call, drain, is_active, me, servers};
use crate::sched::{self, SpawnError, Tid};
use crate::sync::Lock;
use crate::{net, panic};

/// Threads that were placed from here.
static PLACED: AtomicUsize = AtomicUsize::new(0);

/// Where the next thread goes: all CPUs of all nodes in turn, this node's last.
fn next_place() -> NodeId {
    let all: usize = nodes::cpus().map(|(_, cpus)| cpus).sum();
    // The first CPU behind this node's.
    let up_to_here = nodes::cpus().take_while(|&(node, _)| node.0 <= me());
    let behind: usize = up_to_here.map(|(_, cpus)| cpus).sum();
    let mut place = (behind + PLACED.fetch_add(1, Ordering::Relaxed)) % all.max(1);
    for (node, cpus) in nodes::cpus() {
        if place < cpus {
            return node;
        }
        place -= cpus;
    }
    NodeId(me())
}

/// Starts a thread of the program somewhere in the cluster; else as [`sched::spawn`].
pub fn spawn(
    entry: extern "C" fn(usize),
    arg: usize,
    priority: u8,
    stack_bytes: u64,
) -> Result<Tid, SpawnError> {
    let placement = sched::current().kept.placement.get();
    let mut to = match placement {
        Placement::Anywhere => next_place(),
        Placement::Near => NodeId(me()),
        Placement::On(node) if nodes::cpus_of(node) == 0 => return Err(SpawnError::NoNode),
        Placement::On(node) => node,
    };
    loop {
        let spawned = match to.0 == me() {
            true => drain::start(|| sched::spawn(entry, arg, priority, stack_bytes, None)),
            false => spawn_at(to, entry, arg, priority, stack_bytes),
        };
        if spawned != Err(SpawnError::NoNode) || matches!(placement, Placement::On(_)) {
            return spawned;
        }
        // It drains, which is not known here yet, or this node does.
        to = next_place();
    }
}

/// Starts a thread of the program on another node. [`SpawnError::NoNode`]: that takes no more.
fn spawn_at(
    to: NodeId,
    entry: extern "C" fn(usize),
    arg: usize,
    priority: u8,
    stack_bytes: u64,
) -> Result<Tid, SpawnError> {
    let entry = entry as *const () as u64;
    let words = words([entry, arg as u64, priority.into(), stack_bytes]);
    let kind = Kind::Spawn;
    match call(Request::Call { to, kind, words }) {
        Reply::Words([tid, ..]) if tid != 0 => Ok(tid as Tid),
        Reply::Words([_, 1, ..]) => Err(SpawnError::NoNode),
        // It was drained before it has heard of this.
        Reply::Gone if nodes::has_departed(to) => Err(SpawnError::NoNode),
        // It may have run for a while, so it cannot be started again.
        Reply::Gone => panic::lost(format_args!(
            "node {} is gone, where a thread of the program was being started",
            to.0
        )),
        _ => Err(SpawnError::NoMemory),
    }
}

/// Waits until the thread has ended. Thread context, no lock held.
pub fn join(tid: Tid) {
    let to = NodeId(sched::node_of(tid));
    if to.0 == me() {
        return sched::join(tid);
    }
    call(Request::Call {
        to,
        kind: Kind::Join,
        words: words([tid.into()]),
    });
}

/// Has the first node do a call of the program: the function at `function`, which is where it is
/// on all nodes, with what the caller put into its registers. What these point to is cluster
/// memory. On the first node itself, waits until that serves. On the kernel stack, from the ABI's entry.
pub extern "C" fn delegate(function: u64, arguments: &[u64; 6]) -> u64 {
    let [a, b, c, d, e, f] = *arguments;
    if me() == FIRST.0 {
        call(Request::Ready);
        return servers::perform(function, arguments);
    }
    let answer = call(Request::Call {
        to: FIRST,
        kind: Kind::Delegate,
        words: words([function, a, b, c, d, e, f]),
    });
    let Reply::Words([result, errno, ..]) = answer else {
        // This node ends with the first one: it is about to.
        loop {
            sched::block_current(None);
        }
    };
    if errno != 0 {
        let errno = errno as i32;
        sched::current().kept.errno.store(errno, Ordering::Relaxed);
    }
    result
}

/// Whether memory at `address` is another node's to give out, and so to take back.
pub fn is_elsewhere(address: usize) -> bool {
    is_active() && owner_of(address as u64).0 != me()
}

/// Memory of other nodes' heaps that was freed here, and that they have not been told of.
static FREED: Lock<Vec<(usize, Layout)>> = Lock::new(Vec::new());

/// Gives back memory of another node's heap, together with what else is given back until the
/// protocol thread comes to it. Thread context; also in a critical section.
pub fn free(address: usize, layout: Layout) {
    let is_first = {
        let mut freed = FREED.lock();
        freed.push((address, layout));
        freed.len() == 1
    };
    if is_first {
        net::wake();
    }
}

/// Memory that could not be given back yet. The protocol thread.
pub(super) fn put_back(mut left: Vec<(usize, Layout)>) {
    if !left.is_empty() {
        FREED.lock().append(&mut left);
    }
}

/// Whether nothing is left that others have to be told of. Any context but interrupts.
pub(super) fn is_all_given_back() -> bool {
    FREED.lock().is_empty()
}

/// Memory that was given back since this was last called. The protocol thread.
pub(super) fn take_freed() -> Vec<(usize, Layout)> {
    core::mem::take(&mut *FREED.lock())
}
