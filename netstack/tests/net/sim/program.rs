//! What programs do with connections. They look only when they have been woken since they
//! found nothing, so a wake-up that is lost stops them for good.

use std::net::SocketAddr;
use std::time::Duration;

use darner_netstack::request::StreamOptions;
use darner_netstack::socket::Phase;
use darner_netstack::{Error, Listener, Reply, Request, SocketId, Stream};
use ringbuf::traits::{Consumer, Producer};

use super::host::Flag;
use super::{HostId, World};

/// A program's connection.
pub struct Conn {
    pub host: HostId,
    pub stream: Stream<Flag>,
    /// How often it had been woken when it found nothing.
    nothing_to_read: Option<u64>,
    no_room: Option<u64>,
}

/// What a read gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    Bytes(usize),
    /// Nothing more will come, for that reason.
    End(Option<Error>),
    Blocked,
}

/// What a write gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Bytes(usize),
    /// It is over.
    Over(Option<Error>),
    Blocked,
}

impl Conn {
    pub fn new(host: HostId, stream: Stream<Flag>) -> Self {
        Self {
            host,
            stream,
            nothing_to_read: None,
            no_room: None,
        }
    }

    /// Begins to connect.
    pub fn begin(world: &mut World, host: HostId, remote: SocketAddr) -> Result<Self, Error> {
        Self::begin_with(world, host, remote, StreamOptions::default())
    }

    pub fn begin_with(
        world: &mut World,
        host: HostId,
        remote: SocketAddr,
        options: StreamOptions,
    ) -> Result<Self, Error> {
        let request = Request::Connect {
            binding: None,
            remote,
            options,
        };
        match world.host_mut(host).ask(request)? {
            Reply::Stream(stream) => Ok(Self::new(host, stream)),
            _ => panic!("another answer than a stream"),
        }
    }

    /// Takes a connection from a backlog.
    pub fn accept(host: HostId, listener: &Listener<Flag>) -> Option<Self> {
        Some(Self::new(host, listener.state.accept()?))
    }

    pub fn id(&self) -> SocketId {
        self.stream.state.id
    }

    pub fn phase(&self) -> Phase {
        self.stream.state.phase()
    }

    pub fn read(&mut self, world: &mut World, buffer: &mut [u8]) -> Read {
        let state = &self.stream.state;
        let woken = state.readers.count();
        if self.nothing_to_read == Some(woken) {
            return Read::Blocked;
        }
        let is_end = state.is_end_of_input();
        let count = self.stream.received.pop_slice(buffer);
        if count > 0 {
            self.nothing_to_read = None;
            if state.wants_room(&self.stream.received) {
                world.host_mut(self.host).attend(state.id);
            }
            return Read::Bytes(count);
        }
        if is_end {
            return Read::End(state.error());
        }
        self.nothing_to_read = Some(woken);
        Read::Blocked
    }

    pub fn write(&mut self, world: &mut World, bytes: &[u8]) -> Written {
        let state = &self.stream.state;
        let woken = state.writers.count();
        if self.no_room == Some(woken) {
            return Written::Blocked;
        }
        match state.phase() {
            Phase::Over => return Written::Over(state.error()),
            Phase::Connected => {
                let count = self.stream.to_send.push_slice(bytes);
                if count > 0 {
                    self.no_room = None;
                    if state.wants_attention() {
                        world.host_mut(self.host).attend(state.id);
                    }
                    return Written::Bytes(count);
                }
            }
            Phase::Connecting => {}
        }
        self.no_room = Some(woken);
        Written::Blocked
    }

    /// Ends the output.
    pub fn finish(&mut self, world: &mut World) {
        self.stream.state.end_output();
        world.host_mut(self.host).attend(self.id());
    }

    pub fn close(self, world: &mut World) {
        self.close_with(world, None);
    }

    pub fn close_with(self, world: &mut World, linger: Option<Duration>) {
        let socket = self.id();
        let _ = world
            .host_mut(self.host)
            .ask(Request::Close { socket, linger });
    }
}

/// Both ends of a connection that is being made, once it is.
pub fn connect(
    world: &mut World,
    (client, server): (HostId, HostId),
    listener: &Listener<Flag>,
    remote: SocketAddr,
) -> (Conn, Conn) {
    let near = Conn::begin(world, client, remote).expect("a way there");
    let far = accept(world, server, listener);
    world.run_until("the connection", 60 * super::SECOND, |_| {
        near.phase() != Phase::Connecting
    });
    assert_eq!(
        near.phase(),
        Phase::Connected,
        "{:?}",
        near.stream.state.error()
    );
    (near, far)
}

/// The next connection of a backlog, waited for.
pub fn accept(world: &mut World, host: HostId, listener: &Listener<Flag>) -> Conn {
    let mut accepted = None;
    let mut looked = None;
    world.run_until("a connection to accept", 60 * super::SECOND, |_| {
        let woken = listener.state.waiters.count();
        if looked != Some(woken) {
            accepted = Conn::accept(host, listener);
            looked = Some(woken);
        }
        accepted.is_some()
    });
    accepted.unwrap()
}
