//! Running, blocking and waking threads.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, Ordering};

use x86_64::VirtAddr;
use x86_64::instructions::interrupts;
use x86_64::registers::model_specific::FsBase;
use x86_64::registers::segmentation::{FS, Segment64};

use super::cpu::{Cpu, TimerKey, priority_of};
use super::thread::{Context, Owned, PRIORITIES, SpawnError, Status, Thread, ThreadRef, Tid, Tls};
use super::wait::WaitQueue;
use crate::arch::percpu::{self, MAX_CPUS, this_cpu};
use crate::arch::switch::{prepare, switch};
use crate::arch::{apic, cpu, idt, timer};
use crate::memory::stacks::{KernelStack, ProgramStack};
use crate::sync::{Lock, LockGuard};
use crate::time::monotonic_ns;

/// How long a thread runs while others of its priority wait.
const SLICE_NS: u64 = 10_000_000;
/// When to try again to preempt a thread that was found in the kernel.
const RETRY_NS: u64 = 20_000;

struct Scheduler {
    cpus: Vec<Cpu>,
    /// All threads that have not ended.
    threads: BTreeMap<Tid, ThreadRef>,
    /// Ended threads whose memory is still to be given back.
    ended: Vec<ThreadRef>,
    last_tid: Tid,
    last_timer: u64,
}

/// Held across the context switch: whoever runs next frees it.
static SCHEDULER: Lock<Scheduler> = Lock::new(Scheduler {
    cpus: Vec::new(),
    threads: BTreeMap::new(),
    ended: Vec::new(),
    last_tid: 0,
    last_timer: 0,
});
/// Whether there is something in [`Scheduler::ended`].
static TO_REAP: AtomicBool = AtomicBool::new(false);

impl Scheduler {
    /// What CPU `index` should run: its own best thread, else one of the CPU that
    /// has most.
    fn take_next(&mut self, index: usize) -> Option<ThreadRef> {
        if let Some(thread) = self.cpus[index].pop() {
            return Some(thread);
        }
        let longest = self.cpus.iter_mut().max_by_key(|cpu| cpu.waiting)?;
        longest.pop()
    }

    /// Takes a blocked thread's timer away.
    fn disarm(&mut self, context: &mut Context) {
        if let Some(key) = context.timer.take() {
            self.cpus[context.cpu].timers.remove(&key);
        }
    }

    /// Queues a thread that can run, on an idle CPU if there is one, and sees to
    /// it that the CPU takes notice.
    fn make_ready(&mut self, thread: ThreadRef, home: usize) {
        let online = percpu::online();
        let idle = |index: usize| index < online && self.cpus[index].idle;
        let target = if idle(home) {
            home
        } else {
            (0..online).find(|&index| idle(index)).unwrap_or(home)
        };
        {
            let mut context = thread.state.lock();
            context.status = Status::Ready;
            context.cpu = target;
        }
        let priority = priority_of(&thread);
        let cpu = &mut self.cpus[target];
        let was_idle = core::mem::replace(&mut cpu.idle, false);
        let outranks = cpu
            .running
            .as_ref()
            .is_some_and(|running| priority_of(running) < priority);
        let first = cpu.waiting == 0;
        cpu.push(thread);
        if target == this_cpu().index() {
            if outranks {
                this_cpu().resched.store(true, Ordering::Relaxed);
                self.arm_at(target, monotonic_ns() + RETRY_NS);
            } else if first {
                self.arm(target);
            }
        } else if was_idle || outranks || first {
            apic::send(target, idt::RESCHEDULE);
        }
    }

    /// Sets the calling CPU's timer to its next event: a deadline, or the end of
    /// the slice when somebody waits for it.
    fn arm(&mut self, index: usize) {
        let cpu = &mut self.cpus[index];
        let deadline = cpu
            .timers
            .first_key_value()
            .map(|(&(deadline, _), _)| deadline);
        let slice = (cpu.waiting > 0 && cpu.running.is_some()).then_some(cpu.slice_end);
        let next = deadline.into_iter().chain(slice).min();
        if next != cpu.armed {
            cpu.armed = next;
            timer::set(next);
        }
    }

    /// Sets the calling CPU's timer to `at` unless it fires earlier anyway.
    fn arm_at(&mut self, index: usize, at: u64) {
        let cpu = &mut self.cpus[index];
        if cpu.armed.is_none_or(|armed| armed > at) {
            cpu.armed = Some(at);
            timer::set(Some(at));
        }
    }

