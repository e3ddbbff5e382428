//! Nodes, and what a program wants of them. The crate `darner` is what a program calls this
//! through.

use darner_coherence::{Access, NodeId};
use hermit_abi::{EALREADY, EFAULT, EHOSTUNREACH, EINVAL, EPERM, ESRCH};

use super::user::{Errno, UserSlice, answer};
use crate::arch::percpu;
use crate::cluster::drain::{self, NotDrained};
use crate::cluster::placement::Placement;
use crate::cluster::{self, nodes, statistics};
use crate::layout::PAGE;
use crate::sched;

/// How many nodes there may be. They are numbered from 0; those that are there have CPUs.
pub extern "C" fn sys_darner_nodes() -> u32 {
    cluster::config().map_or(1, |config| config.nodes.into())
}

/// Has a node drain: it takes no more threads, and leaves when its last one has ended, without anything being lost. Returns when it
/// takes no more. EINVAL: there is no node of that number. EPERM: it is the first one, which has the program's files. EALREADY: it
/// drains already. ESRCH: it is not there, not yet or no more.
pub extern "C" fn sys_darner_drain(node: u32) -> i32 {
    let Some(node) = u16::try_from(node)
        .ok()
        .filter(|&node| u32::from(node) < sys_darner_nodes())
    else {
        return answer(Err(Errno(EINVAL)));
    };
    let drained = match cluster::is_active() {
        true => drain::drain(NodeId(node)),
        false => Err(NotDrained::First),
    };
    answer(drained.map(|()| 0).map_err(|why| {
        Errno(match why {
            NotDrained::First => EPERM,
            NotDrained::Already => EALREADY,
            NotDrained::NotThere => ESRCH,
        })
    }))
}

/// The number of the node that the calling thread is on.
pub extern "C" fn sys_darner_here() -> u32 {
    cluster::me().into()
}

/// CPUs of a node; 0 if there is no such node, or it has not come yet, or is gone.
pub extern "C" fn sys_darner_cpus(node: u32) -> u32 {
    match u16::try_from(node) {
        Ok(node) if cluster::is_active() => nodes::cpus_of(NodeId(node)).into(),
        Ok(0) => percpu::online() as u32,
        _ => 0,
    }
}

fn place(number: i32) -> Result<i32, Errno> {
    let placement = Placement::of(number).ok_or(Errno(EINVAL))?;
    if let Placement::On(node) = placement
        && u32::from(node.0) >= sys_darner_nodes()
    {
        return Err(Errno(EINVAL));
    }
    let before = sched::current().kept.placement.replace(placement);
    Ok(before.number())
}

/// Says where threads come up that the calling thread starts from now on: a node's number, -1 for all CPUs of
/// all nodes in turn, -2 for its own node. What it was before is stored at `before`. EINVAL: there is no
/// node of that number. One that is not there is found out when a thread is started.
pub extern "C" fn sys_darner_place(number: i32, before: *mut i32) -> i32 {
    answer(place(number).and_then(|was| {
        super::user::write(before, was)?;
        Ok(0)
    }))
}

/// Asks for memory that the program will read, or write if `write` is not 0. Returns how many bytes
/// from `start` on were asked for, or are there; it may be less than `bytes`. EFAULT: this is no
/// memory of the program.
pub extern "C" fn sys_darner_prefetch(start: *const u8, bytes: usize, write: u32) -> isize {
    let access = match write {
        0 => Access::Read,
        _ => Access::Write,
    };
    let asked = UserSlice::new(start, bytes).map(|_| match cluster::is_active() {
        true => {
            let pages = cluster::prefetch(start.addr() as u64, bytes as u64, access);
            let end = (start.addr() as u64 / PAGE + pages) * PAGE;
            end.saturating_sub(start.addr() as u64).min(bytes as u64) as usize
        }
        false => bytes,
    });
    super::user::answer_size(asked)
}

fn count(node: u32, into: *mut u64, words: usize) -> Result<i32, Errno> {
    let node = u16::try_from(node).map_err(|_| Errno(EINVAL))?;
    if u32::from(node) >= sys_darner_nodes() {
        return Err(Errno(EINVAL));
    }
    let bytes = words.checked_mul(size_of::<u64>()).ok_or(Errno(EFAULT))?;
    let into = UserSlice::new(into.cast_const(), bytes)?;
    let mut told = 0;
    statistics::gather(node, |first, numbers| {
        let room = words.saturating_sub(first).min(numbers.len());
        for (place, number) in (first..).zip(&numbers[..room]) {
            into.copy_out(place * size_of::<u64>(), &number.to_ne_bytes());
        }
        told += room;
    });
    Ok(told as i32)
}

/// Stores what a node has counted of the cluster's memory at `into`, which has room for so many
/// numbers. Returns how many were stored: none if there is no cluster, or the node is not there. EINVAL: there is
/// no node of that number.
/// EFAULT: this is no memory of the program.
pub extern "C" fn sys_darner_count(node: u32, into: *mut u64, words: usize) -> i32 {
    answer(count(node, into, words))
}

fn echo(node: u32) -> Result<i32, Errno> {
    let node = u16::try_from(node).map_err(|_| Errno(EINVAL))?;
    if u32::from(node) >= sys_darner_nodes() {
        return Err(Errno(EINVAL));
    }
    match cluster::echo(NodeId(node)) {
        true => Ok(0),
        false => Err(Errno(EHOSTUNREACH)),
    }
}

/// Sends another node 64 bytes by the link that the memory's pages go by, and waits for its answer, which is as long
/// as a page. EINVAL: there is no node of that number. EHOSTUNREACH: it is not there, or gone.
pub extern "C" fn sys_darner_echo(node: u32) -> i32 {
    answer(echo(node))
}
