//! The server: a thread for each TCP connection, one for all of UDP.
//!
//! A UDP client ends its conversation with an empty datagram, which is echoed as any
//! other; so the server can count conversations as it counts connections.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes that are echoed at a time.
const BLOCK: usize = 64 << 10;

/// What has been served so far.
#[derive(Clone, Copy, Default)]
pub struct Totals {
    /// TCP connections that have ended.
    pub connections: usize,
    /// Those of them that ended by an error.
    pub failed: usize,
    /// UDP conversations that have ended.
    pub conversations: usize,
    /// Bytes echoed.
    pub bytes: u64,
}

impl Totals {
    /// What has ended, over both protocols.
    pub fn ended(&self) -> usize {
        self.connections + self.conversations
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ended, bytes, failed) = (self.ended(), self.bytes, self.failed);
        write!(f, "{ended} connections, {bytes} bytes, {failed} errors")
    }
}

#[derive(Default)]
struct Shared {
    totals: Mutex<Totals>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection that has ended, and says why if that was too early.
    fn end(&self, outcome: &io::Result<()>) {
        self.add(|totals| {
            totals.connections += 1;
            totals.failed += usize::from(outcome.is_err());
        });
        if let Err(error) = outcome {
            eprintln!("echo: a connection ended early: {error}");
        }
    }

    fn add(&self, change: impl FnOnce(&mut Totals)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

/// A running server. Its threads end with the program.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Listens at this address, over both protocols.
    pub fn start(address: &str) -> Result<Self, String> {
        let cannot = |error| format!("cannot listen at {address}: {error}");
        let (listener, socket) = bind(address).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let shared = Arc::new(Shared::default());
        let of_tcp = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &of_tcp));
        let of_udp = Arc::clone(&shared);
        thread::spawn(move || echo_datagrams(&socket, &of_udp));
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until what has been served is enough.
    pub fn wait(&self, is_enough: impl Fn(&Totals) -> bool) {
        let guard = self.shared.lock();
        let changed = &self.shared.changed;
        drop(changed.wait_while(guard, |totals| !is_enough(totals)));
    }

    /// The same, for so long at most; whether it was enough by then.
    pub fn wait_for(&self, limit: Duration, is_enough: impl Fn(&Totals) -> bool) -> bool {
        let guard = self.shared.lock();
        let changed = &self.shared.changed;
        let (totals, _) = changed
            .wait_timeout_while(guard, limit, |totals| !is_enough(totals))
            .unwrap_or_else(PoisonError::into_inner);
        is_enough(&totals)
    }

    /// What has been served so far.
    pub fn totals(&self) -> Totals {
        *self.shared.lock()
    }
}

/// Takes the same port of both protocols.
fn bind(address: &str) -> io::Result<(TcpListener, UdpSocket)> {
    if address.ends_with(":0") {
        // A port that is free for TCP is most likely free for UDP, but not the reverse:
        // connections that have just ended keep theirs for a while.
        let listener = TcpListener::bind(address)?;
        let socket = UdpSocket::bind(listener.local_addr()?)?;
        return Ok((listener, socket));
    }
    // Who finds a listener at a known port finds the socket as well.
    let socket = UdpSocket::bind(address)?;
    Ok((TcpListener::bind(address)?, socket))
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            // The client was gone before it was accepted.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                eprintln!("echo: no more connections are accepted: {error}");
                return;
            }
        };
        let of_thread = Arc::clone(shared);
        let spawned = thread::Builder::new().spawn(move || {
            let outcome = echo(stream, &of_thread);
            of_thread.end(&outcome);
        });
        if let Err(error) = spawned {
            shared.end(&Err(error));
        }
    }
}

/// Echoes a connection until its end.
fn echo(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut block = vec![0; BLOCK];
    loop {
        let bytes = match stream.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        stream.write_all(&block[..bytes])?;
        shared.add(|totals| totals.bytes += bytes as u64);
    }
}

fn echo_datagrams(socket: &UdpSocket, shared: &Shared) {
    let mut block = vec![0; BLOCK];
    // The last datagram may come twice, when its echo was lost.
    let mut ended = HashSet::new();
    loop {
        // Some systems report here that an earlier echo found nobody.
        let Ok((bytes, from)) = socket.recv_from(&mut block) else {
            continue;
        };
        if socket.send_to(&block[..bytes], from).is_err() {
            continue;
        }
        match bytes {
            0 if ended.insert(from) => shared.add(|totals| totals.conversations += 1),
            _ => shared.add(|totals| totals.bytes += bytes as u64),
        }
    }
}
