//! Accepts connections: a thread for each, and no more than are allowed.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::connection;
use crate::options::Options;

/// How long to wait, when no connection can be accepted, for one of those that are open to
/// end.
const PAUSE: Duration = Duration::from_secs(1);

/// What all connections share.
pub struct Shared {
    /// What the server was asked for.
    pub options: Options,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Connections.
    open: usize,
    /// Requests so far.
    requests: usize,
    /// Connections on which an answer is due.
    busy: usize,
}

/// Says that an answer is due, until it is dropped.
pub struct Busy<'a>(&'a Shared);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.busy -= 1);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn most_requests(&self) -> usize {
        self.options.requests.unwrap_or(usize::MAX)
    }

    /// Counts a request; `None` if there have been enough.
    pub fn begin(&self) -> Option<Busy<'_>> {
        let mut state = self.lock();
        if state.requests >= self.most_requests() {
            return None;
        }
        state.requests += 1;
        state.busy += 1;
        Some(Busy(self))
    }

    /// Whether there have been enough requests.
    pub fn is_ending(&self) -> bool {
        self.lock().requests >= self.most_requests()
    }
}

/// A running server. Its threads end with the program.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Begins to listen.
    pub fn start(options: Options) -> Result<Self, String> {
        if let Some(dir) = &options.dir
            && !dir.is_dir()
        {
            return Err(format!("--dir: found no folder {}", dir.display()));
        }
        let address = SocketAddr::new(options.address, options.port);
        let cannot = |error| format!("cannot listen at {address}: {error}");
        let listener = TcpListener::bind(address).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let shared = Arc::new(Shared {
            options,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &of_thread));
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until there have been enough requests and all have their answers.
    pub fn wait(&self) {
        let most = self.shared.most_requests();
        let is_on = |state: &mut State| state.requests < most || state.busy > 0;
        drop(self.shared.changed.wait_while(self.shared.lock(), is_on));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let most = shared.options.connections;
    loop {
        // The system keeps those that come meanwhile, and refuses them when they are many.
        let free = shared
            .changed
            .wait_while(shared.lock(), |state| state.open >= most);
        drop(free);
        match listener.accept() {
            Ok((stream, peer)) => {
                shared.change(|state| state.open += 1);
                let of_thread = Arc::clone(shared);
                let spawned = thread::Builder::new().spawn(move || {
                    // Why a client went away is its own affair.
                    let _ = connection::serve(stream, peer.ip(), &of_thread);
                    of_thread.change(|state| state.open -= 1);
                });
                if let Err(error) = spawned {
                    eprintln!("httpd: a connection had to be closed: no thread for it: {error}");
                    shared.change(|state| state.open -= 1);
                }
            }
            // The client was gone before it was accepted.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                eprintln!("httpd: cannot accept a connection: {error}");
                drop(shared.changed.wait_timeout(shared.lock(), PAUSE));
            }
        }
    }
}
