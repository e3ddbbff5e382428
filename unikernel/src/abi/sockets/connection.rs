//! A TCP connection: bytes between its rings and the program's memory.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};

use darner_netstack::socket::{Phase, StreamState};
use darner_netstack::{Request, SocketId, Stream, Wait};
use hermit_abi::{EAGAIN, EINPROGRESS, ENOTCONN, EPIPE, ETIMEDOUT, POLLERR, POLLHUP, POLLRDHUP};
use ringbuf::traits::{Consumer, Observer, Producer, Raw};
use ringbuf::wrap::Obs;
use ringbuf::{Arc as RingArc, HeapCons, HeapProd, HeapRb};

use super::super::event::{READABLE, WRITABLE};
use super::super::user::{Errno, UserBuffer};
use super::baton::Baton;
use super::socket::{Patience, Take};
use crate::net::{self, WaitPoint};

/// So many bytes at a time are read from a stream, rather than from a dialogue: some segments.
const MUCH: usize = 4096;

/// The program's end of a connection.
pub struct Connection {
    state: alloc::sync::Arc<StreamState<WaitPoint>>,
    received: Baton<HeapCons<u8>>,
    to_send: Baton<HeapProd<u8>>,
    received_view: Obs<RingArc<HeapRb<u8>>>,
    to_send_view: Obs<RingArc<HeapRb<u8>>>,
    /// The program wants no more input (`SHUT_RD`).
    input_refused: AtomicBool,
}

impl From<Stream<WaitPoint>> for Connection {
    fn from(stream: Stream<WaitPoint>) -> Self {
        Self {
            received_view: stream.received.observe(),
            to_send_view: stream.to_send.observe(),
            state: stream.state,
            received: Baton::new(stream.received),
            to_send: Baton::new(stream.to_send),
            input_refused: AtomicBool::new(false),
        }
    }
}

impl Connection {
    /// Its name.
    pub fn id(&self) -> SocketId {
        self.state.id
    }

    /// This end.
    pub fn local(&self) -> SocketAddr {
        self.state.local
    }

