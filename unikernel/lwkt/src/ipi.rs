//! Messages between CPUs: small closures that run on another CPU, in a critical
//! section there.
//!
//! # Where messages are kept
//!
//! Every CPU owns a fixed number of *envelopes*. To send is to take one of the
//! sending CPU's free envelopes, put the closure into it and push it onto the list
//! of the target; when the closure has run, the envelope goes home. So memory grows
//! with the number of CPUs and not with its square, nothing is allocated, and a
//! target cannot be full: what runs out is the sender's own supply.
//!
//! * A *thread* that finds no envelope waits for one to come home
//!   ([`IpiQueues::send`]). It serves its own CPU's messages while it waits, and
//!   the CPUs that hold the envelopes never wait for anything, so one does come.
//! * A *handler* never waits. It was delivered in an envelope, and may send one
//!   message on in it ([`Delivery::forward`]): that cannot fail. For more it may try
//!   ([`IpiQueues::try_send`]) and be refused.
//!
//! With that no number of messages between any CPUs, from handlers or not, can
//! lock up or get lost. (DragonFly gives every pair of CPUs a queue and makes a
//! handler that finds one full run other handlers inside of itself.)
//!
//! # When messages run
//!
//! One hardware interrupt serves all that is queued, and none is raised while one
//! is on its way. A *passive* message raises none unless its target idles or has
//! many messages waiting: it runs with the next active one, at the target's next
//! tick, or when the target idles. The order is kept for each sending CPU, active
//! and passive messages alike.

use alloc::boxed::Box;
use core::mem::{MaybeUninit, align_of, size_of};
use core::ptr::{NonNull, null_mut};

use crate::critical::{Critical, MayBlock};
use crate::machine::Machine;
use crate::sync::Racy;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};
use crate::trace::Event;

/// Words that a message's closure may capture.
pub const MESSAGE_WORDS: usize = 5;

type Payload = [MaybeUninit<usize>; MESSAGE_WORDS];
type Run<M> = unsafe fn(&IpiQueues<M>, &Critical<M>, NonNull<Envelope<M>>);

/// What a message travels in.
#[repr(C, align(64))]
struct Envelope<M: Machine> {
    /// The next of whatever list this is in; owned with the envelope.
    next: Racy<*mut Envelope<M>>,
    /// Calls the closure and gives the envelope back.
    run: Racy<MaybeUninit<Run<M>>>,
    closure: Racy<Payload>,
    /// The CPU that it belongs to.
    home: usize,
}

/// A list that anyone pushes to and one empties at once (Treiber 1986). Because
/// single elements are never popped, addresses that come back do no harm.
struct Stack<M: Machine>(AtomicPtr<Envelope<M>>);