    /// Wakes what has reached its deadline on this CPU.
    fn expire(&mut self, index: usize) {
        let now = monotonic_ns();
        while let Some(entry) = self.cpus[index].timers.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let thread = entry.remove();
            {
                let mut context = thread.state.lock();
                context.timer = None;
                context.timed_out = true;
            }
            self.make_ready(thread, index);
        }
    }

    /// Asks for a switch if the running thread has had its share or a better one
    /// waits.
    fn judge(&mut self, index: usize) {
        let cpu = &self.cpus[index];
        let (Some(running), Some(best)) = (&cpu.running, cpu.best()) else {
            return;
        };
        let mine = priority_of(running);
        if best > mine || (best == mine && monotonic_ns() >= cpu.slice_end) {
            this_cpu().resched.store(true, Ordering::Relaxed);
        }
    }
}

/// Makes room for `cpus` CPUs. Called once, at boot, before any other function
/// here.
pub fn init(cpus: usize) {
    let mut scheduler = SCHEDULER.lock();
    scheduler
        .cpus
        .extend((0..cpus.min(MAX_CPUS)).map(|_| Cpu::new()));
}

/// Lets this CPU run what should run next. The state of the thread that ran says
/// where that is now; it comes back from here when it runs again.
fn switch_to_next(mut scheduler: LockGuard<'static, Scheduler>) {
    let block = this_cpu();
    let index = block.index();
    block.resched.store(false, Ordering::Relaxed);
    let next = scheduler.take_next(index);
    let cpu = &mut scheduler.cpus[index];
    let previous = cpu.running.take();
    cpu.slice_end = monotonic_ns() + SLICE_NS;
    if next.as_ref().map(Arc::as_ptr) == previous.as_ref().map(Arc::as_ptr) {
        if let Some(thread) = &next {
            let mut context = thread.state.lock();
            context.status = Status::Running;
            context.cpu = index;
        }
        cpu.running = next;
        scheduler.arm(index);
        return;
    }
    let load = match &next {
        Some(thread) => {
            let mut context = thread.state.lock();
            context.status = Status::Running;
            context.cpu = index;
            block.set_tid(thread.tid);
            block
                .kernel_stack
                .store(thread.kernel_stack.top(), Ordering::Relaxed);
            load_thread_pointer(context.fs_base);
            context.stack_pointer
        }
        None => {
            block.set_tid(0);
            block.kernel_stack.store(0, Ordering::Relaxed);
            cpu.idle_context
        }
    };
    let save: *mut u64 = match &previous {
        // SAFETY: only the scheduler's lock gives access to the context, and the
        // calling CPU holds it.
        Some(thread) => unsafe { &raw mut (*thread.state.as_ptr()).stack_pointer },
        None => &raw mut cpu.idle_context,
    };
    cpu.running = next;
    scheduler.arm(index);
    // The table of threads or the list of ended ones keeps it alive.
    drop(previous);
    let enabled = scheduler.carry();
    // SAFETY: `load` was saved by a switch or made by `prepare`, under the lock;
    // its owner is marked as running here only now. Interrupts are off.
    unsafe { switch(save, load) };
    // SAFETY: whoever switched to this thread carried the lock over.
    unsafe { SCHEDULER.force_unlock() };
    if enabled {
        interrupts::enable();
    }
}

fn load_thread_pointer(base: u64) {
    let base = VirtAddr::new_truncate(base);
    if cpu::has_fsgsbase() {
        // SAFETY: CR4.FSGSBASE is set; the base is the thread's own block.
        unsafe { FS::write_base(base) };
    } else {
        FsBase::write(base);
    }
}

/// The first code of a new thread: ends the switch that brought it up.
extern "C" fn begin() {
    // SAFETY: the CPU that switched here carried the lock over.
    unsafe { SCHEDULER.force_unlock() };
    interrupts::enable();
}

extern "C" fn end() -> ! {
    exit_current()
}

