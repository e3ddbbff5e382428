//! A thread on each CPU, all at the same time.
//!
//! The threads have the highest priority, and there is one for each CPU. Once each is
//! on its own, none is ever ready without running, so none is given away.

use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use darner_lwkt::{Machine, MayBlock};

use super::{Failure, PATIENCE};
use crate::arch::percpu::this_index;
use crate::sched::{self, Kernel};
use crate::sync::Lock;
use crate::time::monotonic_ns;

const HIGHEST_PRIORITY: u8 = 31;
const STACK_BYTES: u64 = 256 << 10;

/// The threads of a test.
pub struct Gang {
    members: usize,
    /// How often members have come to a barrier.
    come: AtomicUsize,
    /// A member was found on another CPU than its own.
    strayed: AtomicBool,
    failure: Lock<Option<Failure>>,
}

/// One thread of a [`Gang`].
pub struct Member<'a> {
    gang: &'a Gang,
    /// Its own CPU.
    pub cpu: usize,
    /// To wait with.
    pub leave: MayBlock<Kernel>,
}

type Body<'a> = &'a (dyn Fn(&Member<'_>) -> Result<(), Failure> + Sync);

/// What a thread is started with.
struct Start<'a> {
    gang: &'a Gang,
    cpu: usize,
    body: Body<'a>,
}

/// Runs `body` on every CPU, and waits for all. The first failure, if there is one.
pub fn on_every_cpu(body: Body<'_>) -> Result<(), Failure> {
    let gang = Gang {
        members: Kernel::cpus(),
        come: AtomicUsize::new(0),
        strayed: AtomicBool::new(false),
        failure: Lock::new(None),
    };
    let starts: Vec<Start<'_>> = (0..gang.members)
        .map(|cpu| Start {
            gang: &gang,
            cpu,
            body,
        })
        .collect();
    let mut threads = Vec::new();
    for start in &starts {
        let tid = sched::spawn(
            begin,
            core::ptr::from_ref(start).expose_provenance(),
            HIGHEST_PRIORITY,
            STACK_BYTES,
            Some(start.cpu),
        );
        match tid {
            Ok(tid) => threads.push(tid),
            Err(error) => {
                // The others wait for this one at their first barrier.
                gang.fail(format!("no thread for CPU {}: {error:?}", start.cpu));
                break;
            }
        }
    }
    for tid in threads {
        sched::join(tid);
    }
    let failure = gang.failure.lock().take();
    match failure {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

extern "C" fn begin(start: usize) {
    // SAFETY: `on_every_cpu` keeps what it starts threads with until they have ended.
    let start = unsafe { &*core::ptr::with_exposed_provenance::<Start<'_>>(start) };
    let member = Member {
        gang: start.gang,
        cpu: start.cpu,
        // SAFETY: the thread has just begun, and uses this in no section.
        leave: unsafe { MayBlock::assume() },
    };
    if let Err(failure) = member.settle().and_then(|()| (start.body)(&member)) {
        start.gang.fail(format!("CPU {}: {failure}", start.cpu));
    }
}

impl Gang {
    fn fail(&self, failure: Failure) {
        self.failure.lock().get_or_insert(failure);
    }
}

impl Member<'_> {
    /// How many members there are.
    pub fn members(&self) -> usize {
        self.gang.members
    }

    /// Goes to the member's CPU and waits there for the others.
    fn settle(&self) -> Result<(), Failure> {
        loop {
            while this_index() != self.cpu {
                sched::scheduler().migrate(&self.leave, self.cpu);
            }
            self.barrier()?;
            // A member that is not running yet may have been moved since it was here.
            if this_index() != self.cpu {
                self.gang.strayed.store(true, Ordering::Relaxed);
            }
            self.barrier()?;
            let strayed = self.gang.strayed.load(Ordering::Relaxed);
            self.barrier()?;
            if !strayed {
                return Ok(());
            }
            self.gang.strayed.store(false, Ordering::Relaxed);
        }
    }

    /// Waits for all members.
    pub fn barrier(&self) -> Result<(), Failure> {
        let come = self.gang.come.fetch_add(1, Ordering::AcqRel);
        let all = (come / self.gang.members + 1) * self.gang.members;
        self.wait_until("the threads of the other CPUs", || {
            self.gang.come.load(Ordering::Acquire) >= all
        })
    }

    /// Waits for `condition`, and lets other threads of the priority run meanwhile.
    /// An error after [`PATIENCE`], or when another member has failed.
    pub fn wait_until(&self, what: &str, condition: impl Fn() -> bool) -> Result<(), Failure> {
        let begin = monotonic_ns();
        while !condition() {
            let waited = monotonic_ns() - begin;
            if waited > PATIENCE {
                return Err(format!("waited {} ms for {what}", waited / 1_000_000));
            }
            if self.gang.failure.lock().is_some() {
                return Err(format!("gave up waiting for {what}"));
            }
            Kernel::pause();
            sched::yield_now();
        }
        Ok(())
    }
}
