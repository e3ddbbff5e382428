//! A TCP connection.

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use ringbuf::traits::Observer;
use ringbuf::{HeapCons, HeapProd};
use spin::Mutex;

use super::room_bell::RoomBell;
use super::{SocketId, Wait};
use crate::error::Error;

/// A program's end of a connection. Dropping it says nothing to the stack: that is
/// [`Request::Close`](crate::Request::Close).
pub struct Stream<W> {
    /// What both sides look at.
    pub state: Arc<StreamState<W>>,
    /// Bytes that have arrived. When this is empty, [`StreamState::phase`] tells whether more
    /// can come. Who takes from it asks [`StreamState::wants_room`] whether to tell.
    pub received: HeapCons<u8>,
    /// Bytes to be sent, as many as there is room for. Who puts some asks
    /// [`StreamState::wants_attention`] whether to tell.
    pub to_send: HeapProd<u8>,
}

/// What both sides know of a connection.
pub struct StreamState<W> {
    /// Its name.
    pub id: SocketId,
    /// This end, once it is known.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    phase: AtomicU8,
    /// No more bytes will be put into `received`.
    end_of_input: AtomicBool,
    /// The program will put no more bytes into `to_send` (`shutdown`): what is in it goes out,
    /// then a FIN.
    end_of_output: AtomicBool,
    error: Mutex<Option<Error>>,
    /// The protocol thread has been told to look, and has not yet.
    attention: AtomicBool,
    /// The protocol thread has more for `received`.
    room: RoomBell,
    /// Threads that wait for bytes, for the connection, or for its end.
    pub readers: W,
    /// Threads that wait for room, for the connection, or for its end.
    pub writers: W,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// SYN sent, no answer.
    Connecting = 0,
    /// Data can flow, in one direction at least.
    Connected = 1,
    /// Over: both directions are, or an error ended it.
    Over = 2,
}

impl<W: Wait> StreamState<W> {
    /// A new connection's.
    pub fn new(id: SocketId, local: SocketAddr, remote: SocketAddr, phase: Phase) -> Self {
        Self {
            id,
            local,
            remote,
            phase: AtomicU8::new(phase as u8),
            end_of_input: AtomicBool::new(false),
            end_of_output: AtomicBool::new(false),
            error: Mutex::new(None),
            attention: AtomicBool::new(false),
            room: RoomBell::default(),
            readers: W::default(),
            writers: W::default(),
        }
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Connecting,
            1 => Phase::Connected,
            _ => Phase::Over,
        }
    }

    /// Whether all that will ever arrive is in `received` (look at that *afterwards*).
    pub fn is_end_of_input(&self) -> bool {
        self.end_of_input.load(Ordering::Acquire)
    }

    /// Whether the program has ended its output.
    pub fn is_end_of_output(&self) -> bool {
        self.end_of_output.load(Ordering::Acquire)
    }

    /// The program's side ends its output. [`Request::Attend`](crate::Request::Attend) is due.
    pub fn end_output(&self) {
        self.end_of_output.store(true, Ordering::Release);
    }

    /// Why it ended, once (`SO_ERROR`).
    pub fn take_error(&self) -> Option<Error> {
        W::undisturbed(|| self.error.lock().take())
    }

    /// Why it ended.
    pub fn error(&self) -> Option<Error> {
        W::undisturbed(|| *self.error.lock())
    }

    /// Whether the caller is the first to want the protocol thread's attention since that
    /// looked last, and so has to send [`Request::Attend`](crate::Request::Attend). To be asked
    /// after the change that is to be seen.
    #[must_use]
    pub fn wants_attention(&self) -> bool {
        !self.attention.swap(true, Ordering::AcqRel)
    }

    /// Whether the caller, who has just taken bytes from `received`, has to send
    /// [`Request::Attend`](crate::Request::Attend): the protocol thread waits for room there,
    /// and there is much now.
    #[must_use]
    pub fn wants_room(&self, received: &impl Observer) -> bool {
        self.room.is_due(|| is_roomy(received)) && self.wants_attention()
    }

    /// The protocol thread has found no room in `received` for all it has. False: there is
    /// some now.
    pub(crate) fn wait_for_room(&self, received: &impl Observer) -> bool {
        self.room.want(|| is_roomy(received))
    }

    /// The protocol thread has put all it had into `received`.
    pub(crate) fn has_room(&self) {
        self.room.unwant();
    }

    /// The protocol thread looks now. What was changed before the call is seen after it.
    pub fn attended(&self) {
        self.attention.swap(false, Ordering::AcqRel);
    }

    /// The protocol thread: it is connected.
    pub fn set_connected(&self) {
        self.phase.store(Phase::Connected as u8, Ordering::Release);
        self.wake();
    }

    /// The protocol thread: no more input, all there is has been put into the ring.
    pub fn set_end_of_input(&self) {
        self.end_of_input.store(true, Ordering::Release);
        self.readers.wake();
    }

    /// The protocol thread: it is over, for `error` if there is one.
    pub fn set_over(&self, error: Option<Error>) {
        if error.is_some() {
            *self.error.lock() = error;
        }
        self.end_of_input.store(true, Ordering::Release);
        self.phase.store(Phase::Over as u8, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        self.readers.wake();
        self.writers.wake();
    }
}

/// Whether there is so much room in a ring that it is worth being told.
fn is_roomy(ring: &impl Observer) -> bool {
    ring.vacant_len() >= ring.capacity().get() / 2
}