/// Starts a thread that calls `entry(arg)`, and ends when that returns. `cpu` is
/// where it would like to begin. Thread context (or boot), no lock held.
pub fn spawn(
    entry: extern "C" fn(usize),
    arg: usize,
    priority: u8,
    stack_bytes: u64,
    cpu: Option<usize>,
) -> Result<Tid, SpawnError> {
    reap();
    let kernel_stack = KernelStack::new().ok_or(SpawnError::NoMemory)?;
    let stack = ProgramStack::new(stack_bytes).ok_or(SpawnError::NoMemory)?;
    let tls = match Tls::new() {
        Ok(tls) => tls,
        Err(error) => {
            stack.release();
            return Err(error);
        }
    };
    // SAFETY: the stack is new, writable and larger than what is laid out.
    let stack_pointer = unsafe { prepare(stack.top(), begin, entry, arg, end) };
    let fs_base = tls.as_ref().map_or(0, |tls| tls.thread_pointer);
    let mut scheduler = SCHEDULER.lock();
    let Some(tid) = scheduler
        .last_tid
        .checked_add(1)
        .filter(|&tid| i32::try_from(tid).is_ok())
    else {
        drop(scheduler);
        Owned { stack, tls }.release();
        return Err(SpawnError::NoMemory);
    };
    scheduler.last_tid = tid;
    let home = cpu
        .filter(|&cpu| cpu < percpu::online())
        .unwrap_or_else(percpu::cpu_index);
    let thread = Arc::new(Thread {
        tid,
        priority: AtomicU8::new(priority.min(PRIORITIES as u8 - 1)),
        errno: AtomicI32::new(0),
        ended: WaitQueue::new(),
        kernel_stack,
        state: Lock::new(Context {
            stack_pointer,
            fs_base,
            status: Status::Ready,
            wake_pending: false,
            cpu: home,
            timer: None,
            timed_out: false,
        }),
        owned: Lock::new(Some(Owned { stack, tls })),
    });
    scheduler.threads.insert(tid, thread.clone());
    scheduler.make_ready(thread, home);
    Ok(tid)
}

/// Ends the calling thread.
pub fn exit_current() -> ! {
    let me = current();
    // First it cannot be found, then those who looked for it are told.
    SCHEDULER.lock().threads.remove(&me.tid);
    me.ended.wake_all();
    let mut scheduler = SCHEDULER.lock();
    me.state.lock().status = Status::Ended;
    scheduler.ended.push(me);
    TO_REAP.store(true, Ordering::Release);
    switch_to_next(scheduler);
    unreachable!("an ended thread does not run");
}

/// Gives back the memory of ended threads. Thread or idle context, interrupts on,
/// no lock held. Returns whether there was any.
pub fn reap() -> bool {
    if !TO_REAP.swap(false, Ordering::AcqRel) {
        return false;
    }
    let ended = core::mem::take(&mut SCHEDULER.lock().ended);
    for thread in &ended {
        let owned = thread.owned.lock().take();
        if let Some(owned) = owned {
            owned.release();
        }
    }
    !ended.is_empty()
}

/// The thread that runs here. Thread context.
pub fn current() -> ThreadRef {
    let scheduler = SCHEDULER.lock();
    scheduler.cpus[this_cpu().index()]
        .running
        .clone()
        .expect("a thread calls this")
}

/// The thread with that number, unless it has ended.
pub fn find(tid: Tid) -> Option<ThreadRef> {
    SCHEDULER.lock().threads.get(&tid).cloned()
}

/// Number of the thread that runs here, or 0, also before there are threads. Any
/// context.
pub fn tid_for_report() -> Tid {
    if percpu::online() == 0 {
        0
    } else {
        percpu::current_tid()
    }
}

/// Blocks until the thread is woken, or until `deadline` (monotonic ns). Returns
/// at once if it was woken since it last blocked. True: the deadline has passed.
/// Wake-ups may be meant for something else: callers look at their condition.
/// Thread context, no lock held.
pub fn block_current(deadline: Option<u64>) -> bool {
    let mut scheduler = SCHEDULER.lock();
    let index = this_cpu().index();
    let me = scheduler.cpus[index]
        .running
        .clone()
        .expect("a thread blocks");
    {
        let mut context = me.state.lock();
        if core::mem::take(&mut context.wake_pending) {
            return false;
        }
        if deadline.is_some_and(|deadline| deadline <= monotonic_ns()) {
            return true;
        }
        context.status = Status::Blocked;
        context.timed_out = false;
        if let Some(deadline) = deadline {
            scheduler.last_timer += 1;
            let key: TimerKey = (deadline, scheduler.last_timer);
            scheduler.cpus[index].timers.insert(key, me.clone());
            context.timer = Some(key);
        }
    }
    switch_to_next(scheduler);
    // Set before the thread was made ready, and changed by its own blocks only.
    me.state.lock().timed_out
}

