//! The network: the protocol thread, and how the rest of the kernel reaches it.
//!
//! All of the stack ([`darner_netstack`]) belongs to one thread, which nobody else touches:
//! no lock. It is an interrupt thread, so a frame that arrives is looked at once whatever
//! the program computes; it runs
//!
//! * when a card interrupts ([`wake`]),
//! * when a request has been put to its port ([`call`], [`tell`]),
//! * when a timer of the stack is due,
//!
//! and blocks when there is nothing to do. It never waits for anything else, in particular
//! not for the program's memory: the program's own threads copy to and from that.
//!
//! An interrupt thread that always finds more to do would keep its CPU for ever, and the
//! program that is to read all this would never run. So when the stack has used up its
//! budget, it rests for as long as it has worked.

mod wait_point;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use darner_lwkt::message::{Mailbox, Terms};
use darner_lwkt::port::{Bounds, Port, QueuePort, Received, Receiver, thread_port};
use darner_netstack::config::NetworkConfig;
use darner_netstack::socket::{Batching, Farewell, Way};
use darner_netstack::stack::Configured;
use darner_netstack::{Error, InterfaceConfig, Nic, Reply, Request, Stack};
use spin::Once;

pub use self::wait_point::{WaitPoint, while_polling};
use crate::abi::entropy;
use crate::cluster::{self, Engine, Progress};
use crate::memory::frames;
use crate::memory::stacks::KernelStack;
use crate::panic;
use crate::sched::{InterruptThread, Kernel, leave};
use crate::time::monotonic_ns;

type Requests = QueuePort<Kernel, Request<WaitPoint>, Reply<WaitPoint>>;
type Requested = Receiver<Kernel, Request<WaitPoint>, Reply<WaitPoint>>;

/// Above COM1's thread.
const LEVEL: u8 = 1;
/// Where the thread runs, and the cards interrupt.
const CPU: usize = 0;
/// Requests that may wait. More senders wait for room.
const REQUESTS: usize = 256;
/// The stack moves interfaces about, which have buffers of 64 KiB in them.
const STACK_BYTES: u64 = 512 << 10;
/// What part of the memory the buffers of connections may take.
const MEMORY_SHARE: u64 = 4;

static THREAD: InterruptThread = InterruptThread::new(LEVEL).named("network");
static NETWORK: Once<Option<Network>> = Once::new();
static CONFIGURED: Once<Arc<Configured<WaitPoint>>> = Once::new();
static BATCHING: Once<Arc<Batching>> = Once::new();

/// How to reach the thread.
struct Network {
    requests: Requests,
}

/// Starts the network with these cards. Without any it starts when the program first asks
/// for it. `cluster` is this node's part in one. Called once, at boot.
pub fn init(nics: Vec<Box<dyn Nic>>, config: &NetworkConfig, cluster: Option<Box<Engine>>) {
    if nics.is_empty() {
        if cluster.is_some() {
            panic::refuse(format_args!(
                "found no network card, which a node of a cluster needs: its other nodes are reached by it"
            ));
        }
        return;
    }
    let cards = nics.into_iter().enumerate();
    let cards = cards.map(|(index, nic)| (nic, config.interface(index)));
    NETWORK.call_once(|| start(cards.collect(), cluster));
}

/// Has the protocol thread look at its cards. For interrupts, when no critical section is
/// in the way; before [`init`] nothing happens.
pub fn wake() {
    THREAD.ask();
}

/// Asks the stack, and waits for its answer. Thread context, no lock held.
///
/// # Errors
/// What the stack says, and [`Error::NoMemory`] when there is none for the network.
pub fn call(request: Request<WaitPoint>) -> Result<Reply<WaitPoint>, Error> {
    match ask(&network()?.requests, request) {
        Reply::Failed(error) => Err(error),
        reply => Ok(reply),
    }
}

/// Puts a request to a port that the protocol thread receives from, and waits for the answer.
/// Thread context, no lock held.
pub fn ask<Q, A>(port: &QueuePort<Kernel, Q, A>, request: Q) -> A {
    let mut mailbox = Mailbox::new(1);
    // SAFETY: thread context, no lock held, as the caller says.
    let leave = unsafe { leave() };
    if mailbox
        .send_waiting(&leave, port, request, Terms::NONE)
        .is_err()
    {
        unreachable!("{NO_END}");
    }
    THREAD.ask();
    match mailbox.wait(&leave, None).map(|answer| answer.outcome) {
        Ok(Ok(reply)) => reply,
        Ok(Err(_)) | Err(_) => unreachable!("every request is answered"),
    }
}

/// Puts a request that wants no answer to a port that the protocol thread receives from, and does
/// not have that look. Thread context, no lock held.
pub fn leave_at<Q, A>(port: &QueuePort<Kernel, Q, A>, request: Q) {
    // SAFETY: thread context, no lock held, as the caller says.
    let leave = unsafe { leave() };
    if port.tell_waiting(&leave, request, Terms::NONE).is_err() {
        unreachable!("{NO_END}");
    }
}

const NO_END: &str = "the protocol thread does not end, and there is no deadline";

/// Tells the stack what wants no answer. Thread context, no lock held.
pub fn tell(request: Request<WaitPoint>) {
    put(request);
    THREAD.ask();
}

