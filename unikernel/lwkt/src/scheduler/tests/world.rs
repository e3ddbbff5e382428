//! A simulated machine: CPUs, their interrupt lines and timers, and a clock.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::super::Scheduler;
use super::context::{Context, End};
use super::machine::{Host, reap};
#[cfg(not(loom))]
use super::program;
use super::sys::{Condvar, Mutex, thread, thread_local};
use crate::ipi::IpiQueues;
use crate::machine::Nanos;

/// What a machine is like.
#[derive(Clone)]
pub struct Config {
    /// How many CPUs.
    pub cpus: usize,
    /// How much time passes whenever somebody looks at the clock.
    pub drift: Nanos,
    /// What to do when all CPUs halt for ever though not all threads have ended;
    /// `None`: fail, somebody has not been woken.
    pub when_stuck: Option<Arc<dyn Fn() + Send + Sync>>,
    /// A thread of the host that is none of the machine's moves the clock; while all
    /// CPUs halt it stands still.
    pub driven: bool,
}

impl Config {
    /// So many CPUs, and a clock that goes on slowly by itself and quickly when all
    /// CPUs halt.
    pub fn of(cpus: usize) -> Self {
        Self {
            cpus,
            drift: 300,
            when_stuck: None,
            driven: false,
        }
    }
}

/// Bits of [`Cpu::pending`] and [`Cpu::deferred`].
pub const MESSAGE: usize = 1;
pub const TIMER: usize = 2;
pub const SWITCH: usize = 8;

/// One CPU's hardware, and what the kernel keeps in its per-CPU block.
pub struct Cpu {
    /// Interrupts that have been raised and not taken.
    pub pending: AtomicUsize,
    /// When the timer fires; [`Nanos::MAX`]: not at all. Its own CPU's.
    pub timer: AtomicU64,
    /// How many critical sections it is in. Its own.
    pub critical: AtomicU32,
    /// What has been put off. Its own.
    pub deferred: AtomicUsize,
    /// Interrupts are taken. Its own.
    pub enabled: AtomicBool,
    /// A thread runs, not the idle context. Its own, but for reports.
    pub runs_thread: AtomicBool,
    /// It waits for an interrupt. Changed with the lock of `World::halted` held.
    halts: AtomicBool,
    /// The round of the clock's driver that it has seen while it had nothing to do.
    pub settled: AtomicUsize,
}

/// The machine.
pub struct World {
    pub scheduler: Scheduler<Host>,
    pub messages: IpiQueues<Host>,
    pub cpus: Box<[Cpu]>,
    pub config: Config,
    clock: AtomicU64,
    /// When the first timer of a CPU that halts fires.
    next_timer: AtomicU64,
    /// How many CPUs wait for an interrupt.
    halted: Mutex<usize>,
    /// An interrupt has been raised, or time has passed.
    rung: Condvar,
    /// Threads that have been started and not been reaped.
    pub alive: AtomicUsize,
    /// Threads whose memory has not been given back.
    pub kept: Arc<AtomicUsize>,
    /// [`Config::driven`], as long as there is a driver.
    pub driven: AtomicBool,
    /// The round of the clock's driver.
    pub round: AtomicUsize,
    /// How many interrupts have been raised.
    pub raised: AtomicUsize,
    /// Something has gone wrong: all give up.
    failed: AtomicBool,
    #[cfg(not(any(loom, shuttle)))]
    failure: failure::Failure,
}

thread_local! {
    /// The machine that this thread of the host is part of.
    static WORLD: Cell<Option<&'static World>> = Cell::new(None);
    /// How many CPUs it has, or will have.
    static CPUS: Cell<usize> = Cell::new(0);
    /// The CPU that this thread holds, or held last.
    static CPU: Cell<usize> = Cell::new(0);
    /// This thread as a context.
    static CONTEXT: RefCell<Option<Arc<Context>>> = RefCell::new(None);
    /// This thread has ended as a context, and unwinds.
    static ENDED: Cell<bool> = Cell::new(false);
}

/// The machine that the caller is part of.
pub fn world() -> &'static World {
    WORLD.with(Cell::get).expect("on the simulated machine")
}

/// The number of the CPU that the caller holds.
pub fn cpu_number() -> usize {
    CPU.with(Cell::get)
}

/// How many CPUs the caller's machine has.
pub fn cpu_count() -> usize {
    CPUS.with(Cell::get)
}

/// The caller as a context.
pub fn context() -> Arc<Context> {
    CONTEXT
        .with(|context| context.borrow().clone())
        .expect("on the simulated machine")
}

