//! Which thread runs on which CPU.
//!
//! Every CPU has a run queue of its own, with fixed priorities; nobody else touches
//! it. Threads that become ready elsewhere *arrive*: they are linked into a list of
//! the CPU that they belong to, and that CPU is told as it is told of messages. So
//! neither waking a thread nor moving one takes memory, and neither can fail.
//!
//! # Blocking and waking
//!
//! A thread has a token. Parking takes it if it is there, else the thread blocks;
//! unparking puts it there, or wakes the thread. Exactly one of those who would end
//! a block, wakers and the deadline, takes the token's word from `PARKED`; that one
//! makes the thread ready. A blocked thread does not move, so its CPU is known.
//!
//! # Which CPU
//!
//! A new thread goes to an idle CPU, or to the one with the shortest queue. A thread
//! that is woken stays where it was: its data is in that CPU's caches, and mostly
//! the waker is about to block. If it still waits a moment later ([`SPILL`]) while
//! another CPU idles, it is given away. A CPU that becomes idle asks the one with the
//! longest queue for a thread, by message.
//!
//! # Time
//!
//! While a CPU runs threads it has a tick ([`TICK`]), at which threads of the same
//! priority take turns. A thread that has to make way for one of higher priority keeps
//! its turn: it is the next of its own. An idle CPU has no tick: its timer is set for
//! the next deadline of a thread, if there is one.
//!
//! # Interrupt threads
//!
//! What an interrupt asks for that may take long, or has to wait for a lock, is done by a
//! thread of a priority above all of the program's. It preempts what runs, outside of
//! critical sections: also code of the kernel, at any instruction. That goes on, on the
//! same CPU and before any other of the program's threads, as soon as interrupt threads
//! have nothing to do ([`Priority::INTERRUPTED`]): so what it knows of its CPU is still
//! true, and nobody but interrupt threads has used registers that the kernel's code does
//! not use. The machine need not save those ([`Scheduler::run_interrupt_threads`]).

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::ptr::{self, null, null_mut};

use crate::critical::{CpuLocal, Critical, MayBlock};
use crate::ipi::{Delivery, IpiQueues};
use crate::machine::{Machine, Nanos};
use crate::run_queue::{Priority, RunQueue};
use crate::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
use crate::thread::{EMPTY, NOTIFIED, PARKED, State, Thread};
use crate::wheel::Wheel;

/// How often threads of the same priority take turns, and passive messages run.
pub const TICK: Nanos = 10_000_000;
/// How long a thread waits for its own CPU while others idle.
pub const SPILL: Nanos = 100_000;
/// The most CPUs that a scheduler serves.
pub const MOST_CPUS: usize = 64;

/// What the scheduler asks of the machine.
///
/// # Safety
/// [`Hardware::switch`], [`Hardware::scheduler`] and [`Hardware::this_cpu`] do what they
/// say: threads run on one CPU at a time because of that.
pub unsafe trait Hardware: Machine {
    /// What the machine keeps of a thread: stacks, the base of its thread-local
    /// variables, its number.
    type Kept: Send + Sync + 'static;

    /// The scheduler of this machine's CPUs.
    fn scheduler() -> &'static Scheduler<Self>;

    /// What [`Scheduler::of_cpu`] gives for the calling CPU, which is in a critical
    /// section. A machine that keeps it at hand need not look it up.
    #[inline(always)]
    fn this_cpu() -> *const Cpu<Self> {
        Self::scheduler().of_cpu(Self::cpu())
    }

    /// The message queues of this machine's CPUs.
    fn messages() -> &'static IpiQueues<Self>;

    /// Gets the calling CPU ready to run `thread`, or its idle context: what is not
    /// in the registers that [`Hardware::switch`] saves.
    fn prepare(thread: Option<&Thread<Self>>);

    /// Saves the registers of the running context and stores at `save` where they
    /// are; goes on with the context whose registers are at `load`.
    ///
    /// # Safety
    /// `load` was stored by an earlier call, or is that of a new thread, and has not
    /// been used since. Called in a critical section one level deep, which the
    /// context that goes on leaves.
    unsafe fn switch(save: *mut usize, load: usize);

    /// Sets the calling CPU's timer, to end with [`Scheduler::on_timer`]; `None`
    /// stops it.
    fn set_timer(at: Option<Nanos>);

    /// Has [`Scheduler::preempt`] called on this CPU as soon as the running thread
    /// can be switched away from.
    fn request_switch();
}

