//! A machine for tests: its threads are those of the host, or of loom.

use core::cell::Cell;

use crate::critical::MayBlock;
use crate::machine::{Machine, Nanos, Park};

#[cfg(loom)]
pub(crate) use loom::{sync::Arc, thread};
#[cfg(not(loom))]
pub(crate) use std::thread;

#[cfg(loom)]
use loom::{sync::Notify, thread_local};
#[cfg(not(loom))]
use std::thread_local;

/// Threads that block and wake each other. None is on a particular CPU: data of a CPU,
/// messages and interrupts are not for them.
pub(crate) struct Threads;

thread_local! {
    /// How many critical sections the thread is in.
    static DEPTH: Cell<usize> = Cell::default();
    /// The thread's clock in a model, where time passes while threads park.
    #[cfg(loom)]
    static CLOCK: Cell<Nanos> = Cell::default();
}

// SAFETY: nobody is told a CPU, so there is no data of one to be reached.
unsafe impl Machine for Threads {
    fn cpu() -> usize {
        panic!("the threads of this machine are on no particular CPU");
    }

    /// More than one: another thread may run while this one looks.
    fn cpus() -> usize {
        2
    }

    fn enter_critical() {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
    }

    fn exit_critical() {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }

    fn is_critical() -> bool {
        DEPTH.with(Cell::get) > 0
    }

    fn interrupt(_target: usize) {
        panic!("the threads of this machine take no interrupts");
    }

    fn pause() {
        thread::yield_now();
    }

    #[cfg(not(loom))]
    fn now() -> Nanos {
        use std::{sync::LazyLock, time::Instant};
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        // 584 years fit.
        START.elapsed().as_nanos() as Nanos
    }

    #[cfg(loom)]
    fn now() -> Nanos {
        CLOCK.with(Cell::get)
    }
}

/// A thread of the host.
#[cfg(not(loom))]
#[derive(Clone)]
pub(crate) struct Thread(thread::Thread);

#[cfg(not(loom))]
impl PartialEq for Thread {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

#[cfg(not(loom))]
impl Park for Threads {
    type Thread = Thread;

    fn current() -> Thread {
        Thread(thread::current())
    }

    fn park(_leave: &MayBlock<Self>, deadline: Option<Nanos>) {
        assert!(!Self::is_critical(), "a thread parks in a critical section");
        match deadline {
            None => thread::park(),
            Some(deadline) => thread::park_timeout(std::time::Duration::from_nanos(
                deadline.saturating_sub(Self::now()),
            )),
        }
    }

    fn unpark(thread: &Thread) {
        thread.0.unpark();
    }
}

/// What a thread of loom parks on. Not loom's own `park`: an `unpark` there ends any
/// wait of the thread, even one for a mutex.
#[cfg(loom)]
#[derive(Clone)]
pub(crate) struct Thread(std::sync::Arc<Notify>);

#[cfg(loom)]
impl PartialEq for Thread {
    fn eq(&self, other: &Self) -> bool {
        std::sync::Arc::ptr_eq(&self.0, &other.0)
    }
}

#[cfg(loom)]
thread_local! {
    static THIS: Thread = Thread(std::sync::Arc::new(Notify::new()));
}

#[cfg(loom)]
impl Park for Threads {
    type Thread = Thread;

    fn current() -> Thread {
        THIS.with(Clone::clone)
    }

    /// With a deadline, that comes at once: other threads may have done anything or
    /// nothing meanwhile, which is all that a deadline can mean to a model. Once in the
    /// life of a thread it returns for no reason.
    fn park(_leave: &MayBlock<Self>, deadline: Option<Nanos>) {
        assert!(!Self::is_critical(), "a thread parks in a critical section");
        match deadline {
            None => Self::current().0.wait(),
            Some(deadline) => CLOCK.with(|clock| clock.set(clock.get().max(deadline))),
        }
    }

    fn unpark(thread: &Thread) {
        thread.0.notify();
    }
}

/// Leave to wait.
pub(crate) fn leave() -> MayBlock<Threads> {
    // SAFETY: tests are threads. That they are in no critical section when they wait
    // is checked when they park.
    unsafe { MayBlock::assume() }
}

/// Tries all orders of what the threads of `test` do, with up to `switches`
/// switches away from a thread that could have gone on. Prints how many there were.
#[cfg(loom)]
pub(crate) fn model(switches: usize, test: impl Fn() + Send + Sync + 'static) {
    use std::sync::atomic::{AtomicU64, Ordering};
    let orders = std::sync::Arc::new(AtomicU64::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    let count = orders.clone();
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        test();
    });
    println!("{} orders tried", orders.load(Ordering::Relaxed));
}

/// Runs `test` and panics if it takes more than a minute: it hangs.
#[cfg(not(loom))]
pub(crate) fn must_end(test: impl FnOnce() + Send + 'static) {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    let (ended, end) = channel::<()>();
    let runs = thread::spawn(move || {
        let _ended = ended;
        test();
    });
    match end.recv_timeout(std::time::Duration::from_secs(60)) {
        Err(RecvTimeoutError::Timeout) => panic!("the threads wait for each other for ever"),
        _ => {
            if let Err(panic) = runs.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}
