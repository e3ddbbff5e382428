//! The node as a part of a cluster: several machines that run one program in one memory.
//!
//! With `cluster=I/N` on the command line this is node I of N, and all of the program's memory
//! (its variables, heaps, stacks) is *cluster memory*: coherent, whichever node touches it.
//! Without, none of this is used.
//!
//! * The [`engine`] belongs to the protocol thread, as the stack does: coherence, the links to
//!   the other nodes, and what is under way. Nobody else touches it, so it has no lock.
//! * A thread that touches a page that the node has no right to is in [`fault`]: it asks the
//!   engine by message, and waits.
//! * What needs a thread ([`calls`]: to start one here for another node, or to do a call of the
//!   program's for it) is left to [`servers`].

pub mod calls;
pub mod census;
pub mod config;
pub mod drain;
mod engine;
mod frames;
mod futex;
mod identity;
mod links;
pub mod lost;
mod members;
pub mod nodes;
mod orders;
mod place;
pub mod placement;
mod record;
pub mod retirement;
mod sampling;
mod servers;
pub mod statistics;
mod timers;

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering};

use darner_abi::Sample;
use darner_coherence::{Access, NodeId, PageIndex};
use darner_lwkt::port::{Bounds, QueuePort, Receiver, thread_port};
use spin::Once;

pub use self::config::ClusterConfig;
pub use self::engine::Engine;
pub use self::futex::{futex_wait, futex_wake};
pub use self::links::Progress;
use self::record::{Kind, Words};
use self::retirement::Progress as Retired;
pub use self::sampling::start as start_sampling;
use crate::arch::idt::TrapFrame;
use crate::layout::{self, PAGE};
use crate::memory::{paging, program_heap, regions};
use crate::net;
use crate::sched::{self, Kernel, ThreadRef};
use crate::time::uptime_ns;

/// What threads ask of the engine.
pub enum Request {
    /// A thread may not access a page.
    Fault {
        /// The thread.
        thread: ThreadRef,
        /// Where.
        address: u64,
        /// For what.
        access: Access,
        /// When ([`uptime_ns`]).
        since: u64,
        /// What it had done since it last faulted.
        progress: Retired,
    },
    /// Freed memory, of which nobody needs the bytes.
    Discard {
        /// The thread that waits for it.
        tid: sched::Tid,
        /// The first page.
        first: PageIndex,
        /// How many.
        pages: u64,
    },
    /// Pages that the program will touch.
    Prefetch {
        /// The first page.
        first: PageIndex,
        /// How many.
        pages: u64,
        /// For what.
        access: Access,
    },
    /// Something is to be done by another node.
    Call {
        /// Which.
        to: NodeId,
        /// What.
        kind: Kind,
        /// With what.
        words: Words,
    },
    /// The same, without an answer.
    Tell {
        /// Which.
        to: NodeId,
        /// What.
        kind: Kind,
        /// With what.
        words: Words,
    },
    /// What was done for another node.
    Answer {
        /// Which.
        to: NodeId,
        /// Its call.
        call: u64,
        /// The result.
        words: Words,
    },
    /// Wants to know when the node is one of the cluster, and serves.
    Ready,
    /// The program has ended: the other nodes are to be told.
    Leave,
    /// A node drains: this one from now on. Answered when that is known here.
    Drain {
        /// Which.
        node: NodeId,
    },
    /// This node is to give up all that it has. Answered when it has nothing.
    Empty,
    /// This node is to leave, as it has nothing.
    Resign,
    /// Wants to know what this node has counted. Others are asked by a call.
    Statistics {
        /// The place of the first of eight numbers.
        first: u64,
    },
    /// Wants all that this node has counted, and the pages that were waited for most since the last time.
    Sample(Box<Sample>),
}

/// What the engine answers.
pub enum Reply {
    /// It is done.
    Done,
    /// The only copy of the page died with its node.
    Lost,
    /// What the other node answered.
    Words(Words),
    /// The sample, with what was asked for.
    Sample(Box<Sample>),
    /// The other node is gone; nobody knows whether it has done what it was asked for.
    Gone,
}