/// The scheduler of all CPUs of a machine.
pub struct Scheduler<H: Hardware> {
    local: CpuLocal<H, Cpu<H>>,
    shared: Box<[Shared<H>]>,
    /// CPUs that have nothing to run, a bit each.
    idle: AtomicU64,
    /// Where the search for a CPU begins.
    next_cpu: AtomicUsize,
}

/// What the scheduler keeps of one CPU, and that CPU alone touches.
pub struct Cpu<H: Hardware> {
    queue: RunQueue<Thread<H>>,
    timers: Wheel<Thread<H>>,
    /// The thread that runs, with its count; null: the idle context.
    running: Cell<*const Thread<H>>,
    /// Where the idle context's registers are while a thread runs.
    idle_saved: Cell<usize>,
    /// A thread that has just been switched away from, to arrive at another CPU.
    departing: Cell<*const Thread<H>>,
    /// Ended threads, until somebody takes them.
    ended: RunQueue<Thread<H>>,
    /// When the timer fires; [`Nanos::MAX`]: not at all.
    armed: Cell<Nanos>,
    /// When the next tick is due, while threads run.
    tick: Cell<Nanos>,
    /// A tick has come since a thread lost its turn: the next to be preempted does.
    turn_over: Cell<bool>,
}

// SAFETY: the pointers are counts of `Arc`s of `Sync` threads, which may move
// between CPUs with the structure.
unsafe impl<H: Hardware> Send for Cpu<H> {}

/// What others see of a CPU.
#[repr(align(128))]
struct Shared<H: Hardware> {
    /// Threads that are ready and belong to this CPU, but that it has not queued: a
    /// list by `next_arrival`, each with its count.
    arrivals: AtomicPtr<Thread<H>>,
}

/// How a block ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// Somebody has unparked the thread.
    Unparked,
    /// The deadline has come.
    TimedOut,
}

impl<H: Hardware> Scheduler<H> {
    /// A scheduler for all CPUs of the machine.
    ///
    /// # Panics
    /// With more than [`MOST_CPUS`] CPUs.
    pub fn new() -> Self {
        assert!(
            H::cpus() <= MOST_CPUS,
            "found {} CPUs, expected at most {MOST_CPUS}",
            H::cpus()
        );
        Self {
            local: CpuLocal::new(|_| Cpu::new()),
            shared: (0..H::cpus()).map(|_| Shared::new()).collect(),
            idle: AtomicU64::new(0),
            next_cpu: AtomicUsize::new(0),
        }
    }

    /// What it keeps of CPU `cpu`; for [`Hardware::this_cpu`]. Lives as long as the
    /// scheduler.
    ///
    /// # Panics
    /// When there is no such CPU.
    #[inline]
    pub fn of_cpu(&self, cpu: usize) -> *const Cpu<H> {
        self.local.pointer(cpu)
    }

    /// What it keeps of this CPU.
    #[inline(always)]
    fn here<'a>(&'a self, section: &'a Critical<H>) -> &'a Cpu<H> {
        let cpu = H::this_cpu();
        debug_assert!(ptr::eq(cpu, self.local.get(section)), "another CPU's");
        // SAFETY: `Hardware` promises that it is this CPU's, of the one scheduler that
        // there is. Its content is made for shared references within sections.
        unsafe { &*cpu }
    }

    /// Starts a thread, on CPU `on` if that is given. Its first context must begin
    /// with [`Scheduler::begin`]. Thread context or a message handler.
    ///
    /// # Safety
    /// The thread is new: it has not been started before.
    pub unsafe fn start(&self, thread: Arc<Thread<H>>, on: Option<usize>) {
        let section = Critical::enter();
        let target = on
            .filter(|&cpu| cpu < self.shared.len())
            .unwrap_or_else(|| self.place(section.cpu()));
        thread.set_cpu(target);
        if target == section.cpu() {
            self.make_ready(&section, thread);
        } else {
            self.arrive(target, thread);
        }
    }

    /// The first thing that a new thread does: ends the switch that led to it.
    ///
    /// # Safety
    /// Called once by each thread, first of all.
    pub unsafe fn begin(&self) {
        // SAFETY: the switch was in a section, which its new side leaves: this one.
        let section = unsafe { Critical::<H>::adopt() };
        self.finish_switch(&section);
    }

