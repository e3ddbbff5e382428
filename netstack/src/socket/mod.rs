//! The ends of sockets that programs hold.
//!
//! The protocol thread has the other ends. What both look at is atomic; what only one side
//! may use (a ring's consumer, say) is owned by that side, and whoever makes it usable by
//! several program threads puts it under a lock of theirs.

mod batching;
mod datagrams;
mod farewell;
mod listener;
mod lookup;
mod room_bell;
mod stream;

pub use batching::{Batching, Way};
pub use datagrams::{Datagram, DatagramState, Datagrams};
pub use farewell::Farewell;
pub use listener::{Accepted, Listener, ListenerState};
pub use lookup::Lookup;
pub use stream::{Phase, Stream, StreamState};

/// Where threads wait for something about one socket.
///
/// The protocol thread changes what they look at, then wakes. A waiter looks, then waits
/// only if nothing has been woken since it began to look.
pub trait Wait: Default + Send + Sync + 'static {
    /// Lets all who wait look again. Called by the protocol thread.
    fn wake(&self);

    /// Does what must not be interrupted by the protocol thread: it may preempt the program
    /// where it runs, and would wait for ever for what the program is in the middle of.
    fn undisturbed<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
}

impl Wait for () {
    fn wake(&self) {}
}

/// Names a socket to the stack. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub(crate) u64);

impl SocketId {
    /// The number, for reports.
    pub fn number(self) -> u64 {
        self.0
    }
}
