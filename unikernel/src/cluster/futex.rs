//! Waiting for words of cluster memory.
//!
//! Who waits for a word is known at the word's *home*, the node in whose slice it is; so to wait and
//! to wake cost messages, and no page moves for it. A thread is first entered there, and
//! then looks at the word: who changes the word after that look finds the thread. (A look
//! before, or one by the home, would leave a gap or have to fetch the page.)
//!
//! Threads of the home's own node are in its table as they are without a cluster; those of others
//! are in a second one. A wake-up goes to the home's own first.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use darner_coherence::NodeId;

use super::nodes::home_of;
use super::record::{Kind, Words, words};
use super::{Reply, Request, call, covers, me, tell};
use crate::sched::{self, FutexWait, ThreadRef, block_current, wake_thread};
use crate::sync::Lock;

/// A thread of another node that waits here: its node, and the ticket that it is known by there.
type Remote = (NodeId, u64);

/// Threads of other nodes that wait for words whose home this is, by address.
static REMOTE: Lock<BTreeMap<usize, VecDeque<Remote>>> = Lock::new(BTreeMap::new());
/// How many those are.
static REMOTE_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Threads of this node that wait at other homes, by ticket.
static WAITING: Lock<BTreeMap<u64, Waiting>> = Lock::new(BTreeMap::new());

struct Waiting {
    /// Where.
    home: NodeId,
    /// For the word at this address.
    address: u64,
    thread: ThreadRef,
}

static LAST_TICKET: AtomicU64 = AtomicU64::new(0);

/// Blocks while the word has the value `expected`, until a wake-up, or until `deadline`
/// (monotonic ns). The caller has checked the word's address. Thread context, no lock held.
pub fn futex_wait(word: &AtomicU32, expected: u32, deadline: Option<u64>) -> FutexWait {
    let address = core::ptr::from_ref(word).addr();
    let home = home_of(address as u64);
    if home.0 == me() {
        let pass_on = || {
            futex_wake(address, 1);
        };
        let is_changed = || word.load(Ordering::SeqCst) != expected || !is_home(address);
        return sched::futex_enlist_and_wait(address, is_changed, deadline, pass_on);
    }
    let ticket = LAST_TICKET.fetch_add(1, Ordering::Relaxed) + 1;
    let waiting = Waiting {
        home,
        address: address as u64,
        thread: sched::current(),
    };
    WAITING.lock().insert(ticket, waiting);
    let words = words([address as u64, ticket]);
    let entered = call(Request::Call {
        to: home,
        kind: Kind::FutexWait,
        words,
    });
    if matches!(entered, Reply::Gone) {
        // The word has another home now. As after any wake-up, the caller looks again.
        WAITING.lock().remove(&ticket);
        return FutexWait::Woken;
    }
    // The word may have got another home before this thread was known to wait at the one before.
    if word.load(Ordering::SeqCst) != expected || home_of(address as u64) != home {
        if !cancel(home, words) {
            // A waker took this thread for one that sleeps. It was meant for one that does.
            futex_wake(address, 1);
        }
        return FutexWait::Changed;
    }
    while WAITING.lock().contains_key(&ticket) {
        if block_current(deadline) {
            return match cancel(home, words) {
                true => FutexWait::TimedOut,
                // A waker was faster: its message came before that answer.
                false => FutexWait::Woken,
            };
        }
    }
    FutexWait::Woken
}

/// Takes a thread of this node out of the table at `home`; false: it had been woken.
fn cancel(home: NodeId, words: Words) -> bool {
    let answer = call(Request::Call {
        to: home,
        kind: Kind::FutexCancel,
        words,
    });
    WAITING.lock().remove(&words[1]);
    matches!(answer, Reply::Words([1, ..]))
}

/// Wakes up to `count` threads, of any node, that wait for the word at `address`. How many.
/// Thread context, no lock held.
pub fn futex_wake(address: usize, count: usize) -> usize {
    let home = home_of(address as u64);
    if home.0 == me() {
        return wake_here(address, count, |to, ticket| {
            tell(Request::Tell {
                to,
                kind: Kind::FutexWoken,
                words: words([ticket]),
            });
        });
    }
    let answer = call(Request::Call {
        to: home,
        kind: Kind::FutexWake,
        words: words([address as u64, count as u64]),
    });
    match answer {
        Reply::Words([woken, ..]) => woken as usize,
        // Those that waited there are woken, and may wait at the new home already.
        Reply::Gone => futex_wake(address, count),
        _ => 0,
    }
}

