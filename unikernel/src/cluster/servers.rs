//! Threads that do what other nodes ask for and what needs a thread: it may wait.
//!
//! One of them waits for work at any time; whoever takes some, and leaves nobody waiting, starts
//! another one first. So work never waits for work that was there before it, which might
//! wait for ever.

use alloc::collections::VecDeque;
use core::alloc::Layout;
use core::sync::atomic::{AtomicUsize, Ordering};

use darner_coherence::NodeId;

use super::record::{self, Kind, Record, Words};
use super::{Request, drain, place, tell};
use crate::abi::process::{self, NORMAL_PRIORITY};
use crate::memory::program_heap;
use crate::sched::{self, SpawnError, WaitQueue};
use crate::sync::Lock;
use crate::{boot, panic};

/// Calls of the program run on it.
const STACK_BYTES: u64 = 64 << 10;
/// They are somebody's call: not to wait behind what computes.
const PRIORITY: u8 = NORMAL_PRIORITY + 1;

/// Something to be done.
pub enum Work {
    /// What another node asks for.
    Asked {
        /// For whom.
        from: NodeId,
        /// What.
        record: Record,
    },
    /// What boot leaves to a thread: it touches cluster memory.
    Own(fn()),
    /// The program has ended on another node, with that status.
    Over(i32),
}

static WORK: Lock<VecDeque<Work>> = Lock::new(VecDeque::new());
static WAITERS: WaitQueue = WaitQueue::new();
/// Threads that wait for work, or are about to.
static IDLE: AtomicUsize = AtomicUsize::new(0);

/// Starts the first. Boot.
pub fn start() {
    start_one();
}

fn start_one() {
    IDLE.fetch_add(1, Ordering::Relaxed);
    if sched::spawn_kernel(run, 0, PRIORITY, STACK_BYTES, None).is_err() {
        panic::refuse(format_args!(
            "there is no memory for a thread that serves other nodes; give the VM more memory"
        ));
    }
}

/// Has one of the threads do it. The protocol thread, and boot.
pub fn give(work: Work) {
    WORK.lock().push_back(work);
    WAITERS.wake_one();
}

extern "C" fn run(_: usize) {
    loop {
        let Some(work) = WAITERS.wait_until(None, || WORK.lock().pop_front()) else {
            continue;
        };
        if IDLE.fetch_sub(1, Ordering::Relaxed) == 1 {
            start_one();
        }
        match work {
            Work::Own(work) => work(),
            Work::Over(status) => process::sys_exit(status),
            Work::Asked { from, record } => {
                let words = serve(&record);
                if record.call != 0 {
                    tell(Request::Answer {
                        to: from,
                        call: record.call,
                        words,
                    });
                }
            }
        }
        IDLE.fetch_add(1, Ordering::Relaxed);
    }
}

fn serve(asked: &Record) -> Words {
    let words = asked.words;
    match asked.kind {
        Kind::Spawn => spawn(words),
        Kind::Drain => record::words([drain::number(drain::begin())]),
        Kind::Join => {
            sched::join(words[0] as sched::Tid);
            Words::default()
        }
        Kind::Delegate => call(words),
        Kind::Place => {
            let (kind, value) = place::here(words[0]).numbers();
            record::words([kind, value])
        }
        Kind::Free => {
            if let Ok(layout) = Layout::from_size_align(words[1] as usize, words[2] as usize) {
                let block = core::ptr::with_exposed_provenance_mut(words[0] as usize);
                // SAFETY: the program has freed it, on another node; what is no block is refused.
                unsafe { program_heap::deallocate(block, layout) };
            }
            Words::default()
        }
        _ => unreachable!("the engine does these itself"),
    }
}

/// Starts a thread of the program. Its number, or 0 and whether this node takes none.
fn spawn(words: Words) -> Words {
    let [entry, arg, priority, stack_bytes, ..] = words;
    if !boot::is_text(entry) {
        log::error!("another node wants a thread to begin at {entry:#x}, which is no code");
        return Words::default();
    }
    // SAFETY: the image is the same on all nodes, and there the address is that of a function
    // of this type: `sys_spawn2` was given it.
    let entry: extern "C" fn(usize) = unsafe { core::mem::transmute(entry as usize) };
    let start = || sched::spawn(entry, arg as usize, priority as u8, stack_bytes, None);
    match drain::start(start) {
        Ok(tid) => record::words([tid.into()]),
        Err(why) => record::words([0, u64::from(why == SpawnError::NoNode)]),
    }
}

/// Does a call of the program. Its result, and the error number.
fn call(words: Words) -> Words {
    let [function, a, b, c, d, e, f, _] = words;
    if !boot::is_kernel_text(function) {
        log::error!("another node wants a call to {function:#x}, which is none of the kernel's");
        return Words::default();
    }
    let errno = &sched::current().kept.errno;
    errno.store(0, Ordering::Relaxed);
    let result = perform(function, &[a, b, c, d, e, f]);
    record::words([result, errno.load(Ordering::Relaxed) as u64])
}

/// Calls one of the ABI's functions: its address is what `delegate` was given, here or on another node.
pub(super) fn perform(function: u64, &[a, b, c, d, e, f]: &[u64; 6]) -> u64 {
    // SAFETY: the image is the same on all nodes, and the address is that of one of the ABI's
    // functions. They take up to six integers, and return one.
    let function: extern "C" fn(u64, u64, u64, u64, u64, u64) -> u64 =
        unsafe { core::mem::transmute(function as usize) };
    function(a, b, c, d, e, f)
}