/// The caller holds no CPU any more and only unwinds.
pub fn is_ended() -> bool {
    std::thread::panicking() || ENDED.with(Cell::get)
}

/// The caller is CPU `cpu` from now on.
pub fn hold(cpu: usize) {
    CPU.with(|number| number.set(cpu));
}

/// Unwinds the calling context.
pub fn end() -> ! {
    ENDED.with(|ended| ended.set(true));
    resume_unwind(Box::new(End))
}

/// Runs `body` as the context `me` of `world`, on CPU `cpu` at first, until it returns
/// or [`end`]s.
pub fn as_context(world: &'static World, cpu: usize, me: Arc<Context>, body: impl FnOnce()) {
    world.register(&me);
    WORLD.with(|here| here.set(Some(world)));
    CPUS.with(|cpus| cpus.set(world.cpus.len()));
    CONTEXT.with(|context| *context.borrow_mut() = Some(me));
    ENDED.with(|ended| ended.set(false));
    hold(cpu);
    let result = catch_unwind(AssertUnwindSafe(body));
    if let Err(payload) = result
        && !payload.is::<End>()
    {
        world.fail(payload);
    }
    CONTEXT.with(|context| *context.borrow_mut() = None);
    WORLD.with(|here| here.set(None));
}

/// Runs a machine whose first thread, on CPU 0, is `boot`, until all threads have
/// ended. Afterwards nothing of any thread may be left.
#[cfg(not(loom))]
pub fn run(config: Config, boot: impl FnOnce() + Send + 'static) {
    let cpus = config.cpus;
    run_first(config, || {
        let others: Vec<_> = (1..cpus)
            .map(|cpu| start_cpu(cpu, || world().run_idle()))
            .collect();
        program::spawn(10, Some(0), boot);
        world().release();
        world().run_idle();
        for other in others {
            other.join().expect("contexts catch their panics");
        }
    });
}

/// Has CPU `cpu` run its idle context, which the caller has to join.
pub fn start_cpu(cpu: usize, idle: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    let world = world();
    thread::spawn(move || as_context(world, cpu, Context::running(), idle))
}

/// Makes a machine and runs the idle context of its CPU 0, which is all that runs at
/// first. One more thread counts as alive, for [`World::release`]. When that returns, all threads must have
/// ended, and nothing of any may be left.
pub fn run_first(config: Config, idle: impl FnOnce()) {
    CPUS.with(|cpus| cpus.set(config.cpus));
    let world: &'static World = Box::leak(Box::new(World::new(config)));
    #[cfg(not(any(loom, shuttle)))]
    let watch = failure::Watch::over(world);
    as_context(world, 0, Context::running(), idle);
    #[cfg(not(any(loom, shuttle)))]
    drop(watch);
    #[cfg(not(any(loom, shuttle)))]
    world.failure.resume();
    world.drain();
    let kept = world.kept.clone();
    // SAFETY: from `Box::leak`; all other threads that knew it have ended.
    drop(unsafe { Box::from_raw(core::ptr::from_ref(world).cast_mut()) });
    assert_eq!(
        kept.load(Ordering::Relaxed),
        0,
        "counts of threads are lost"
    );
}

impl World {
    fn new(config: Config) -> Self {
        Self {
            scheduler: Scheduler::new(),
            messages: IpiQueues::new(8.max(config.cpus)),
            cpus: (0..config.cpus).map(|_| Cpu::new()).collect(),
            driven: AtomicBool::new(config.driven),
            config,
            clock: AtomicU64::new(1_000_000),
            next_timer: AtomicU64::new(Nanos::MAX),
            halted: Mutex::new(0),
            rung: Condvar::new(),
            // For the first, which is about to be started.
            alive: AtomicUsize::new(1),
            kept: Arc::new(AtomicUsize::new(0)),
            round: AtomicUsize::new(0),
            raised: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            #[cfg(not(any(loom, shuttle)))]
            failure: failure::Failure::new(),
        }
    }

    /// The time, without any passing.
    pub fn time(&self) -> Nanos {
        self.clock.load(Ordering::SeqCst)
    }

    /// Lets time pass; says what it is then.
    pub fn pass(&self, time: Nanos) -> Nanos {
        let now = self.clock.fetch_add(time, Ordering::SeqCst) + time;
        if now >= self.next_timer.load(Ordering::SeqCst) {
            self.ring();
        }
        now
    }

    /// Wakes the CPUs that halt, to look at their lines and timers.
    pub fn ring(&self) {
        let _halted = self.halted.lock().unwrap();
        self.rung.notify_all();
    }

