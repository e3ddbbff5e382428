//! What threads may know of the other nodes without asking the engine: how many CPUs each has, which
//! are gone, and who is the home of whose memory. The protocol thread says it, anybody reads it.

use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use darner_coherence::NodeId;

use super::FIRST;
use super::config::MOST;
use crate::layout;

const SLOTS: usize = MOST as usize;

/// CPUs of each node that the program's threads may run on.
static CPUS: [AtomicU16; SLOTS] = [const { AtomicU16::new(0) }; SLOTS];
/// The home of each slice.
static HOMES: [AtomicU16; SLOTS] = [const { AtomicU16::new(0) }; SLOTS];
/// Nodes that were members and are not any more, a bit for each.
static GONE: AtomicU64 = AtomicU64::new(0);
/// Members that are to leave.
static DRAINING: AtomicU64 = AtomicU64::new(0);
/// Nodes that have nothing of the program any more: they leave, or have left.
static DEPARTED: AtomicU64 = AtomicU64::new(0);

/// Each slice's home is its own node, to begin with.
pub(super) fn init() {
    for (slot, home) in (0..).zip(&HOMES) {
        home.store(slot, Ordering::Relaxed);
    }
}

/// Says how many CPUs the program's threads may use on a node.
pub(super) fn set_cpus(node: NodeId, cpus: u16) {
    CPUS[usize::from(node.0)].store(cpus, Ordering::Relaxed);
}

/// CPUs of each node that the program's threads may run on.
pub fn cpus() -> impl Iterator<Item = (NodeId, usize)> {
    let cpus = CPUS
        .iter()
        .map(|cpus| usize::from(cpus.load(Ordering::Relaxed)));
    (0..).map(NodeId).zip(cpus)
}

/// CPUs of a node; 0 while it is not there.
pub fn cpus_of(node: NodeId) -> u16 {
    CPUS.get(usize::from(node.0))
        .map_or(0, |cpus| cpus.load(Ordering::Relaxed))
}

/// Whether a node is there; it may be one that is to leave.
pub fn is_there(node: NodeId) -> bool {
    cpus_of(node) > 0 || is_draining(node) && !is_gone(node)
}

/// Says who is the home of the slice of slot `slot`. Whether it was another one.
pub(super) fn set_home(slot: NodeId, home: NodeId) -> bool {
    HOMES[usize::from(slot.0)].swap(home.0, Ordering::SeqCst) != home.0
}

/// Says whether a member is to leave.
pub(super) fn set_draining(node: NodeId, drains: bool) {
    match drains {
        true => DRAINING.fetch_or(1 << node.0, Ordering::SeqCst),
        false => DRAINING.fetch_and(!(1 << node.0), Ordering::SeqCst),
    };
}

/// Whether a node is, or was, to leave.
pub fn is_draining(node: NodeId) -> bool {
    has(DRAINING.load(Ordering::SeqCst), node)
}

/// Says that a node has nothing of the program any more.
pub(super) fn set_departed(node: NodeId) {
    DEPARTED.fetch_or(1 << node.0, Ordering::SeqCst);
}

/// Whether nothing is lost with a node, as it has nothing of the program any more.
pub fn has_departed(node: NodeId) -> bool {
    has(DEPARTED.load(Ordering::SeqCst), node)
}

/// Says that a node is gone.
pub(super) fn set_gone(node: NodeId) {
    GONE.fetch_or(1 << node.0, Ordering::SeqCst);
    set_cpus(node, 0);
}

/// Whether a node was a member and is not any more.
pub fn is_gone(node: NodeId) -> bool {
    has(GONE.load(Ordering::SeqCst), node)
}

/// The nodes that were members and are not any more, but for those that were drained.
pub fn gone() -> impl Iterator<Item = NodeId> {
    let gone = GONE.load(Ordering::SeqCst) & !DEPARTED.load(Ordering::SeqCst);
    (0..MOST).map(NodeId).filter(move |&node| has(gone, node))
}

/// Whether a set of nodes, a bit for each, has this one.
fn has(set: u64, node: NodeId) -> bool {
    let from_node = set.checked_shr(node.0.into());
    from_node.is_some_and(|bits| bits & 1 != 0)
}

/// The node whose heap, stacks and mappings memory at `address` is of: who gives it out and takes
/// it back. The program's variables are the first node's.
pub fn owner_of(address: u64) -> NodeId {
    layout::slice_at(address).map_or(FIRST, NodeId)
}

/// The home of the memory at `address`: its owner, or whoever has its slice since the owner is
/// gone.
pub fn home_of(address: u64) -> NodeId {
    let owner = owner_of(address);
    NodeId(HOMES[usize::from(owner.0)].load(Ordering::SeqCst))
}
