//! A TCP socket that waits for connections.

use alloc::sync::Arc;
use core::net::SocketAddr;

use crossbeam_queue::ArrayQueue;

use super::{SocketId, Stream, Wait};

/// A program's end of a listening socket.
pub struct Listener<W> {
    /// What both sides look at.
    pub state: Arc<ListenerState<W>>,
}

/// A connection to be accepted. When it is dropped unaccepted, the stack ends it.
pub type Accepted<W> = Stream<W>;

/// What both sides know of a listening socket.
pub struct ListenerState<W> {
    /// Its name.
    pub id: SocketId,
    /// Where it listens.
    pub local: SocketAddr,
    /// Connections that nobody has accepted yet, oldest first: the backlog. After taking one,
    /// nothing has to be told.
    pub accepted: ArrayQueue<Accepted<W>>,
    /// Threads in `accept`.
    pub waiters: W,
}

impl<W: Wait> ListenerState<W> {
    /// A new one, with room for `backlog` connections (at least one).
    pub fn new(id: SocketId, local: SocketAddr, backlog: usize) -> Self {
        Self {
            id,
            local,
            accepted: ArrayQueue::new(backlog.max(1)),
            waiters: W::default(),
        }
    }

    /// Takes the connection that has waited longest.
    pub fn accept(&self) -> Option<Accepted<W>> {
        W::undisturbed(|| self.accepted.pop())
    }
}