    /// The CPU for a new thread: an idle one, else one that few wait for. Equals
    /// take turns.
    fn place(&self, here: usize) -> usize {
        let cpus = self.shared.len();
        if cpus == 1 {
            return here;
        }
        let first = self.next_cpu.fetch_add(1, Ordering::Relaxed);
        let idle = self.idle.load(Ordering::Relaxed);
        let load = |cpu: usize| match idle & 1 << cpu {
            0 => 1 + self.waiting(cpu),
            // Something may be on its way to it already.
            _ => usize::from(!self.shared[cpu].arrivals.load(Ordering::Relaxed).is_null()),
        };
        (0..cpus)
            .map(|offset| (first + offset) % cpus)
            .min_by_key(|&cpu| load(cpu))
            .unwrap_or(here)
    }

    /// Calls `call` with the thread that runs here, if it is not the idle context. Any
    /// context but exceptions.
    #[inline(always)]
    pub fn with_current<R>(&self, call: impl FnOnce(&Arc<Thread<H>>) -> R) -> Option<R> {
        self.with_current_in_section(|thread, section| {
            drop(section);
            call(thread)
        })
    }

    /// The same, with a section that has been entered, for `call` to go on in.
    #[inline(always)]
    pub fn with_current_in_section<R>(
        &self,
        call: impl FnOnce(&Arc<Thread<H>>, Critical<H>) -> R,
    ) -> Option<R> {
        let section = Critical::enter();
        let running = self.here(&section).running.get();
        if running.is_null() {
            return None;
        }
        // SAFETY: the scheduler holds a count of a thread that has not ended. It cannot
        // end meanwhile: it is the one that calls. The count is not given back here.
        let thread = ManuallyDrop::new(unsafe { Arc::from_raw(running) });
        Some(call(&thread, section))
    }

    /// The thread that runs here, if it is not the idle context. Any context but
    /// exceptions.
    #[inline]
    pub fn current(&self) -> Option<Arc<Thread<H>>> {
        self.with_current(Arc::clone)
    }

    /// Blocks the calling thread until it is unparked or `deadline` has come; at
    /// once if it was unparked since its last block.
    #[inline(always)]
    pub fn park(&self, leave: &MayBlock<H>, deadline: Option<Nanos>) -> Wakeup {
        match deadline {
            None => {
                self.park_for_long(leave);
                Wakeup::Unparked
            }
            Some(deadline) => self.park_until(leave, deadline),
        }
    }

    /// [`Scheduler::park`] without a deadline.
    #[inline(always)]
    pub fn park_for_long(&self, leave: &MayBlock<H>) {
        debug_assert!(!H::is_critical(), "blocking in a critical section");
        self.park_from(Critical::enter(), leave);
    }

    /// [`Scheduler::park_for_long`], which ends the section `section`: nothing is run on
    /// this CPU between what the caller does there and the block. It is the only one that
    /// the thread is in.
    #[inline(always)]
    pub fn park_from(&self, section: Critical<H>, _leave: &MayBlock<H>) {
        let thread = self.who_blocks(&section);
        if !thread.set_parked() {
            return thread.take_notification();
        }
        self.switch_away(&section);
        thread.take_notification();
    }

    /// [`Scheduler::park`] with a deadline.
    pub fn park_until(&self, _leave: &MayBlock<H>, deadline: Nanos) -> Wakeup {
        debug_assert!(!H::is_critical(), "blocking in a critical section");
        let section = Critical::enter();
        let thread = self.who_blocks(&section);
        let cpu = self.here(&section);
        if thread.token.swap(EMPTY, Ordering::Acquire) == NOTIFIED {
            return Wakeup::Unparked;
        }
        let now = H::now();
        if deadline <= now {
            return Wakeup::TimedOut;
        }
        let me = cpu.running.get();
        // SAFETY: the CPU holds a count of the thread that runs on it; the wheel has one
        // of its own.
        let counted = unsafe {
            Arc::increment_strong_count(me);
            Arc::from_raw(me)
        };
        cpu.timers.insert(counted, deadline, now);
        if deadline < cpu.armed.get() {
            cpu.arm(deadline);
        }
        if !thread.set_parked() {
            // Unparked just now.
            thread.take_notification();
            drop(cpu.timers.remove(thread));
            return Wakeup::Unparked;
        }
        self.switch_away(&section);
        if thread.timed_out.replace(false) {
            return Wakeup::TimedOut;
        }
        thread.take_notification();
        Wakeup::Unparked
    }

