//! A UDP socket: datagrams between its queues and the program's memory.

use alloc::sync::Arc;
use core::net::SocketAddr;

use darner_netstack::request::DatagramOptions;
use darner_netstack::socket::DatagramState;
use darner_netstack::{Datagram, Datagrams, Request, SocketId, Wait};
use hermit_abi::{EDESTADDRREQ, EMSGSIZE, POLLERR};

use super::super::event::{READABLE, WRITABLE};
use super::super::transfer;
use super::super::user::{Errno, UserBuffer};
use super::socket::{Patience, Take};
use crate::net::{self, WaitPoint};
use crate::sync::Lock;

/// The most that a datagram can carry: what fits into an IPv4 packet.
const LARGEST: usize = 65_507;

/// The program's end of a UDP socket.
pub struct DatagramSocket {
    state: Arc<DatagramState<WaitPoint>>,
    /// The oldest datagram, when somebody has only looked at it.
    first: Lock<Option<Datagram>>,
    /// This end and the other, once it is connected.
    connected: Lock<Option<(SocketAddr, SocketAddr)>>,
    /// Where the stack has said that datagrams can be sent: asked before the first to each
    /// peer, so that this one is refused rather than lost.
    allowed: Lock<Option<SocketAddr>>,
}

impl From<Datagrams<WaitPoint>> for DatagramSocket {
    fn from(datagrams: Datagrams<WaitPoint>) -> Self {
        Self {
            state: datagrams.state,
            first: Lock::new(None),
            connected: Lock::new(None),
            allowed: Lock::new(None),
        }
    }
}

impl DatagramSocket {
    /// Its name.
    pub fn id(&self) -> SocketId {
        self.state.id
    }

    /// This end.
    pub fn local(&self) -> SocketAddr {
        self.connected
            .lock()
            .map_or(self.state.local, |(local, _)| local)
    }

    /// The only peer, when it is connected.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.connected.lock().map(|(_, peer)| peer)
    }

    /// It talks with `peer` only from now on, from `local`.
    pub fn set_connected(&self, local: SocketAddr, peer: SocketAddr) {
        *self.connected.lock() = Some((local, peer));
    }

    /// Changes options that the stack has.
    pub fn set_options(&self, options: DatagramOptions) -> Result<(), Errno> {
        net::call(Request::SetDatagramOptions(self.id(), options))?;
        *self.allowed.lock() = None;
        Ok(())
    }

    /// Asks whether datagrams can be sent there, unless that is known.
    fn allow(&self, peer: SocketAddr) -> Result<(), Errno> {
        if *self.allowed.lock() != Some(peer) {
            net::call(Request::CheckDatagrams(self.id(), peer))?;
            *self.allowed.lock() = Some(peer);
        }
        Ok(())
    }

    /// The error that came for it, once.
    pub fn take_error(&self) -> Option<Errno> {
        self.state.take_error().map(Errno::from)
    }

    /// Receives a datagram, as much of it as there is room for, and tells from whom.
    pub fn receive(
        &self,
        buffer: &UserBuffer<'_>,
        take: Take,
        patience: Patience,
    ) -> Result<(usize, SocketAddr), Errno> {
        let outcome = patience.wait(&self.state.readers, || {
            if let Some(error) = self.take_error() {
                return Some(Err(error));
            }
            self.next().map(Ok)
        });
        let datagram = outcome??;
        let count = datagram.data.len().min(buffer.len());
        buffer.copy_out(0, &datagram.data[..count]);
        let peer = datagram.peer;
        if take == Take::Look {
            *self.first.lock() = Some(datagram);
            self.state.readers.wake();
        }
        Ok((count, peer))
    }

    fn next(&self) -> Option<Datagram> {
        let first = self.first.lock().take();
        first.or_else(|| self.state.receive())
    }

    /// Sends a datagram to `to`, or to the only peer.
    pub fn send(
        &self,
        buffer: &UserBuffer<'_>,
        to: Option<SocketAddr>,
        patience: Patience,
    ) -> Result<usize, Errno> {
        let peer = to.or_else(|| self.peer()).ok_or(Errno(EDESTADDRREQ))?;
        if buffer.len() > LARGEST {
            return Err(Errno(EMSGSIZE));
        }
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        self.allow(peer)?;
        let mut unsent = Some(Datagram {
            peer,
            data: transfer::copied(buffer)?.into_boxed_slice(),
        });
        patience.wait(&self.state.writers, || {
            unsent = self.state.send(unsent.take()?).err();
            unsent.is_none().then_some(())
        })?;
        if self.state.wants_attention() {
            net::tell_with_others(Request::Attend(self.id()), self.state.way());
        }
        Ok(buffer.len())
    }

    /// What could be done without blocking, as `POLL*` bits.
    pub fn ready(&self) -> i16 {
        let mut ready = 0;
        let has_error = self.state.has_error();
        if self.state.can_receive() || has_error || self.first.lock().is_some() {
            ready |= READABLE;
        }
        if self.state.can_send() || has_error {
            ready |= WRITABLE;
        }
        if has_error {
            ready |= POLLERR;
        }
        ready
    }
}