type Requests = QueuePort<Kernel, Request, Reply>;
type Requested = Receiver<Kernel, Request, Reply>;

/// Requests that may wait.
const REQUESTS: usize = 256;
/// Requests that may be under way: faults, and calls of any length.
const UNDER_WAY: usize = 1 << 16;

static CONFIG: Once<&'static ClusterConfig> = Once::new();
static PORT: Once<Requests> = Once::new();
/// Not 0 where the program's calls take a detour: on all nodes but the first, which does them; and there while it
/// does not serve, until it does. Read by the ABI's entry.
pub static DETOUR: AtomicU32 = AtomicU32::new(0);
/// The program's variables: start and end, whole pages, of each part of the image that has some.
static VARIABLES: Once<alloc::vec::Vec<(u64, u64)>> = Once::new();

/// The node that has the program's first thread, its files and its sockets.
pub const FIRST: NodeId = NodeId(0);

/// Says that this node is one of a cluster. Boot, before the program's heap is made.
pub fn set_config(config: &'static ClusterConfig) {
    CONFIG.call_once(|| config);
    DETOUR.store(u32::from(config.me != FIRST), Ordering::Relaxed);
}

/// What the command line says about the cluster, if this node is in one. Any context.
pub fn config() -> Option<&'static ClusterConfig> {
    CONFIG.get().copied()
}

/// This node's number; 0 if it is in no cluster. Any context.
#[inline]
pub fn me() -> u16 {
    config().map_or(0, |config| config.me.0)
}

/// Whether this node is one of a cluster. Any context.
#[inline]
pub fn is_active() -> bool {
    CONFIG.is_completed()
}

/// Whether the program's calls are done by the first node. Any context.
pub fn is_guest() -> bool {
    is_active() && me() != FIRST.0
}

/// Makes the engine, for the protocol thread to run. Boot, before the network is started and the
/// program has written anything. `image` makes a hash of the image. `None`: this node is in no
/// cluster.
pub fn engine(
    variables: impl Iterator<Item = (u64, u64)>,
    image: impl FnOnce() -> [u8; 32],
) -> Option<Box<Engine>> {
    let config = config()?;
    let (key, identity) = identity::of_this_node(config, image());
    VARIABLES.call_once(|| variables.collect());
    let (port, requests) = thread_port(Bounds::new(REQUESTS).kept(UNDER_WAY));
    PORT.call_once(|| port);
    // A program's thread may start the network, on a kernel stack that has no room for it.
    Some(Box::new(Engine::new(config, key, identity, requests)))
}

/// The program has ended: tells the other nodes, and waits until that is under way. Thread
/// context, no lock held.
pub fn leave() {
    if is_active() {
        call(Request::Leave);
    }
}

/// Starts what serves other nodes, and what listens to orders. Boot, once the scheduler is there.
pub fn start_servers() {
    servers::start();
    if is_guest() {
        do_in_thread(orders::listen);
    }
}

/// Has a thread do what boot cannot: it touches cluster memory. Boot.
pub fn do_in_thread(work: fn()) {
    servers::give(servers::Work::Own(work));
}

/// The program's variables: whole pages, start and end.
fn variables() -> &'static [(u64, u64)] {
    VARIABLES.get().map_or(&[], |ranges| ranges)
}

/// Whether an address is cluster memory. Any context.
pub fn covers(address: u64) -> bool {
    let is_variable = || {
        let mut variables = variables().iter();
        variables.any(|&(start, end)| (start..end).contains(&address))
    };
    is_active() && (layout::slice_at(address).is_some() || is_variable())
}

/// Why an access cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAccess {
    /// Nothing is there.
    Wild,
    /// The only copy died with its node.
    Lost,
}