impl<M: Machine> Stack<M> {
    fn new() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }

    /// # Safety
    /// The caller owns the envelope, which is in no list.
    unsafe fn push(&self, envelope: NonNull<Envelope<M>>) {
        let mut head = self.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller owns it until the exchange below succeeds.
            unsafe { envelope.as_ref().next.with_mut(|next| *next = head) };
            match self.0.compare_exchange(
                head,
                envelope.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes all, the last pushed first.
    fn take(&self) -> Chain<M> {
        Chain(self.0.swap(null_mut(), Ordering::Acquire))
    }

    fn is_empty(&self) -> bool {
        self.0.load(Ordering::SeqCst).is_null()
    }
}

/// Envelopes that somebody owns, linked.
struct Chain<M: Machine>(*mut Envelope<M>);

impl<M: Machine> Chain<M> {
    fn pop(&mut self) -> Option<NonNull<Envelope<M>>> {
        let first = NonNull::new(self.0)?;
        // SAFETY: the chain owns its envelopes.
        self.0 = unsafe { first.as_ref().next.with(|next| *next) };
        Some(first)
    }

    fn push(&mut self, envelope: NonNull<Envelope<M>>) {
        // SAFETY: as above, and the caller gives this one to the chain.
        unsafe { envelope.as_ref().next.with_mut(|next| *next = self.0) };
        self.0 = envelope.as_ptr();
    }

    fn reversed(mut self) -> Self {
        let mut reversed = Self(null_mut());
        while let Some(envelope) = self.pop() {
            reversed.push(envelope);
        }
        reversed
    }
}

/// One CPU's queue and its supply of envelopes.
#[repr(align(128))]
struct IpiQueue<M: Machine> {
    /// Messages to this CPU.
    arrived: Stack<M>,
    /// How many are sent to this CPU and have not run.
    waiting: AtomicUsize,
    /// An interrupt has been raised that this CPU has not answered.
    in_flight: AtomicBool,
    /// This CPU has nothing to do, or is about to find that.
    idle: AtomicBool,
    /// This CPU's envelopes that others have emptied.
    returned: Stack<M>,
    /// This CPU's free envelopes; its own, in a critical section.
    free: Racy<*mut Envelope<M>>,
    /// Messages are being run; its own, in a critical section.
    serving: Racy<bool>,
    /// The storage of this CPU's envelopes, wherever they are.
    _envelopes: Box<[Envelope<M>]>,
}

/// The message queues of all CPUs.
pub struct IpiQueues<M: Machine> {
    queues: Box<[IpiQueue<M>]>,
    /// Waiting messages from which on passive ones raise the interrupt, too.
    many: usize,
    /// Held by the one who gathers all CPUs.
    gathering: AtomicBool,
    /// How often a CPU has come to a meeting, and how often one has done there what it
    /// came for. They are never set back, so that a CPU that still looks at them does
    /// not keep the next meeting waiting.
    come: AtomicUsize,
    done: AtomicUsize,
}

// SAFETY: an envelope and what it holds belong to one owner at a time: the sender,
// a list (whose pushes and takes synchronise), or the CPU that runs it. Closures
// are `Send`. `free` and `serving` are reached by their own CPU, in a critical
// section.
unsafe impl<M: Machine> Sync for IpiQueues<M> {}
// SAFETY: as for `Sync`; nothing depends on the thread that made it.
unsafe impl<M: Machine> Send for IpiQueues<M> {}

/// The delivery of one message, on its target: a hard critical section. The
/// handler may send one message on in place of this one. When it is dropped, the
/// envelope goes home.
///
/// A handler has no thread of its own, so it cannot block: what blocks asks for a
/// [`MayBlock`](crate::MayBlock), which a closure that is sent cannot capture.
pub struct Delivery<'a, M: Machine> {
    queues: &'a IpiQueues<M>,
    section: &'a Critical<M>,
    envelope: NonNull<Envelope<M>>,
}

impl<M: Machine> IpiQueues<M> {
    /// Queues for all CPUs of the machine, with `envelopes` for each.
    ///
    /// # Panics
    /// With fewer envelopes than CPUs: [`IpiQueues::rendezvous`] needs one for each.
    pub fn new(envelopes: usize) -> Self {
        assert!(
            envelopes >= M::cpus(),
            "found {envelopes} envelopes for {} CPUs",
            M::cpus()
        );
        Self {
            queues: (0..M::cpus())
                .map(|cpu| IpiQueue::new(cpu, envelopes))
                .collect(),
            many: (envelopes / 4).max(1),
            gathering: AtomicBool::new(false),
            come: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
        }
    }