    /// Raises the message interrupt of CPU `target`.
    pub fn interrupt(&self, target: usize) {
        self.raised.fetch_add(1, Ordering::SeqCst);
        self.cpus[target]
            .pending
            .fetch_or(MESSAGE, Ordering::SeqCst);
        self.ring();
    }

    /// One that counted as alive does not any more.
    pub fn release(&self) {
        if self.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.ring();
        }
    }

    /// All threads have ended.
    pub fn is_over(&self) -> bool {
        self.alive.load(Ordering::Acquire) == 0
    }

    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// What the kernel's `run_idle` does.
    pub fn run_idle(&self) {
        let cpu = &self.cpus[cpu_number()];
        loop {
            self.scheduler.idle();
            reap();
            if self.is_over() {
                return;
            }
            cpu.enabled.store(false, Ordering::Relaxed);
            let mut stuck = false;
            if self.scheduler.may_halt(u64::MAX) {
                stuck = self.halt(cpu);
            }
            cpu.enabled.store(true, Ordering::Relaxed);
            super::machine::take_interrupts(false);
            if stuck {
                match &self.config.when_stuck {
                    Some(act) => act(),
                    None => panic!(
                        "all CPUs halt for ever, but {} threads have not ended",
                        self.alive.load(Ordering::Relaxed)
                    ),
                }
            }
        }
    }

    /// Waits for an interrupt. Whether there will be none.
    fn halt(&self, cpu: &Cpu) -> bool {
        let mut halted = self.halted.lock().unwrap();
        *halted += 1;
        cpu.halts.store(true, Ordering::Relaxed);
        let stuck = loop {
            if self.is_failed() {
                drop(halted);
                end();
            }
            if self.is_over() || self.is_wanted(cpu) {
                break false;
            }
            let next = self.next_timer();
            self.next_timer.store(next, Ordering::SeqCst);
            if self.time() >= next {
                // It was nobody's yet when time passed.
                self.rung.notify_all();
                // Two that halt could wake each other for ever, before the one whose timer it is.
                thread::yield_now();
            } else if *halted == self.cpus.len()
                && !self.driven.load(Ordering::SeqCst)
                && !self.cpus.iter().any(|cpu| self.is_wanted(cpu))
            {
                if next == Nanos::MAX {
                    break true;
                }
                self.clock.fetch_max(next, Ordering::SeqCst);
                self.rung.notify_all();
                continue;
            }
            cpu.settled
                .store(self.round.load(Ordering::Acquire), Ordering::Release);
            halted = self.rung.wait(halted).unwrap();
        };
        cpu.halts.store(false, Ordering::Relaxed);
        self.next_timer.store(self.next_timer(), Ordering::SeqCst);
        *halted -= 1;
        stuck
    }

    /// When the first timer of a CPU that halts fires.
    fn next_timer(&self) -> Nanos {
        let halted = self
            .cpus
            .iter()
            .filter(|cpu| cpu.halts.load(Ordering::Relaxed));
        halted
            .map(|cpu| cpu.timer.load(Ordering::Relaxed))
            .min()
            .unwrap_or(Nanos::MAX)
    }

    /// Whether an interrupt waits for `cpu`.
    pub fn is_wanted(&self, cpu: &Cpu) -> bool {
        cpu.pending.load(Ordering::Acquire) != 0 || self.time() >= cpu.timer.load(Ordering::Relaxed)
    }

    /// Looks after what the machine had under way when its last thread ended: work
    /// that idle CPUs asked for. There must be nothing else.
    fn drain(&'static self) {
        for cpu in 0..self.cpus.len() {
            as_context(self, cpu, Context::running(), || {
                assert_eq!(self.cpus[cpu].critical.load(Ordering::Relaxed), 0);
                self.messages.poll();
                self.scheduler.assert_at_rest();
            });
        }
    }
}

impl Cpu {
    fn new() -> Self {
        Self {
            pending: AtomicUsize::new(0),
            timer: AtomicU64::new(Nanos::MAX),
            critical: AtomicU32::new(0),
            deferred: AtomicUsize::new(0),
            enabled: AtomicBool::new(true),
            runs_thread: AtomicBool::new(false),
            halts: AtomicBool::new(false),
            settled: AtomicUsize::new(0),
        }
    }

    pub fn is_critical(&self) -> bool {
        self.critical.load(Ordering::Relaxed) != 0
    }

    pub fn defer(&self, what: usize) {
        self.deferred.fetch_or(what, Ordering::Relaxed);
    }

    pub fn is_deferred(&self, what: usize) -> bool {
        self.deferred.load(Ordering::Relaxed) & what != 0
    }

    pub fn take_deferred(&self, what: usize) -> bool {
        self.deferred.fetch_and(!what, Ordering::Relaxed) & what != 0
    }
}

