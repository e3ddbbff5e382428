//! What cluster memory is for, by its address.

use darner_abi::Place;
use darner_coherence::NodeId;

use super::record::{Kind, words};
use super::{FIRST, Reply, Request, call, me, nodes};
use crate::memory::program_heap;
use crate::sched::{self, Belonging};
use crate::{boot, layout};

/// The node whose memory `address` is, and what is there; that node is asked. Thread context, no lock held.
pub fn at(address: u64) -> (NodeId, Place) {
    let Some(node) = layout::slice_at(address) else {
        let variable = boot::link_address_of_variable(address);
        return (FIRST, variable.map_or(Place::Unknown, Place::Variable));
    };
    if node == me() {
        return (NodeId(node), here(address));
    }
    let node = NodeId(node);
    // Nobody answers for a node that is not there.
    if nodes::cpus_of(node) == 0 {
        return (node, Place::Unknown);
    }
    let asked = Request::Call {
        to: node,
        kind: Kind::Place,
        words: words([address]),
    };
    let place = match call(asked) {
        Reply::Words([kind, value, ..]) => Place::of(kind, value),
        _ => None,
    };
    (node, place.unwrap_or_default())
}

/// What is at `address`, of this node's slice. Takes as long as there are threads; thread context, no lock
/// held.
pub fn here(address: u64) -> Place {
    match sched::owner_of(address) {
        Some((tid, Belonging::Stack)) => return Place::Stack(tid),
        Some((tid, Belonging::ThreadLocal)) => return Place::ThreadLocal(tid),
        None => {}
    }
    if address >= layout::slice(me()).regions {
        return Place::Mapping;
    }
    match program_heap::place_at(address) {
        Some(darner_slab::Place::Zone(bytes)) => Place::Blocks(bytes as u64),
        Some(darner_slab::Place::Run(bytes)) => Place::Pages(bytes as u64),
        None => Place::FreeHeap,
    }
}
