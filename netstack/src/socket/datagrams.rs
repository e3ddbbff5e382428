//! A UDP socket.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use crossbeam_queue::ArrayQueue;
use spin::Mutex;

use super::{SocketId, Wait, Way};
use crate::error::Error;

/// One datagram.
pub struct Datagram {
    /// Whom it is from, or to.
    pub peer: SocketAddr,
    /// Its bytes.
    pub data: Box<[u8]>,
}

/// A program's end of a UDP socket.
pub struct Datagrams<W> {
    /// What both sides look at.
    pub state: Arc<DatagramState<W>>,
}

/// What both sides know of a UDP socket.
pub struct DatagramState<W> {
    /// Its name.
    pub id: SocketId,
    /// Where it is bound.
    pub local: SocketAddr,
    /// What has arrived, oldest first.
    received: ArrayQueue<Datagram>,
    /// Bytes in `received`.
    received_bytes: AtomicUsize,
    /// What is to be sent, oldest first.
    to_send: ArrayQueue<Datagram>,
    /// Bytes in `to_send`.
    to_send_bytes: AtomicUsize,
    /// The only peer, when it is connected.
    peer: Mutex<Option<SocketAddr>>,
    error: Mutex<Option<Error>>,
    /// The protocol thread has been told to look, and has not yet.
    attention: AtomicBool,
    /// The number of the interface by which it has sent last.
    way: AtomicU8,
    /// Threads that wait for datagrams.
    pub readers: W,
    /// Threads that wait for room.
    pub writers: W,
}

impl<W: Wait> DatagramState<W> {
    /// Datagrams that a queue has room for.
    pub const DATAGRAMS: usize = 512;
    /// Bytes that a queue holds at most, but for one datagram.
    pub const BYTES: usize = 512 << 10;

    /// A new socket's.
    pub fn new(id: SocketId, local: SocketAddr) -> Self {
        Self {
            id,
            local,
            received: ArrayQueue::new(Self::DATAGRAMS),
            received_bytes: AtomicUsize::new(0),
            to_send: ArrayQueue::new(Self::DATAGRAMS),
            to_send_bytes: AtomicUsize::new(0),
            peer: Mutex::new(None),
            error: Mutex::new(None),
            attention: AtomicBool::new(false),
            way: AtomicU8::new(Way::NONE.number()),
            readers: W::default(),
            writers: W::default(),
        }
    }

    /// The only peer, when it is connected.
    pub fn peer(&self) -> Option<SocketAddr> {
        W::undisturbed(|| *self.peer.lock())
    }

    /// The protocol thread has connected it, or undone that.
    pub fn set_peer(&self, peer: Option<SocketAddr>) {
        *self.peer.lock() = peer;
    }

    /// The error that came for it, once (`SO_ERROR`).
    pub fn take_error(&self) -> Option<Error> {
        W::undisturbed(|| self.error.lock().take())
    }

    /// Whether an error has come for it that nobody has taken.
    pub fn has_error(&self) -> bool {
        W::undisturbed(|| self.error.lock().is_some())
    }

    /// The protocol thread: an error came for it.
    pub fn set_error(&self, error: Error) {
        *self.error.lock() = Some(error);
        self.readers.wake();
        self.writers.wake();
    }

    /// Takes the oldest datagram that has arrived.
    pub fn receive(&self) -> Option<Datagram> {
        let datagram = W::undisturbed(|| self.received.pop())?;
        self.received_bytes
            .fetch_sub(datagram.data.len(), Ordering::Relaxed);
        Some(datagram)
    }

    /// Whether a datagram has arrived.
    pub fn can_receive(&self) -> bool {
        !self.received.is_empty()
    }

    /// Bytes that have arrived and not been taken, and bytes to be sent: for reports.
    pub fn queued(&self) -> (usize, usize) {
        (
            self.received_bytes.load(Ordering::Relaxed),
            self.to_send_bytes.load(Ordering::Relaxed),
        )
    }

    /// The protocol thread: puts a datagram that has arrived; false when there is no room, and
    /// it is lost.
    pub fn deliver(&self, datagram: Datagram) -> bool {
        let put = put(&self.received, &self.received_bytes, datagram).is_ok();
        if put {
            self.readers.wake();
        }
        put
    }

    /// Puts a datagram to be sent. Then see [`Self::wants_attention`].
    ///
    /// # Errors
    /// It comes back when there is no room.
    pub fn send(&self, datagram: Datagram) -> Result<(), Datagram> {
        W::undisturbed(|| put(&self.to_send, &self.to_send_bytes, datagram))
    }

    /// Whether there is room for a datagram to be sent.
    pub fn can_send(&self) -> bool {
        !self.to_send.is_full() && self.to_send_bytes.load(Ordering::Relaxed) < Self::BYTES
    }

    /// The protocol thread: takes the next to be sent, and wakes who waits for room.
    pub fn next_to_send(&self) -> Option<Datagram> {
        let datagram = self.to_send.pop()?;
        self.to_send_bytes
            .fetch_sub(datagram.data.len(), Ordering::Relaxed);
        self.writers.wake();
        Some(datagram)
    }

    /// The interface by which it has sent last: likely that by which it sends next.
    pub fn way(&self) -> Way {
        Way::from_number(self.way.load(Ordering::Relaxed))
    }

    /// The protocol thread: it has sent by that interface.
    pub(crate) fn set_way(&self, way: Way) {
        self.way.store(way.number(), Ordering::Relaxed);
    }

    /// As [`super::StreamState::wants_attention`]. Then [`super::Batching::may_wait`] tells
    /// whether the protocol thread has to be woken for it.
    #[must_use]
    pub fn wants_attention(&self) -> bool {
        !self.attention.swap(true, Ordering::AcqRel)
    }

    /// As [`super::StreamState::attended`].
    pub fn attended(&self) {
        self.attention.swap(false, Ordering::AcqRel);
    }
}

fn put(
    queue: &ArrayQueue<Datagram>,
    bytes: &AtomicUsize,
    datagram: Datagram,
) -> Result<(), Datagram> {
    let length = datagram.data.len();
    let room = |held: usize| (held < DatagramState::<()>::BYTES).then_some(held + length);
    if bytes
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
        .is_err()
    {
        return Err(datagram);
    }
    queue.push(datagram).inspect_err(|_| {
        bytes.fetch_sub(length, Ordering::Relaxed);
    })
}