    /// The thread that runs here, to block.
    ///
    /// # Panics
    /// When it is the idle context, which cannot.
    #[inline(always)]
    fn who_blocks<'a>(&self, section: &Critical<H>) -> &'a Thread<H> {
        let me = self.here(section).running.get();
        if me.is_null() {
            idle_cannot_block();
        }
        // SAFETY: the CPU holds a count of the thread that runs on it; afterwards it
        // is held by whoever has the thread, who cannot drop it before it runs again.
        unsafe { &*me }
    }

    /// Ends the thread's block, or its next. Thread context or a message handler,
    /// also within critical sections.
    #[inline(always)]
    pub fn unpark(&self, thread: &Arc<Thread<H>>) {
        self.unpark_in(&Critical::enter(), thread);
    }

    /// [`Scheduler::unpark`], in a section that the caller has entered.
    #[inline(always)]
    pub fn unpark_in(&self, section: &Critical<H>, thread: &Arc<Thread<H>>) {
        if thread.token.swap(NOTIFIED, Ordering::AcqRel) != PARKED {
            return;
        }
        // SAFETY: a blocked thread keeps the scheduler's count of it, and the one who
        // takes its token from `PARKED` takes that. `as_ptr` is what `into_raw` gave.
        let ready = unsafe { Arc::from_raw(Arc::as_ptr(thread)) };
        let owner = thread.cpu();
        if owner == section.cpu() {
            self.wake(section, ready);
        } else {
            self.arrive(owner, ready);
        }
    }

    /// Makes a thread of this CPU ready that was blocked.
    #[inline(always)]
    fn wake(&self, section: &Critical<H>, thread: Arc<Thread<H>>) {
        if thread.deadline().is_some() {
            drop(self.here(section).timers.remove(&thread));
        }
        self.make_ready(section, thread);
    }

    /// Queues a thread that belongs to this CPU and can run.
    #[inline(always)]
    fn make_ready(&self, section: &Critical<H>, thread: Arc<Thread<H>>) {
        thread.enters(State::Ready);
        let cpu = self.here(section);
        let priority = thread.priority();
        cpu.queue.push(thread, priority);
        // SAFETY: the CPU holds a count of the thread that runs on it.
        let Some(running) = (unsafe { cpu.running.get().as_ref() }) else {
            // The idle context looks before it halts.
            return;
        };
        if running.priority() < priority {
            H::request_switch();
        }
        if self.idle.load(Ordering::Relaxed) != 0 {
            cpu.look_for_idle_ones();
        }
    }

    /// How many threads wait in the run queue of CPU `cpu`. It may change at any time. Any
    /// context.
    ///
    /// # Panics
    /// When there is no such CPU.
    pub fn waiting(&self, cpu: usize) -> usize {
        // SAFETY: that is a field of a field.
        let count = unsafe { self.local.part_of(cpu, |cpu| cpu.queue.count()) };
        count.load(Ordering::Relaxed)
    }

