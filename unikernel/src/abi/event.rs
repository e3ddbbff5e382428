//! Waiting for descriptors: `poll`, and counters to wait for.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use hermit_abi::{
    EAGAIN, EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE, EINVAL, ENOMEM, POLLERR, POLLHUP, POLLIN,
    POLLNVAL, POLLOUT, POLLRDNORM, POLLWRNORM, nfds_t, pollfd,
};

use super::descriptors::{self, Description, Object};
use super::user::{self, Errno, UserBuffer, answer};
use crate::console;
use crate::net::while_polling;
use crate::sched::WaitQueue;
use crate::time::monotonic_ns;

/// Threads in `poll`, and readers and writers of counters.
static READINESS: WaitQueue = WaitQueue::new();

/// To be called whenever a descriptor may have become ready. Thread or interrupt
/// context.
pub fn readiness_changed() {
    READINESS.wake_all();
}

/// Waits for whatever `look` looks at, which is something that descriptors or sockets are
/// ready for, until it gives a value or until `deadline` (monotonic ns; then `None`). Thread
/// context, no lock held.
pub fn wait_for_readiness<T>(deadline: Option<u64>, look: impl FnMut() -> Option<T>) -> Option<T> {
    while_polling(|| READINESS.wait_until(deadline, look))
}

/// A 64-bit counter: writing adds to it, reading takes from it and blocks while
/// it is 0.
pub struct EventFd {
    count: AtomicU64,
    /// A read takes 1 rather than all.
    semaphore: bool,
}

impl EventFd {
    /// The largest count; the value above it cannot even be written.
    const MAX: u64 = u64::MAX - 1;

    /// Takes the count and gives it to the program as 8 bytes.
    pub fn read(&self, nonblocking: bool, buffer: &UserBuffer<'_>) -> Result<usize, Errno> {
        if buffer.len() < size_of::<u64>() {
            return Err(Errno(EINVAL));
        }
        let taken = block(nonblocking, || self.take())?;
        readiness_changed();
        buffer.copy_out(0, &taken.to_ne_bytes());
        Ok(size_of::<u64>())
    }

    /// Adds the program's 8 bytes to the count. Blocks while that would be more
    /// than it can hold.
    pub fn write(&self, nonblocking: bool, buffer: &UserBuffer<'_>) -> Result<usize, Errno> {
        if buffer.len() < size_of::<u64>() {
            return Err(Errno(EINVAL));
        }
        let mut bytes = [0; size_of::<u64>()];
        buffer.copy_in(0, &mut bytes);
        let more = u64::from_ne_bytes(bytes);
        if more > Self::MAX {
            return Err(Errno(EINVAL));
        }
        block(nonblocking, || self.put(more))?;
        readiness_changed();
        Ok(bytes.len())
    }

    fn take(&self) -> Option<u64> {
        let left = |count: u64| if self.semaphore { count - 1 } else { 0 };
        let update = |count| (count > 0).then(|| left(count));
        let before = self
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, update)
            .ok()?;
        Some(before - left(before))
    }

    fn put(&self, more: u64) -> Option<()> {
        let update = |count: u64| count.checked_add(more).filter(|&sum| sum <= Self::MAX);
        self.count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, update)
            .ok()?;
        Some(())
    }

    /// What could be done without blocking, as `POLL*` bits.
    fn ready(&self) -> i16 {
        let count = self.count.load(Ordering::Acquire);
        let readable = if count > 0 { READABLE } else { 0 };
        let writable = if count < Self::MAX { WRITABLE } else { 0 };
        readable | writable
    }
}

/// Attempts until there is a value, or just once.
fn block<T>(nonblocking: bool, mut attempt: impl FnMut() -> Option<T>) -> Result<T, Errno> {
    let value = if nonblocking {
        attempt()
    } else {
        READINESS.wait_until(None, attempt)
    };
    value.ok_or(Errno(EAGAIN))
}

/// What `poll` reports where there is something to be read.
pub const READABLE: i16 = POLLIN | POLLRDNORM;
/// What `poll` reports where something may be written.
pub const WRITABLE: i16 = POLLOUT | POLLWRNORM;

/// What could be done without blocking, as `POLL*` bits.
fn ready(description: &Description) -> i16 {
    match &description.object {
        // Files never block.
        Object::RamFile(_) | Object::Directory(_) => READABLE | WRITABLE,
        Object::Stdin if console::stdin_ready() => READABLE,
        Object::Stdin => 0,
        Object::Stdout | Object::Stderr => WRITABLE,
        Object::EventFd(event) => event.ready(),
        #[cfg(feature = "net")]
        Object::Socket(socket) => socket.ready(),
    }
}

/// One line of a `poll`.
struct Polled {
    request: pollfd,
    /// `None` for a descriptor that is not open.
    description: Option<Arc<Description>>,
}

impl Polled {
    fn new(request: pollfd) -> Self {
        Self {
            request,
            description: descriptors::get(request.fd).ok(),
        }
    }

    /// The events that were asked for, and errors, which always are.
    fn events(&self) -> i16 {
        match &self.description {
            // Negative descriptors are there to be ignored.
            None if self.request.fd < 0 => 0,
            None => POLLNVAL,
            Some(description) => ready(description) & (self.request.events | POLLERR | POLLHUP),
        }
    }
}

fn eventfd(initial: u64, flags: i16) -> Result<i32, Errno> {
    let known = EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC;
    if flags & !known != 0 || initial > EventFd::MAX {
        return Err(Errno(EINVAL));
    }
    let event = EventFd {
        count: AtomicU64::new(initial),
        semaphore: flags & EFD_SEMAPHORE != 0,
    };
    let nonblocking = flags & EFD_NONBLOCK != 0;
    descriptors::add(
        Object::EventFd(event),
        nonblocking,
        flags & EFD_CLOEXEC != 0,
    )
}

fn poll(fds: *mut pollfd, count: usize, timeout_ms: i32) -> Result<i32, Errno> {
    if count > descriptors::LIMIT {
        return Err(Errno(EINVAL));
    }
    let mut lines = Vec::new();
    lines.try_reserve_exact(count).map_err(|_| Errno(ENOMEM))?;
    for index in 0..count {
        lines.push(Polled::new(user::read(fds.wrapping_add(index))?));
    }
    let mut look = || {
        let mut ready = 0;
        for line in &mut lines {
            line.request.revents = line.events();
            ready += i32::from(line.request.revents != 0);
        }
        (ready > 0).then_some(ready)
    };
    let deadline = match u64::try_from(timeout_ms) {
        Ok(ms) => Some(monotonic_ns().saturating_add(ms * 1_000_000)),
        // Negative: without a limit.
        Err(_) => None,
    };
    let ready = match timeout_ms {
        0 => look(),
        _ => wait_for_readiness(deadline, look),
    };
    for (index, line) in lines.iter().enumerate() {
        user::write(fds.wrapping_add(index), line.request)?;
    }
    Ok(ready.unwrap_or(0))
}

/// Makes a counter that starts at `initval`, and a descriptor for it.
pub extern "C" fn sys_eventfd(initval: u64, flags: i16) -> i32 {
    answer(eventfd(initval, flags))
}

/// Waits until one of the descriptors is ready, at most `timeout` milliseconds
/// (negative: without limit). Returns how many are.
pub extern "C" fn sys_poll(fds: *mut pollfd, nfds: nfds_t, timeout: i32) -> i32 {
    answer(poll(fds, nfds, timeout))
}