/// Wakes a thread that is blocked; the next block of one that is not returns at
/// once. Thread or interrupt context.
pub fn wake_thread(thread: &ThreadRef) {
    let mut scheduler = SCHEDULER.lock();
    let home = {
        let mut context = thread.state.lock();
        match context.status {
            Status::Blocked => {
                scheduler.disarm(&mut context);
                context.cpu
            }
            Status::Running | Status::Ready => {
                context.wake_pending = true;
                return;
            }
            Status::Ended => return,
        }
    };
    scheduler.make_ready(thread.clone(), home);
}

/// Blocks until `deadline` (monotonic ns), whatever wakes the thread before.
pub fn sleep_until(deadline: u64) {
    while monotonic_ns() < deadline {
        block_current(Some(deadline));
    }
}

/// Lets another thread of at least the same priority run, if one waits here.
pub fn yield_now() {
    let scheduler = SCHEDULER.lock();
    give_way(scheduler);
}

/// Puts the running thread back into its queue and runs the next, if that has at
/// least its priority.
fn give_way(mut scheduler: LockGuard<'static, Scheduler>) {
    let index = this_cpu().index();
    let cpu = &mut scheduler.cpus[index];
    let Some(me) = cpu.running.clone() else {
        return;
    };
    if cpu.best().is_none_or(|best| best < priority_of(&me)) {
        this_cpu().resched.store(false, Ordering::Relaxed);
        return;
    }
    me.state.lock().status = Status::Ready;
    cpu.push(me);
    switch_to_next(scheduler);
}

/// Changes a thread's priority (0 to 31; larger is clamped). Whether the thread
/// exists.
pub fn set_priority(tid: Tid, priority: u8) -> bool {
    let mut scheduler = SCHEDULER.lock();
    let Some(thread) = scheduler.threads.get(&tid).cloned() else {
        return false;
    };
    let (status, cpu) = {
        let context = thread.state.lock();
        (context.status, context.cpu)
    };
    // The queue is chosen by the priority, so it leaves the old one first.
    let queued = status == Status::Ready && scheduler.cpus[cpu].remove(&thread);
    thread
        .priority
        .store(priority.min(PRIORITIES as u8 - 1), Ordering::Relaxed);
    if queued {
        scheduler.make_ready(thread, cpu);
    }
    true
}

/// The timer interrupt.
pub fn on_timer() {
    let mut scheduler = SCHEDULER.lock();
    let index = this_cpu().index();
    scheduler.cpus[index].armed = None;
    scheduler.expire(index);
    scheduler.judge(index);
    scheduler.arm(index);
}

/// The interrupt that says that something was queued here.
pub fn on_reschedule() {
    let mut scheduler = SCHEDULER.lock();
    let index = this_cpu().index();
    scheduler.judge(index);
    scheduler.arm(index);
}

/// An interrupt found the kernel running when it wanted a switch: try again
/// soon, the kernel's calls are short. Interrupt context.
pub fn retry_soon() {
    let mut scheduler = SCHEDULER.lock();
    let index = this_cpu().index();
    scheduler.arm_at(index, monotonic_ns() + RETRY_NS);
}

/// Called by the interrupt entry, on the thread's kernel stack, when the program
/// was interrupted and another thread should run.
pub extern "C" fn preempt() {
    give_way(SCHEDULER.lock());
}

/// Runs threads, and halts while there are none. The CPU's first context; never
/// returns.
pub fn run_idle() -> ! {
    loop {
        interrupts::enable();
        reap();
        interrupts::disable();
        let mut scheduler = SCHEDULER.lock();
        let index = this_cpu().index();
        if scheduler.cpus.iter().all(|cpu| cpu.waiting == 0) {
            scheduler.cpus[index].idle = true;
            scheduler.arm(index);
            drop(scheduler);
            // Interrupts come in only with the halt, so a wake-up is not missed.
            interrupts::enable_and_hlt();
            continue;
        }
        scheduler.cpus[index].idle = false;
        switch_to_next(scheduler);
    }
}