    /// Gives a ready thread to its CPU `target`, which is another one.
    fn arrive(&self, target: usize, thread: Arc<Thread<H>>) {
        let arrivals = &self.shared[target].arrivals;
        let thread = Arc::into_raw(thread).cast_mut();
        let mut head = arrivals.load(Ordering::Relaxed);
        loop {
            // SAFETY: this holds the scheduler's count, and is the only one to do so.
            unsafe { (*thread).next_arrival.with_mut(|next| *next = head) };
            match arrivals.compare_exchange(head, thread, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        H::messages().notify(target);
    }

    /// Queues the threads that have arrived, in the order of their arrival. Called
    /// wherever messages are run, after them.
    pub fn poll(&self) {
        let section = Critical::enter();
        let mut arrived = self.shared[section.cpu()]
            .arrivals
            .swap(null_mut(), Ordering::Acquire)
            .cast_const();
        let mut in_order = null();
        while !arrived.is_null() {
            // SAFETY: the list holds a count of each, and is this function's alone.
            let next = unsafe {
                let next = &(*arrived).next_arrival;
                next.with_mut(|next| core::mem::replace(&mut *next, in_order))
            };
            (arrived, in_order) = (next, arrived);
        }
        while !in_order.is_null() {
            // SAFETY: as above; the count is taken over.
            let thread = unsafe { Arc::from_raw(in_order) };
            // SAFETY: as above.
            in_order = thread.next_arrival.with(|next| unsafe { *next });
            self.wake(&section, thread);
        }
    }

    /// Lets another thread of at least the same priority run, if one waits here.
    #[inline]
    pub fn yield_now(&self, _leave: &MayBlock<H>) {
        let section = Critical::enter();
        if !self.here(&section).queue.is_empty() {
            self.give_way(section, true);
        }
    }

    /// Whether an interrupt thread waits for the thread that runs here to be preempted.
    /// Interrupt handlers, with interrupts off: it is not to change at once.
    pub fn is_interrupt_thread_due(&self) -> bool {
        self.is_interrupt_due(&Critical::enter())
    }

    fn is_interrupt_due(&self, section: &Critical<H>) -> bool {
        let cpu = self.here(section);
        // SAFETY: the CPU holds a count of the thread that runs on it.
        let running = unsafe { cpu.running.get().as_ref() };
        running.is_some_and(|running| {
            let best = cpu.queue.best();
            best.is_some_and(|best| best.is_interrupt() && best > running.priority())
        })
    }

    /// Runs the interrupt threads that are due, if there are any, on top of the running
    /// thread, which goes on here when they have blocked. No other thread runs meanwhile.
    ///
    /// If another one should afterwards, [`Hardware::request_switch`] is called. The
    /// machine calls this where it has interrupted the thread, on a stack that the
    /// thread does not use otherwise.
    ///
    /// # Safety
    /// The caller has entered a critical section, its first, and leaves it afterwards.
    pub unsafe fn run_interrupt_threads(&self) {
        // SAFETY: as the caller says, who also leaves it: it is not dropped.
        let section = ManuallyDrop::new(unsafe { Critical::<H>::adopt() });
        if self.is_interrupt_due(&section) {
            self.interrupt_running(&section);
        }
    }

    /// Lets another thread run if it should: one of higher priority, or of the same
    /// when the running one's turn is over. The machine calls this after
    /// [`Hardware::request_switch`], on the thread's own stack, when nothing forbids to
    /// switch.
    pub fn preempt(&self) {
        self.give_way(Critical::enter(), false);
    }

    /// [`Scheduler::yield_now`] if the running thread `yields`, else
    /// [`Scheduler::preempt`].
    #[inline(never)]
    fn give_way(&self, section: Critical<H>, yields: bool) {
        let cpu = self.here(&section);
        let me = cpu.running.get();
        if me.is_null() {
            return;
        }
        // SAFETY: the CPU holds a count of the thread that runs on it.
        let thread = unsafe { &*me };
        let priority = thread.priority();
        let Some(best) = cpu.queue.best().filter(|&best| best >= priority) else {
            return;
        };
        let loses_turn = yields || cpu.turn_over.get();
        if best == priority && !loses_turn {
            return;
        }
        if best.is_interrupt() && !yields {
            // Interrupt threads do not take turns.
            if best > priority {
                self.interrupt_running(&section);
            }
            return;
        }
        thread.enters(State::Ready);
        // SAFETY: the CPU's count becomes the queue's.
        let thread = unsafe { Arc::from_raw(me) };
        if loses_turn {
            cpu.queue.push(thread, priority);
        } else {
            cpu.queue.push_front(thread, priority);
        }
        if !yields {
            cpu.turn_over.set(false);
        }
        self.switch_away(&section);
    }

    /// Switches from the running thread to the interrupt thread that is due, and comes
    /// back when no interrupt thread of a higher priority than its own is ready.
    #[inline(never)]
    fn interrupt_running(&self, section: &Critical<H>) {
        let cpu = self.here(section);
        let me = cpu.running.get();
        // SAFETY: the CPU holds a count of the thread that runs on it.
        let thread = unsafe { &*me };
        thread.enters(State::Ready);
        // SAFETY: the CPU's count becomes the queue's.
        let counted = unsafe { Arc::from_raw(me) };
        cpu.queue
            .push_front(counted, thread.priority().max(Priority::INTERRUPTED));
        self.switch_away(section);
        // Still on the same CPU. What was wanted of this thread meanwhile was not asked
        // of the interrupt threads.
        let priority = thread.priority();
        let should_go = |best| best > priority || best == priority && cpu.turn_over.get();
        if cpu.queue.best().is_some_and(should_go) {
            H::request_switch();
        }
    }

    /// Moves the calling thread to another CPU.
    pub fn migrate(&self, _leave: &MayBlock<H>, target: usize) {
        assert!(target < self.shared.len(), "there is no CPU {target}");
        let section = Critical::enter();
        if target == section.cpu() {
            return self.give_way(section, true);
        }
        let cpu = self.here(&section);
        let me = cpu.running.get();
        assert!(!me.is_null(), "the idle context cannot move");
        // SAFETY: the CPU holds a count of the thread that runs on it, and leaves it to
        // the new side of the switch.
        let thread = unsafe { &*me };
        thread.enters(State::Ready);
        thread.set_cpu(target);
        cpu.departing.set(me);
        self.switch_away(&section);
    }

    /// Changes the priority of a program's thread. If it waits to run it goes behind the
    /// others of the new one.
    ///
    /// # Panics
    /// When the thread is an interrupt thread, or would become one: what these preempt
    /// relies on what they are.
    pub fn set_priority(&self, leave: &MayBlock<H>, thread: Arc<Thread<H>>, priority: Priority) {
        assert!(
            !priority.is_interrupt() && !thread.priority().is_interrupt(),
            "interrupt threads keep their priorities"
        );
        // Here, not in the message: messages about a thread that moves may overtake
        // each other, and what is set last is to stay.
        thread.store_priority(priority);
        let owner = thread.cpu();
        H::messages().send(leave, owner, move |delivery: Delivery<'_, H>| {
            H::scheduler().priority_changed(delivery, thread);
        });
    }

    /// Puts a thread whose priority has changed where it belongs.
    fn priority_changed(&self, delivery: Delivery<'_, H>, thread: Arc<Thread<H>>) {
        let section = delivery.section();
        let owner = thread.cpu();
        if owner != section.cpu() {
            // It has moved meanwhile: after it.
            return delivery.forward(owner, move |delivery| {
                H::scheduler().priority_changed(delivery, thread);
            });
        }
        let cpu = self.here(section);
        let priority = thread.priority();
        if let Some(queued) = cpu.queue.priority_of(&thread) {
            // One that was interrupted finds it when it goes on.
            if queued != priority
                && queued != Priority::INTERRUPTED
                && let Some(thread) = cpu.queue.remove(&thread)
            {
                self.make_ready(section, thread);
            }
        } else if ptr::eq(cpu.running.get(), Arc::as_ptr(&thread))
            && cpu.queue.best().is_some_and(|best| best > priority)
        {
            H::request_switch();
        }
    }

    /// Ends the calling thread. The machine takes it by [`Scheduler::take_ended`].
    pub fn exit(&self, _leave: &MayBlock<H>) -> ! {
        let section = Critical::enter();
        let cpu = self.here(&section);
        let me = cpu.running.get();
        assert!(!me.is_null(), "the idle context cannot end");
        // SAFETY: the CPU's count becomes the list's. The thread's stack is in use
        // until the switch, and nobody looks at the list before: that takes the CPU.
        let thread = unsafe { Arc::from_raw(me) };
        thread.enters(State::Ended);
        cpu.ended.push(thread, Priority::LOWEST);
        self.switch_away(&section);
        unreachable!("an ended thread does not run");
    }

    /// A thread that has ended on this CPU, for its memory to be given back. Thread
    /// or idle context.
    pub fn take_ended(&self) -> Option<Arc<Thread<H>>> {
        let section = Critical::enter();
        self.here(&section).ended.pop()
    }

    /// Lets this CPU run what should run next. The running thread has gone where it
    /// belongs; it comes back from here when it runs again, perhaps on another CPU. The
    /// section goes over from context to context.
    #[inline(always)]
    fn switch_away(&self, section: &Critical<H>) {
        let cpu = self.here(section);
        let previous = cpu.running.get();
        let next = cpu.queue.pop_raw();
        debug_assert!(
            !ptr::eq(next, previous),
            "what is switched away from is behind what is to run"
        );
        cpu.running.set(next);
        // SAFETY: `next` comes with its count, which is the CPU's now. Whoever has the
        // previous thread now has its count, and cannot run it, or take it from its
        // list, before this CPU is through with the switch.
        match unsafe { (previous.as_ref(), next.as_ref()) } {
            (Some(previous), Some(next)) => {
                next.enters(State::Running);
                H::prepare(Some(next));
                // SAFETY: a context's registers are stored when it is switched away
                // from, and it is taken from one queue by one CPU after that. `saved`
                // is the previous thread's, or this CPU's.
                unsafe { H::switch(previous.saved.as_ptr(), next.saved.get()) };
            }
            (None, Some(next)) => self.switch_from_idle(section, next),
            (Some(previous), None) => self.switch_to_idle(section, previous),
            (None, None) => unreachable!("the idle context runs on"),
        }
        self.finish_switch(section);
    }

    #[inline(never)]
    fn switch_from_idle(&self, section: &Critical<H>, next: &Thread<H>) {
        let cpu = self.here(section);
        self.leave_idle(section);
        next.enters(State::Running);
        H::prepare(Some(next));
        // SAFETY: as in `switch_away`.
        unsafe { H::switch(cpu.idle_saved.as_ptr(), next.saved.get()) };
    }

    #[inline(never)]
    fn switch_to_idle(&self, section: &Critical<H>, previous: &Thread<H>) {
        let cpu = self.here(section);
        H::prepare(None);
        // SAFETY: as in `switch_away`.
        unsafe { H::switch(previous.saved.as_ptr(), cpu.idle_saved.get()) };
    }

    /// On the new side of a switch: lets go of the old side's thread.
    #[inline(always)]
    fn finish_switch(&self, section: &Critical<H>) {
        // Not the old side's CPU: the context may have been moved meanwhile.
        let cpu = self.here(section);
        let departing = cpu.departing.get();
        if !departing.is_null() {
            cpu.departing.set(null());
            // SAFETY: the old side left its count there; its registers are saved.
            self.depart(unsafe { Arc::from_raw(departing) });
        }
    }

    #[cold]
    fn depart(&self, thread: Arc<Thread<H>>) {
        self.arrive(thread.cpu(), thread);
    }

    /// The timer has fired: deadlines, turns, threads for idle CPUs. In a handler.
    pub fn on_timer(&self) {
        let section = Critical::enter();
        let cpu = self.here(&section);
        cpu.armed.set(Nanos::MAX);
        let now = H::now();
        while let Some(thread) = cpu.timers.expire(now) {
            // Or else an unpark has come first, and its arrival is on the way.
            if thread
                .token
                .compare_exchange(PARKED, EMPTY, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
            {
                thread.timed_out.set(true);
                // SAFETY: as in `unpark`: taking the token from `PARKED` is taking the
                // scheduler's count. The wheel's own is dropped.
                let ready = unsafe { Arc::from_raw(Arc::as_ptr(&thread)) };
                self.make_ready(&section, ready);
            }
        }
        let running = cpu.running.get();
        if !running.is_null() {
            self.share(&section);
            if now >= cpu.tick.get() {
                cpu.begin_tick(now);
                cpu.turn_over.set(true);
                // SAFETY: the CPU holds a count of the thread that runs on it.
                let priority = unsafe { &*running }.priority();
                if cpu.queue.best().is_some_and(|best| best >= priority) {
                    H::request_switch();
                }
            }
            if cpu.tick.get() < cpu.armed.get() {
                cpu.arm(cpu.tick.get());
            }
        }
        if let Some(next) = cpu.timers.next().filter(|&next| next < cpu.armed.get()) {
            cpu.arm(next);
        }
    }

    /// Gives threads that wait here to CPUs that idle.
    fn share(&self, section: &Critical<H>) {
        let mut idle = self.idle.load(Ordering::Relaxed) & !(1 << section.cpu());
        while idle != 0 && !self.here(section).queue.is_empty() {
            let target = idle.trailing_zeros() as usize;
            idle &= idle - 1;
            // Else something is on its way to it already.
            if self.shared[target]
                .arrivals
                .load(Ordering::Relaxed)
                .is_null()
            {
                self.give(section, target);
            }
        }
    }

    /// CPU `target` has asked for a thread: gives it one that this CPU can spare, if it
    /// has not got one elsewhere.
    fn answer(&self, section: &Critical<H>, target: usize) {
        let cpu = self.here(section);
        // An idle context is about to run one.
        let spare = cpu.queue.len() > usize::from(cpu.running.get().is_null());
        if spare && self.idle.load(Ordering::Relaxed) & 1 << target != 0 {
            self.give(section, target);
        }
    }

    /// Gives a thread that waits here to CPU `target`, if there is one.
    fn give(&self, section: &Critical<H>, target: usize) {
        let cpu = self.here(section);
        if let Some(thread) = cpu.queue.steal() {
            thread.set_cpu(target);
            self.arrive(target, thread);
        }
    }

    /// What the idle context does, over and over: runs threads while there are any.
    /// When it returns there was none; see [`Scheduler::may_halt`]. Whether it has run any.
    pub fn idle(&self) -> bool {
        let mut has_run = false;
        let section = loop {
            H::messages().poll();
            self.poll();
            let section = Critical::enter();
            if self.here(&section).queue.is_empty() {
                break section;
            }
            has_run = true;
            self.switch_away(&section);
        };
        let here = 1 << section.cpu();
        if self.idle.fetch_or(here, Ordering::SeqCst) & here == 0 {
            H::messages().set_idle(&section, true);
            self.ask_for_work(&section);
        }
        has_run
    }

    /// Whether the idle context may halt until the next interrupt; asked with
    /// interrupts off, after [`Scheduler::idle`]. If so, the timer is set for the next
    /// deadline, or for `wake` if the idle context itself has something to do before that
    /// ([`Nanos::MAX`]: it has not): an idle CPU has no tick.
    pub fn may_halt(&self, wake: Nanos) -> bool {
        let section = Critical::enter();
        let cpu = self.here(&section);
        // Whoever gives this CPU something either sees that it idles, or is seen here.
        fence(Ordering::SeqCst);
        let arrivals = &self.shared[section.cpu()].arrivals;
        let has_work = !cpu.queue.is_empty()
            || H::messages().has_work(&section)
            || !arrivals.load(Ordering::Acquire).is_null();
        let next = cpu.timers.next().map_or(wake, |next| next.min(wake));
        if !has_work && next != cpu.armed.get() {
            cpu.arm(next);
        }
        !has_work
    }

    /// Whether CPU `cpu` has nothing to run. It may change at any time. Any context.
    pub fn is_idle(&self, cpu: usize) -> bool {
        self.idle.load(Ordering::Relaxed) & 1 << cpu != 0
    }

    /// Has the timer fire soon: the machine could not switch when it was asked to.
    pub fn retry_soon(&self, delay: Nanos) {
        let section = Critical::enter();
        self.here(&section).arm_within(H::now(), delay);
    }

    /// A CPU that was idle begins to run a thread.
    fn leave_idle(&self, section: &Critical<H>) {
        self.idle
            .fetch_and(!(1 << section.cpu()), Ordering::Relaxed);
        H::messages().set_idle(section, false);
        let cpu = self.here(section);
        let now = H::now();
        cpu.begin_tick(now);
        cpu.turn_over.set(false);
        let others_idle = || self.idle.load(Ordering::Relaxed) != 0;
        let delay = match !cpu.queue.is_empty() && others_idle() {
            // They came together, when there was no thread yet to time.
            true => SPILL,
            false => TICK,
        };
        cpu.arm_within(now, delay);
    }

    /// Asks the CPU that most threads wait for to give one to this CPU.
    fn ask_for_work(&self, section: &Critical<H>) {
        let here = section.cpu();
        let busiest = (0..self.shared.len())
            .filter(|&cpu| cpu != here)
            .max_by_key(|&cpu| self.waiting(cpu));
        if let Some(busiest) = busiest.filter(|&cpu| self.waiting(cpu) > 0) {
            // Without an envelope it has to wait for that CPU's tick.
            let _ = H::messages().try_send(section, busiest, move |delivery: Delivery<'_, H>| {
                H::scheduler().answer(delivery.section(), here);
            });
        }
    }
}

#[cold]
fn idle_cannot_block() -> ! {
    panic!("the idle context cannot block");
}

impl<H: Hardware> Default for Scheduler<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: Hardware> Shared<H> {
    fn new() -> Self {
        Self {
            arrivals: AtomicPtr::new(null_mut()),
        }
    }
}

impl<H: Hardware> Cpu<H> {
    fn new() -> Self {
        Self {
            queue: RunQueue::new(),
            timers: Wheel::new(),
            running: Cell::new(null()),
            idle_saved: Cell::new(0),
            departing: Cell::new(null()),
            ended: RunQueue::new(),
            armed: Cell::new(Nanos::MAX),
            tick: Cell::new(0),
            turn_over: Cell::new(false),
        }
    }

    /// The next tick is due a tick from `now`.
    fn begin_tick(&self, now: Nanos) {
        self.tick.set(now.saturating_add(TICK));
    }

    /// Other CPUs idle: one of them is to have what still waits here in a moment.
    #[cold]
    fn look_for_idle_ones(&self) {
        self.arm_within(H::now(), SPILL);
    }

    /// Sets the timer.
    fn arm(&self, at: Nanos) {
        self.armed.set(at);
        H::set_timer((at != Nanos::MAX).then_some(at));
    }

    /// Sees to it that the timer fires within `delay` from `now`.
    fn arm_within(&self, now: Nanos, delay: Nanos) {
        let at = now.saturating_add(delay);
        if at < self.armed.get() {
            self.arm(at);
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::missing_const_for_thread_local,
    reason = "shuttle's thread_local knows no const"
)]
mod tests;