    /// The other end, if there is a connection.
    pub fn remote(&self) -> Result<SocketAddr, Errno> {
        match self.state.phase() {
            Phase::Connected => Ok(self.state.remote),
            Phase::Connecting | Phase::Over => Err(Errno(ENOTCONN)),
        }
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// Why it ended, once.
    pub fn take_error(&self) -> Option<Errno> {
        self.state.take_error().map(Errno::from)
    }

    /// Waits until it is connected. Who does not wait is not told how it went, even if that is
    /// known already: `poll` and `SO_ERROR` tell.
    pub fn connected(&self, patience: Patience) -> Result<(), Errno> {
        let Patience::Until(deadline) = patience else {
            return Err(Errno(EINPROGRESS));
        };
        let is_known = || self.is_known().then(|| self.phase());
        match self.state.writers.wait_until(deadline, is_known) {
            Some(Phase::Over) => Err(self.take_error().unwrap_or(Errno(ENOTCONN))),
            Some(_) => Ok(()),
            None => Err(Errno(ETIMEDOUT)),
        }
    }

    /// Whether it is known how connecting went.
    fn is_known(&self) -> bool {
        self.phase() != Phase::Connecting
    }

    /// Receives at least one byte, or none at the end of the input.
    pub fn receive(
        &self,
        buffer: &UserBuffer<'_>,
        take: Take,
        patience: Patience,
    ) -> Result<usize, Errno> {
        if buffer.len() == 0 {
            return Ok(0);
        }
        loop {
            let is_due = || self.has_input_or_end().then_some(());
            patience.wait(&self.state.readers, is_due)?;
            if self.input_refused.load(Ordering::Acquire) {
                return Ok(0);
            }
            // Before the ring: what came before the end is in it then.
            let is_end = self.state.is_end_of_input();
            let count = self.received.with(|ring| copy_out(ring, buffer, take));
            if count > 0 {
                if take == Take::Away {
                    self.tell_of_room(count);
                }
                return Ok(count);
            }
            if is_end {
                return self.take_error().map_or(Ok(0), Err);
            }
            // Another thread was faster.
        }
    }

    fn has_input_or_end(&self) -> bool {
        !self.received_view.is_empty()
            || self.state.is_end_of_input()
            || self.input_refused.load(Ordering::Acquire)
    }

    /// Sends all bytes, or those that there is room for if the caller does not wait.
    pub fn send(&self, buffer: &UserBuffer<'_>, patience: Patience) -> Result<usize, Errno> {
        let mut done = 0;
        while done < buffer.len() {
            let is_due = || self.has_room_or_end().then_some(());
            if let Err(errno) = patience.wait(&self.state.writers, is_due) {
                return if done > 0 { Ok(done) } else { Err(errno) };
            }
            if self.phase() == Phase::Over || self.state.is_end_of_output() {
                return self.cannot_send(done);
            }
            let count = self.to_send.with(|ring| copy_in(ring, buffer, done));
            if count > 0 {
                self.tell();
            }
            done += count;
        }
        Ok(done)
    }

    fn has_room_or_end(&self) -> bool {
        match self.phase() {
            Phase::Connecting => false,
            Phase::Connected => !self.to_send_view.is_full() || self.state.is_end_of_output(),
            Phase::Over => true,
        }
    }

    /// What is said of the first byte that is not sent is said when nothing is.
    fn cannot_send(&self, done: usize) -> Result<usize, Errno> {
        match done {
            0 => Err(self.take_error().unwrap_or(Errno(EPIPE))),
            done => Ok(done),
        }
    }

    /// Has the protocol thread look, unless it is about to.
    fn tell(&self) {
        if self.state.wants_attention() {
            net::tell(Request::Attend(self.id()));
        }
    }

    /// Has the protocol thread look if it waits for room, or if much has been read: it may
    /// have to tell the other end, and a stream is slower when that is put off.
    fn tell_of_room(&self, count: usize) {
        let is_due = || self.state.wants_room(&self.received_view);
        if (count >= MUCH && self.state.wants_attention()) || is_due() {
            net::tell(Request::Attend(self.id()));
        }
    }

    /// Ends the input, the output, or both.
    pub fn shut_down(&self, input: Shut, output: Shut) -> Result<(), Errno> {
        if self.phase() != Phase::Connected {
            return Err(Errno(ENOTCONN));
        }
        if input == Shut::Yes {
            self.input_refused.store(true, Ordering::Release);
            self.state.readers.wake();
        }
        if output == Shut::Yes {
            self.state.end_output();
            self.state.writers.wake();
            self.tell();
        }
        Ok(())
    }

    /// What could be done without blocking, as `POLL*` bits.
    pub fn ready(&self) -> i16 {
        let mut ready = 0;
        let phase = self.phase();
        let input_ended =
            self.state.is_end_of_input() || self.input_refused.load(Ordering::Acquire);
        if phase == Phase::Connecting {
            return 0;
        }
        if !self.received_view.is_empty() || input_ended {
            ready |= READABLE;
        }
        if input_ended {
            ready |= POLLRDHUP;
        }
        if self.has_room_or_end() {
            ready |= WRITABLE;
        }
        if phase == Phase::Over || (input_ended && self.state.is_end_of_output()) {
            ready |= POLLHUP;
        }
        if self.state.error().is_some() {
            ready |= POLLERR;
        }
        ready
    }
}

/// Whether a direction is to be shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// It is.
    Yes,
    /// It stays as it is.
    No,
}

fn copy_out(ring: &mut HeapCons<u8>, buffer: &UserBuffer<'_>, take: Take) -> usize {
    let (first, second) = ring.as_slices();
    let first = &first[..first.len().min(buffer.len())];
    let second = &second[..second.len().min(buffer.len() - first.len())];
    buffer.copy_out(0, first);
    buffer.copy_out(first.len(), second);
    let count = first.len() + second.len();
    match take {
        Take::Away => ring.skip(count),
        Take::Look => count,
    }
}

/// Puts what there is room for of the program's bytes from `from` on into the ring.
fn copy_in(ring: &mut HeapProd<u8>, buffer: &UserBuffer<'_>, from: usize) -> usize {
    let (first, second) = ring.vacant_slices_mut();
    let left = buffer.len() - from;
    let first_count = first.len().min(left);
    let second_count = second.len().min(left - first_count);
    buffer.copy_in_uninit(from, &mut first[..first_count]);
    buffer.copy_in_uninit(from + first_count, &mut second[..second_count]);
    let count = first_count + second_count;
    // SAFETY: so many bytes have just been written, and this is the only producer.
    unsafe { ring.advance_write_index(count) };
    count
}

impl Patience {
    /// Waits at `point` until `condition` gives a value, as long as there is patience.
    pub fn wait<T>(
        self,
        point: &WaitPoint,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Result<T, Errno> {
        let value = match self {
            Self::None => condition(),
            Self::Until(deadline) => point.wait_until(deadline, condition),
        };
        value.ok_or(Errno(EAGAIN))
    }
}