/// As [`tell`], of what is to be sent by that way: while the card there is busy with other
/// frames, the protocol thread hears of it when the card is not any more, or when a CPU has
/// nothing else to do. Thread context, no lock held.
pub fn tell_with_others(request: Request<WaitPoint>, way: Way) {
    put(request);
    let may_wait = BATCHING
        .get()
        .is_some_and(|batching| batching.may_wait(way));
    if !may_wait {
        THREAD.ask();
    }
}

/// This CPU is about to halt: what waits need not wait any more. Idle context.
pub fn idle() {
    if BATCHING.get().is_some_and(|batching| batching.is_waiting()) {
        THREAD.ask();
    }
}

/// Puts a request that wants no answer where the protocol thread will find it.
fn put(request: Request<WaitPoint>) {
    // What is told is about a socket, so the network has been started.
    let Ok(network) = network() else { return };
    leave_at(&network.requests, request);
}

/// How long the first use of an interface may wait for its address, in ns.
const CONFIGURATION: u64 = 15_000_000_000;

/// Waits until no interface waits for its first address, but no longer than
/// [`CONFIGURATION`]. Thread context, no lock held.
pub fn wait_configured() {
    if let Some(configured) = CONFIGURED.get()
        && !configured.is_done()
    {
        let is_done = || configured.is_done().then_some(());
        let deadline = Some(monotonic_ns() + CONFIGURATION);
        configured.waiters.wait_until(deadline, is_done);
    }
}

/// How long the end of a program may wait for what it has sent to arrive, in ns: other ends
/// that do not answer must not hold up more than that.
const FAREWELL: u64 = 3_000_000_000;

/// The program ends: waits until what it has sent has arrived and its connections are
/// closed, but no longer than [`FAREWELL`]. A kernel that goes on would do that later; here
/// nothing goes on. Thread context, no lock held.
pub fn finish() {
    if !matches!(NETWORK.get(), Some(Some(_))) {
        return;
    }
    cluster::leave();
    let farewell = Arc::new(Farewell::new());
    if call(Request::Finish(farewell.clone())).is_ok() {
        let is_over = || farewell.is_over().then_some(());
        let deadline = Some(monotonic_ns() + FAREWELL);
        farewell.waiters.wait_until(deadline, is_over);
    }
}

fn network() -> Result<&'static Network, Error> {
    // Whoever comes second spins until the first is done: in thread context, and on
    // another CPU or preempted in the kernel by no other thread of the program.
    NETWORK
        .call_once(|| start(Vec::new(), None))
        .as_ref()
        .ok_or(Error::NoMemory)
}

type Cards = Vec<(Box<dyn Nic>, InterfaceConfig)>;

fn start(cards: Cards, mut cluster: Option<Box<Engine>>) -> Option<Network> {
    let (requests, mut receiver) = thread_port(Bounds::new(REQUESTS));
    let mut cards = Some(cards);
    let mut stack = None;
    let work = move || {
        // The stack is made here, on the thread's own stack, which is large enough.
        if let Some(cards) = cards.take() {
            stack = Some(make_stack(cards));
        }
        stack
            .as_mut()
            .and_then(|stack| work(stack, cluster.as_deref_mut(), &mut receiver))
    };
    let started = KernelStack::large(STACK_BYTES)
        .is_some_and(|kernel_stack| THREAD.start_on(kernel_stack, CPU, work));
    if !started {
        log::error!("there is no memory for the network; give the VM more memory");
        return None;
    }
    THREAD.ask();
    Some(Network { requests })
}

fn make_stack(cards: Cards) -> Box<Stack<WaitPoint>> {
    let memory = usize::try_from(frames::total() / MEMORY_SHARE).unwrap_or(usize::MAX);
    let now = monotonic_ns();
    let mut stack = Box::new(Stack::new(entropy::seed(), memory, now));
    CONFIGURED.call_once(|| stack.configured());
    BATCHING.call_once(|| stack.batching());
    for (nic, config) in cards {
        stack.add(nic, config, now);
    }
    stack
}

/// What the protocol thread does whenever it is woken. When to wake it at the latest.
fn work(
    stack: &mut Stack<WaitPoint>,
    mut cluster: Option<&mut Engine>,
    requests: &mut Requested,
) -> Option<u64> {
    let begun = monotonic_ns();
    if let Some(batching) = BATCHING.get() {
        batching.looks();
    }
    while let Ok(Some(Received::Message(message))) = requests.get() {
        let (request, reply_to) = message.into_parts();
        // Nobody waits any more: nothing is lost, the socket is closed by its owner.
        let _ = reply_to.reply(stack.request(request, monotonic_ns()));
    }
    if let Some(cluster) = &mut cluster {
        cluster.begin(stack, monotonic_ns());
    }
    let mut step = stack.step(monotonic_ns());
    let mut deadline = step.deadline;
    if let Some(cluster) = &mut cluster {
        loop {
            let (progress, of_cluster) = cluster.step(stack, monotonic_ns());
            deadline = step.deadline.into_iter().chain(of_cluster).min();
            if progress == Progress::Nothing || step.more {
                break;
            }
            step = stack.step(monotonic_ns());
        }
    }
    if step.more {
        let now = monotonic_ns();
        return Some(now + (now - begun));
    }
    deadline
}
