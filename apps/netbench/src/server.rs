//! The server: does what others ask of it, and counts.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::idler::Idler;
use crate::protocol::{HERE, Moved, Request, hear, misunderstood, tell};
use crate::{tcp, udp};

/// How long nothing may come on a connection.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the threads of a server share.
struct Shared {
    address: SocketAddr,
    /// The measurements that wait for streams, by token.
    waiting: Mutex<HashMap<u64, Sender<TcpStream>>>,
    next_token: AtomicU64,
    /// Knows how busy the CPU is, if that is asked for.
    idler: Option<Idler>,
    /// Measurements that have ended.
    ended: Mutex<usize>,
    changed: Condvar,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running server. Its threads end with the program.
pub struct Server(Arc<Shared>);

impl Server {
    /// Begins to listen. Datagrams come to the same port.
    pub fn start(address: SocketAddr, idler: Option<Idler>) -> Result<Self, String> {
        let cannot = |error| format!("cannot listen at {address}: {error}");
        let listener = TcpListener::bind(address).map_err(cannot)?;
        let shared = Arc::new(Shared {
            address: listener.local_addr().map_err(cannot)?,
            waiting: Mutex::default(),
            next_token: AtomicU64::new(1),
            idler,
            ended: Mutex::default(),
            changed: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &of_thread));
        Ok(Self(shared))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Waits until so many measurements have ended, or for ever.
    pub fn wait(&self, sessions: Option<usize>) {
        let guard = locked(&self.0.ended);
        let is_on = |ended: &mut usize| sessions.is_none_or(|enough| *ended < enough);
        drop(self.0.changed.wait_while(guard, is_on));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            // The client was gone before it was accepted.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                eprintln!("netbench: no more connections are accepted: {error}");
                return;
            }
        };
        let shared = Arc::clone(shared);
        let spawned = thread::Builder::new().spawn(move || {
            if let Err(error) = shared.greet(stream) {
                eprintln!("netbench: a connection ended early: {error}");
            }
        });
        if let Err(error) = spawned {
            eprintln!("netbench: a connection had to be closed: no thread for it: {error}");
        }
    }
}

impl Shared {
    /// Finds out what a connection is for.
    fn greet(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let line = hear(&stream)?;
        let Some(token) = line.strip_prefix("data ") else {
            let request = line
                .parse()
                .map_err(|()| misunderstood("a request", &format!("`{}`", line.escape_debug())))?;
            let outcome = self.serve(&stream, &request);
            *locked(&self.ended) += 1;
            self.changed.notify_all();
            return outcome;
        };
        let waiting = locked(&self.waiting);
        let session = token.parse().ok().and_then(|token| waiting.get(&token));
        match session.map(|session| session.send(stream)) {
            Some(Ok(())) => Ok(()),
            _ => Err(misunderstood("the token of a measurement", "another")),
        }
    }

    /// Does what is asked on a control connection, and tells what came of it.
    fn serve(&self, control: &TcpStream, request: &Request) -> io::Result<()> {
        control.set_nodelay(true)?;
        let before = self.idler.as_ref().map(Idler::begin);
        let moved = match *request {
            Request::TcpReceive { streams, content } => {
                self.tcp(control, streams, |stream, seed| {
                    tcp::receive(stream, content, seed)
                })
            }
            Request::TcpSend {
                streams,
                content,
                limit,
                block,
            } => self.tcp(control, streams, |stream, seed| {
                tcp::send(stream, limit, block, content, seed)
            }),
            Request::TcpEcho => self.tcp(control, 1, |stream, _| tcp::echo(stream)),
            Request::UdpReceive => self.udp(control, |socket, is_over| {
                udp::receive(socket, |_| is_over())
            }),
            Request::UdpEcho => {
                self.udp(control, |socket, is_over| udp::echo(socket, |_| is_over()))
            }
            Request::UdpSend { bytes, time } => self.udp_send(control, bytes, time),
        }?;
        let busy = before.map(|before| before.busy()).unwrap_or_default();
        tell(control, Moved { busy, ..moved })
    }

    /// Lets streams come and handles them at the same time.
    fn tcp(
        &self,
        control: &TcpStream,
        streams: usize,
        handle: impl Fn(&TcpStream, u64) -> io::Result<Moved> + Sync,
    ) -> io::Result<Moved> {
        let (sender, arriving) = mpsc::channel();
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        locked(&self.waiting).insert(token, sender);
        let outcome = tell(control, format_args!("token {token}"))
            .and_then(|()| handle_all(streams, &arriving, &handle));
        locked(&self.waiting).remove(&token);
        outcome
    }

    /// Opens the socket for datagrams and handles it, until the other end says that there will
    /// be no more and none come.
    fn udp(
        &self,
        control: &TcpStream,
        handle: impl FnOnce(&UdpSocket, &dyn Fn() -> ControlFlow<()>) -> io::Result<Moved> + Send,
    ) -> io::Result<Moved> {
        let socket = UdpSocket::bind(self.address)?;
        tell(control, "ready")?;
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let handling = scope.spawn(|| {
                handle(&socket, &|| match is_over.load(Ordering::Relaxed) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
            });
            // As well when the other end is gone.
            let heard = hear(control);
            is_over.store(true, Ordering::Relaxed);
            let moved = handling.join().expect("datagrams do not panic");
            heard.and(moved)
        })
    }

    fn udp_send(&self, control: &TcpStream, bytes: usize, time: Duration) -> io::Result<Moved> {
        let socket = UdpSocket::bind(self.address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        tell(control, "ready")?;
        // Some of an earlier measurement may still be on their way.
        let mut word = [0; HERE.len() + 1];
        let to = loop {
            let (bytes, from) = socket.recv_from(&mut word)?;
            if word[..bytes] == *HERE {
                break from;
            }
        };
        socket.connect(to)?;
        Ok(udp::send(&socket, bytes, time))
    }
}

/// Handles so many streams, each as soon as it is there. A stream's first word says which it is.
fn handle_all(
    streams: usize,
    arriving: &Receiver<TcpStream>,
    handle: &(impl Fn(&TcpStream, u64) -> io::Result<Moved> + Sync),
) -> io::Result<Moved> {
    thread::scope(|scope| {
        let mut running = Vec::new();
        for _ in 0..streams {
            let late = |_| io::Error::new(ErrorKind::TimedOut, "expected more streams");
            let stream = arriving.recv_timeout(PATIENCE).map_err(late)?;
            running.push(scope.spawn(move || {
                let seed = hear(&stream)?;
                let wrong = |_| misunderstood("a stream's number", "another word");
                handle(&stream, seed.parse().map_err(wrong)?)
            }));
        }
        together(
            running
                .into_iter()
                .map(|thread| thread.join().expect("streams do not panic")),
        )
    })
}

/// What several streams moved, if none failed.
pub fn together(mut outcomes: impl Iterator<Item = io::Result<Moved>>) -> io::Result<Moved> {
    outcomes.try_fold(Moved::default(), |all, one| Ok(all.beside(one?)))
}