/// Waits until the calling thread may access the page at `address`, which [`covers`] found to be
/// cluster memory, as it has tried; `frame` is what it goes on with. Thread context, no lock held.
pub fn fault(address: u64, write: bool, frame: &mut TrapFrame) -> Result<(), NoAccess> {
    let since = uptime_ns();
    if paging::allows(address, write) {
        // Another thread has waited for it.
        return Ok(());
    }
    if !is_there(address) {
        return Err(NoAccess::Wild);
    }
    let access = if write { Access::Write } else { Access::Read };
    let thread = sched::current();
    let progress = thread.kept.given.fault(address / PAGE, write, frame);
    let asked = Request::Fault {
        thread: thread.clone(),
        address,
        access,
        since,
        progress,
    };
    let result = match call(asked) {
        Reply::Lost => Err(NoAccess::Lost),
        _ => Ok(()),
    };
    thread.kept.given.resume(frame);
    // A wake-up that was meant for something else may have come meanwhile. Whoever blocks looks
    // at its condition again, so one too many does no harm.
    sched::wake_thread(&thread);
    result
}

/// Whether the program has memory there, as far as this node knows: of the others' slices it
/// knows nothing.
fn is_there(address: u64) -> bool {
    layout::slice_at(address) != Some(me())
        || program_heap::may_be_committed(address)
        || regions::is_in_use(address)
}

/// Forgets what is in whole pages of this node's slice: they are zeros again. Thread context,
/// no lock held.
pub fn discard(start: u64, bytes: u64) {
    call(Request::Discard {
        tid: crate::arch::percpu::current_tid(),
        first: PageIndex(start / PAGE),
        pages: bytes / PAGE,
    });
}

/// The most that [`prefetch`] asks for at a time, in pages.
const MOST_AHEAD: u64 = 1024;

/// Asks for memory that the program will touch, [`MOST_AHEAD`] pages of it at most; how many. Does not wait for
/// them. What is no cluster memory is there anyway. Thread context, no lock held.
pub fn prefetch(start: u64, bytes: u64, access: Access) -> u64 {
    if bytes == 0 || !covers(start) || !covers(start.saturating_add(bytes - 1)) {
        return 0;
    }
    let (first, last) = (start / PAGE, (start + bytes - 1) / PAGE);
    let pages = (last - first + 1).min(MOST_AHEAD);
    tell(Request::Prefetch {
        first: PageIndex(first),
        pages,
        access,
    });
    pages
}

/// Asks a node for as many bytes as a page has, and waits for them. Whether they have come: else it is not there, or
/// gone. Thread context, no lock held.
pub fn echo(node: NodeId) -> bool {
    if node.0 == me() {
        return true;
    }
    if !is_active() || nodes::cpus_of(node) == 0 {
        return false;
    }
    let asked = Request::Call {
        to: node,
        kind: Kind::Echo,
        words: Words::default(),
    };
    matches!(call(asked), Reply::Words(_))
}

/// Waits until all nodes are there that the program waits for. Thread context, no lock held.
pub fn wait_formed() {
    call(Request::Ready);
}

/// CPUs of all nodes. Any context.
pub fn cpus() -> usize {
    nodes::cpus().map(|(_, cpus)| cpus).sum()
}

/// The program has ended on this node with that status: says so to the first one, which ends
/// it everywhere. Thread context, no lock held.
pub fn announce_end(status: i32) {
    // Said here so that a program without a network does not carry one for this.
    if cfg!(feature = "net") && is_guest() {
        tell(Request::Tell {
            to: FIRST,
            kind: Kind::Over,
            words: record::words([status as u64]),
        });
        net::finish();
    }
}

/// Asks the engine, and waits. Thread context, no lock held.
fn call(request: Request) -> Reply {
    net::ask(port(), request)
}

/// Tells the engine what wants no answer. Thread context, no lock held.
fn tell(request: Request) {
    net::leave_at(port(), request);
    net::wake();
}

fn port() -> &'static Requests {
    PORT.get().expect("the engine is made before threads are")
}