impl Scheduler<Host> {
    /// Nothing may be left on the caller's CPU.
    fn assert_at_rest(&self) {
        let section = crate::Critical::<Host>::enter();
        let cpu = self.local.get(&section);
        assert!(cpu.running.get().is_null(), "a thread runs");
        assert!(cpu.departing.get().is_null(), "a thread departs");
        assert!(cpu.queue.is_empty(), "a thread waits");
        assert!(cpu.timers.is_empty(), "a deadline is set");
        assert!(cpu.ended.is_empty(), "an ended thread was left");
        let arrivals = &self.shared[section.cpu()].arrivals;
        assert!(
            arrivals.load(Ordering::Relaxed).is_null(),
            "a thread arrives"
        );
    }
}

/// A model's failure is the end of it.
#[cfg(any(loom, shuttle))]
impl World {
    fn fail(&self, payload: Box<dyn std::any::Any + Send>) {
        resume_unwind(payload);
    }

    pub fn register(&self, _context: &Arc<Context>) {}
}

/// A failure on one thread of the host: the others must not wait for it.
#[cfg(not(any(loom, shuttle)))]
mod failure {
    use std::any::Any;
    use std::panic::resume_unwind;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
    use std::sync::{Arc, Mutex, PoisonError, Weak};
    use std::thread::{JoinHandle, spawn};
    use std::time::Duration;

    use super::{Context, Ordering, World};

    /// The first failure, and who is to hear of it.
    pub struct Failure {
        first: Mutex<Option<Box<dyn Any + Send>>>,
        contexts: Mutex<Vec<Weak<Context>>>,
    }

    impl Failure {
        pub fn new() -> Self {
            Self {
                first: Mutex::new(None),
                contexts: Mutex::new(Vec::new()),
            }
        }

        /// Fails here if there was a failure.
        pub fn resume(&self) {
            let first = self
                .first
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(payload) = first {
                resume_unwind(payload);
            }
        }
    }

    impl World {
        /// All contexts are to end.
        pub fn fail(&self, payload: Box<dyn Any + Send>) {
            self.failure
                .first
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(payload);
            self.failed.store(true, Ordering::SeqCst);
            let contexts = self
                .failure
                .contexts
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            for context in contexts.iter().filter_map(Weak::upgrade) {
                context.alarm();
            }
            let _halted = self.halted.lock();
            self.rung.notify_all();
        }

        /// `context` is to hear of failures.
        pub fn register(&self, context: &Arc<Context>) {
            let mut contexts = self
                .failure
                .contexts
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if contexts.len() == contexts.capacity() {
                contexts.retain(|context| context.strong_count() > 0);
            }
            contexts.push(Arc::downgrade(context));
        }
    }

    /// Fails a machine that runs for longer than a minute.
    pub struct Watch {
        over: Option<Sender<()>>,
        watcher: Option<JoinHandle<()>>,
    }

    impl Watch {
        pub fn over(world: &'static World) -> Self {
            let (over, end): (Sender<()>, Receiver<()>) = channel();
            let watcher = spawn(move || {
                if end.recv_timeout(Duration::from_secs(20)) == Err(RecvTimeoutError::Timeout) {
                    let report = format!("the machine hangs: {}", world.report());
                    eprintln!("{report}");
                    world.fail(Box::new(report));
                }
            });
            Self {
                over: Some(over),
                watcher: Some(watcher),
            }
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            drop(self.over.take());
            if let Some(watcher) = self.watcher.take() {
                let _ = watcher.join();
            }
        }
    }

    impl World {
        /// What the CPUs do, as far as one can see from outside.
        fn report(&self) -> String {
            let alive = self.alive.load(Ordering::Relaxed);
            let mut report = format!("{alive} threads at {}", self.time());
            for (number, cpu) in self.cpus.iter().enumerate() {
                report += &format!(
                    "; CPU {number}: thread {}, halts {}, critical {}, deferred {:#x}, pending {:#x}, timer {}, waiting {}, arrivals {}",
                    cpu.runs_thread.load(Ordering::Relaxed),
                    cpu.halts.load(Ordering::Relaxed),
                    cpu.critical.load(Ordering::Relaxed),
                    cpu.deferred.load(Ordering::Relaxed),
                    cpu.pending.load(Ordering::Relaxed),
                    cpu.timer.load(Ordering::Relaxed),
                    self.scheduler.waiting(number),
                    !self.scheduler.shared[number]
                        .arrivals
                        .load(Ordering::Relaxed)
                        .is_null(),
                );
            }
            report
        }
    }
}