    /// Has `message` run on CPU `target`, soon. On the calling CPU it has run when
    /// this returns. Waits for a free envelope.
    pub fn send<F>(&self, leave: &MayBlock<M>, target: usize, message: F)
    where
        F: FnOnce(Delivery<'_, M>) + Send + 'static,
    {
        if self.send_waiting(leave, target, message) {
            self.notify(target);
        }
    }

    /// Has `message` run on CPU `target` without interrupting it for that; see the
    /// module for when that is. Otherwise as [`IpiQueues::send`].
    pub fn send_passive<F>(&self, leave: &MayBlock<M>, target: usize, message: F)
    where
        F: FnOnce(Delivery<'_, M>) + Send + 'static,
    {
        if self.send_waiting(leave, target, message) {
            self.notify_passively(target);
        }
    }

    /// Interrupts CPU `target`, to which a passive message was sent, if it idles or has
    /// many.
    fn notify_passively(&self, target: usize) {
        let queue = &self.queues[target];
        // Either this sees that the target idles, or the target sees the message.
        fence(Ordering::SeqCst);
        if queue.waiting.load(Ordering::Relaxed) >= self.many || queue.idle.load(Ordering::SeqCst) {
            self.notify(target);
        }
    }

    /// As [`IpiQueues::send`], in a critical section and so also from handlers: gives
    /// the message back when this CPU has no free envelope.
    pub fn try_send<F>(&self, section: &Critical<M>, target: usize, message: F) -> Result<(), F>
    where
        F: FnOnce(Delivery<'_, M>) + Send + 'static,
    {
        let Some(envelope) = self.take_free(section) else {
            return Err(message);
        };
        self.post(envelope, target, message);
        self.notify(target);
        Ok(())
    }

    /// As [`IpiQueues::send_passive`], in a critical section: gives the message back when
    /// this CPU has no free envelope.
    pub fn try_send_passive<F>(
        &self,
        section: &Critical<M>,
        target: usize,
        message: F,
    ) -> Result<(), F>
    where
        F: FnOnce(Delivery<'_, M>) + Send + 'static,
    {
        let Some(envelope) = self.take_free(section) else {
            return Err(message);
        };
        self.post(envelope, target, message);
        self.notify_passively(target);
        Ok(())
    }

    /// Queues the message and raises nothing. Whether it has yet to run: to the calling
    /// CPU it has run.
    fn send_waiting<F>(&self, leave: &MayBlock<M>, target: usize, message: F) -> bool
    where
        F: FnOnce(Delivery<'_, M>) + Send + 'static,
    {
        loop {
            let section = Critical::enter();
            if let Some(envelope) = self.take_free(&section) {
                self.post(envelope, target, message);
                let is_here = target == section.cpu();
                if is_here {
                    self.serve(&section);
                }
                return !is_here;
            }
            drop(section);
            self.hasten(leave);
        }
    }

    /// Waits a moment for envelopes to come home: passive messages may keep them all.
    fn hasten(&self, leave: &MayBlock<M>) {
        for target in 0..self.queues.len() {
            if self.queues[target].waiting.load(Ordering::Relaxed) > 0 {
                self.notify(target);
            }
        }
        self.wait_a_moment(leave);
    }

    /// One step of a loop that waits for other CPUs: they may be waiting for this one.
    fn wait_a_moment(&self, _leave: &MayBlock<M>) {
        debug_assert!(!M::is_critical(), "waiting in a critical section");
        self.poll();
        M::pause();
    }

    fn take_free(&self, section: &Critical<M>) -> Option<NonNull<Envelope<M>>> {
        let queue = &self.queues[section.cpu()];
        // SAFETY: this is the CPU, in a critical section; `with_mut` calls nothing
        // that could come back here.
        queue.free.with_mut(|free| unsafe {
            let mut chain = Chain(*free);
            let envelope = chain.pop().or_else(|| {
                chain = queue.returned.take();
                chain.pop()
            });
            *free = chain.0;
            envelope
        })
    }

    /// Puts `message` into an envelope that the caller owns, and that to the target.
    fn post<F>(&self, envelope: NonNull<Envelope<M>>, target: usize, message: F)
    where
        F: FnOnce(Delivery<'_, M>) + Send + 'static,
    {
        const {
            assert!(
                size_of::<F>() <= size_of::<Payload>() && align_of::<F>() <= align_of::<Payload>(),
                "a message captures at most five words: send a reference to more"
            )
        };
        let queue = &self.queues[target];
        // SAFETY: the caller owns the envelope, and the closure fits into it.
        unsafe {
            let content = envelope.as_ref();
            content
                .closure
                .with_mut(|closure| closure.cast::<F>().write(message));
            content
                .run
                .with_mut(|run| (*run).write(run_message::<M, F>));
            queue.waiting.fetch_add(1, Ordering::Relaxed);
            queue.arrived.push(envelope);
        }
        M::trace(Event::MessageSent { target });
    }

    /// Sees to it that CPU `target` looks at its messages, and at what else waits
    /// for it. Any context.
    #[inline]
    pub fn notify(&self, target: usize) {
        // Whoever clears the flag sees what was queued before it was set.
        if !self.queues[target].in_flight.swap(true, Ordering::AcqRel) {
            M::trace(Event::Interrupted { target });
            M::interrupt(target);
        }
    }

    /// Runs the messages that wait for the calling CPU. The handler of the message
    /// interrupt calls this, the tick, the end of a critical section, and what waits
    /// for another CPU. Does nothing within a handler.
    pub fn poll(&self) {
        self.serve(&Critical::enter());
    }

    /// Whether messages wait for the calling CPU. Any context.
    #[inline]
    pub fn has_work(&self, section: &Critical<M>) -> bool {
        !self.queues[section.cpu()].arrived.is_empty()
    }

    /// Says whether the calling CPU is idle. After it has said so it must look
    /// ([`IpiQueues::has_work`]) before it halts.
    pub fn set_idle(&self, section: &Critical<M>, idle: bool) {
        self.queues[section.cpu()]
            .idle
            .store(idle, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// [`IpiQueues::poll`], in a section that the caller has entered and in which it
    /// holds no reference to the CPU's data.
    fn serve(&self, section: &Critical<M>) {
        let queue = &self.queues[section.cpu()];
        let was_serving = queue.serving.with_mut(|serving| {
            // SAFETY: this is the CPU, in a critical section.
            unsafe { core::mem::replace(&mut *serving, true) }
        });
        if was_serving {
            return;
        }
        // First the flag: what is queued after this raises the interrupt again.
        queue.in_flight.swap(false, Ordering::AcqRel);
        let mut batch = queue.arrived.take().reversed();
        while let Some(envelope) = batch.pop() {
            queue.waiting.fetch_sub(1, Ordering::Relaxed);
            // SAFETY: the batch owned it and gives it to the run, with the function
            // that was put in beside the closure.
            unsafe {
                let run = envelope.as_ref().run.with(|run| (*run).assume_init());
                run(self, section, envelope);
            }
        }
        // SAFETY: as above.
        queue
            .serving
            .with_mut(|serving| unsafe { *serving = false });
    }

    /// Gives an empty envelope back to its CPU.
    fn send_home(&self, section: &Critical<M>, envelope: NonNull<Envelope<M>>) {
        // SAFETY: the caller owns the envelope and gives it up; `free` belongs to
        // the CPU that this runs on, which is in a critical section.
        unsafe {
            let home = envelope.as_ref().home;
            let queue = &self.queues[home];
            if home == section.cpu() {
                queue.free.with_mut(|free| {
                    let mut chain = Chain(*free);
                    chain.push(envelope);
                    *free = chain.0;
                });
            } else {
                queue.returned.push(envelope);
            }
        }
    }

    /// Calls `call` with the CPU's number on every CPU at the same time: when all
    /// have come together, and none goes on before all have called it. CPUs in
    /// critical sections make the others wait, so this is rare.
    pub fn rendezvous(&self, leave: &MayBlock<M>, call: impl Fn(usize) + Sync) {
        while self.gathering.swap(true, Ordering::Acquire) {
            // Another one gathers, and may be waiting for this CPU.
            self.wait_a_moment(leave);
        }
        let call: &(dyn Fn(usize) + Sync) = &call;
        let meeting = Meeting {
            // SAFETY: this function ends when all CPUs have called it for the only time.
            call: unsafe {
                core::mem::transmute::<
                    &(dyn Fn(usize) + Sync),
                    &'static (dyn Fn(usize) + Sync + 'static),
                >(call)
            },
            // At the end of each meeting both counts are the same multiple.
            all: self.come.load(Ordering::Relaxed) + self.queues.len(),
        };
        // In one section: the CPU that this thread attends for must not change.
        let section = loop {
            let section = Critical::enter();
            if self.invite(&section, meeting) {
                break section;
            }
            drop(section);
            self.hasten(leave);
        };
        self.attend(meeting, section.cpu());
        self.gathering.store(false, Ordering::Release);
    }

    /// Sends every other CPU to the meeting, or none: too few envelopes are here.
    fn invite(&self, section: &Critical<M>, meeting: Meeting) -> bool {
        let mut taken = Chain(null_mut());
        for _ in 1..self.queues.len() {
            match self.take_free(section) {
                Some(envelope) => taken.push(envelope),
                None => {
                    while let Some(envelope) = taken.pop() {
                        self.send_home(section, envelope);
                    }
                    return false;
                }
            }
        }
        for target in (0..self.queues.len()).filter(|&cpu| cpu != section.cpu()) {
            if let Some(envelope) = taken.pop() {
                self.post(envelope, target, move |delivery: Delivery<'_, M>| {
                    delivery.queues.attend(meeting, delivery.section.cpu());
                });
                self.notify(target);
            }
        }
        true
    }

    fn attend(&self, meeting: Meeting, cpu: usize) {
        Self::wait_for_all(&self.come, meeting.all);
        (meeting.call)(cpu);
        Self::wait_for_all(&self.done, meeting.all);
    }

    fn wait_for_all(count: &AtomicUsize, all: usize) {
        count.fetch_add(1, Ordering::AcqRel);
        while count.load(Ordering::Acquire) < all {
            M::pause();
        }
    }
}

/// Where all CPUs come together.
#[derive(Clone, Copy)]
struct Meeting {
    /// What each CPU is to call, once. Not for ever: until all have done so.
    call: &'static (dyn Fn(usize) + Sync),
    /// What the counts are when all are here.
    all: usize,
}

impl<M: Machine> IpiQueue<M> {
    fn new(home: usize, count: usize) -> Self {
        let envelopes: Box<[Envelope<M>]> = (0..count)
            .map(|_| Envelope {
                next: Racy::new(null_mut()),
                run: Racy::new(MaybeUninit::uninit()),
                closure: Racy::new([const { MaybeUninit::uninit() }; MESSAGE_WORDS]),
                home,
            })
            .collect();
        let mut free = Chain(null_mut());
        for envelope in &envelopes {
            free.push(NonNull::from(envelope));
        }
        Self {
            arrived: Stack::new(),
            waiting: AtomicUsize::new(0),
            in_flight: AtomicBool::new(false),
            idle: AtomicBool::new(false),
            returned: Stack::new(),
            free: Racy::new(free.0),
            serving: Racy::new(false),
            _envelopes: envelopes,
        }
    }
}

/// Runs the closure in an envelope.
///
/// # Safety
/// The caller gives up the envelope, which holds an `F`.
unsafe fn run_message<M, F>(
    queues: &IpiQueues<M>,
    section: &Critical<M>,
    envelope: NonNull<Envelope<M>>,
) where
    M: Machine,
    F: FnOnce(Delivery<'_, M>) + Send + 'static,
{
    // SAFETY: the envelope is there until the handler gives it up.
    let home = unsafe { envelope.as_ref() }.home;
    M::trace(Event::MessageRun { home });
    // SAFETY: the closure is moved out once; the envelope is empty after that.
    let message = unsafe {
        envelope
            .as_ref()
            .closure
            .with(|closure| closure.cast::<F>().read())
    };
    message(Delivery {
        queues,
        section,
        envelope,
    });
}

impl<'a, M: Machine> Delivery<'a, M> {
    /// The critical section in which the handler runs.
    #[inline]
    pub fn section(&self) -> &'a Critical<M> {
        self.section
    }

    /// Sends `message` on to CPU `target`, in the same envelope: this cannot fail.
    /// On the calling CPU it runs after what is already waiting there.
    pub fn forward<F>(self, target: usize, message: F)
    where
        F: FnOnce(Delivery<'_, M>) + Send + 'static,
    {
        let (queues, envelope) = (self.queues, self.envelope);
        core::mem::forget(self);
        queues.post(envelope, target, message);
        queues.notify(target);
    }
}

impl<M: Machine> Drop for Delivery<'_, M> {
    fn drop(&mut self) {
        self.queues.send_home(self.section, self.envelope);
    }
}

impl<M: Machine> Drop for IpiQueues<M> {
    fn drop(&mut self) {
        // Messages that have not run own things. They are dropped by being taken
        // out of their envelopes, which nobody can do without running them: a
        // machine that goes away with messages under way is a bug of its owner.
        debug_assert!(
            self.queues.iter().all(|queue| queue.arrived.is_empty()),
            "messages were under way"
        );
    }
}

#[cfg(test)]
#[allow(
    clippy::missing_const_for_thread_local,
    reason = "loom's thread_local knows no const"
)]
mod tests;