/// Wakes up to `count` threads that wait for a word whose home this is; those of other nodes by
/// `say`. How many.
pub(super) fn wake_here(address: usize, count: usize, mut say: impl FnMut(NodeId, u64)) -> usize {
    let mut woken = sched::futex_wake(address, count);
    if REMOTE_COUNT.load(Ordering::SeqCst) == 0 {
        return woken;
    }
    while woken < count
        && let Some((node, ticket)) = take_remote(address)
    {
        say(node, ticket);
        woken += 1;
    }
    woken
}

fn take_remote(address: usize) -> Option<Remote> {
    let mut remote = REMOTE.lock();
    let waiters = remote.get_mut(&address)?;
    let first = waiters.pop_front();
    if waiters.is_empty() {
        remote.remove(&address);
    }
    if first.is_some() {
        REMOTE_COUNT.fetch_sub(1, Ordering::SeqCst);
    }
    first
}

/// A thread of another node is about to wait. The protocol thread.
pub(super) fn enlist(from: NodeId, words: Words) {
    let [address, ticket, ..] = words;
    let mut remote = REMOTE.lock();
    remote
        .entry(address as usize)
        .or_default()
        .push_back((from, ticket));
    REMOTE_COUNT.fetch_add(1, Ordering::SeqCst);
}

/// It waits no more. Whether it still did. The protocol thread.
pub(super) fn strike(from: NodeId, words: Words) -> bool {
    let [address, ticket, ..] = words;
    let address = address as usize;
    let mut remote = REMOTE.lock();
    let Some(waiters) = remote.get_mut(&address) else {
        return false;
    };
    let before = waiters.len();
    waiters.retain(|&waiter| waiter != (from, ticket));
    let struck = before - waiters.len();
    if waiters.is_empty() {
        remote.remove(&address);
    }
    REMOTE_COUNT.fetch_sub(struck, Ordering::SeqCst);
    struck > 0
}

/// A thread of this node that waits at another home is woken. The protocol thread.
pub(super) fn woken(ticket: u64) {
    let waiting = WAITING.lock().remove(&ticket);
    if let Some(waiting) = waiting {
        wake_thread(&waiting.thread);
    }
}

/// Words have other homes than before, which [`home_of`] knows: whoever waits for one looks again, and waits there. The protocol
/// thread.
pub(super) fn homes_moved() {
    wake_waiting(|waiting| home_of(waiting.address) != waiting.home);
    keep_remote(|address, _| is_home(address));
    sched::futex_wake_where(|address| covers(address as u64) && !is_home(address));
}

/// A node is gone: nobody there waits any more, and whoever waited there looks again, at the words'
/// new home. The protocol thread.
pub(super) fn node_gone(node: NodeId) {
    wake_waiting(|waiting| waiting.home == node);
    keep_remote(|_, from| from != node);
}

/// Whether this node is the home of the word at `address`.
fn is_home(address: usize) -> bool {
    home_of(address as u64).0 == me()
}

/// Wakes threads of this node that wait at other homes.
fn wake_waiting(which: impl Fn(&Waiting) -> bool) {
    let waited: Vec<Waiting> = {
        let mut waiting = WAITING.lock();
        let waited = waiting.extract_if(.., |_, waiting| which(waiting));
        waited.map(|(_, waited)| waited).collect()
    };
    for waited in waited {
        wake_thread(&waited.thread);
    }
}

/// Forgets those who wait here, but for `which`, by address and node.
fn keep_remote(which: impl Fn(usize, NodeId) -> bool) {
    let mut remote = REMOTE.lock();
    let mut struck = 0;
    remote.retain(|&address, waiters| {
        let before = waiters.len();
        waiters.retain(|&(from, _)| which(address, from));
        struck += before - waiters.len();
        !waiters.is_empty()
    });
    REMOTE_COUNT.fetch_sub(struck, Ordering::SeqCst);
}
