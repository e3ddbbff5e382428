//! Diagnostics: what the node tells of itself over HTTP (`diag=PORT`). What it says and how is
//! in [`darner_diag`]; here are the numbers, and the thread that serves.
//!
//! Without the option there is no thread and nothing listens. With it, one thread waits for
//! connections at the port, on all addresses, as a program would, but with the rings of the
//! stack themselves in its hands. It serves a few connections at a time, none for longer
//! than [`darner_diag::http::LIMIT`], so nobody keeps others from being answered. Its
//! priority is above that of the program's threads: it is there to tell why they
//! are busy. What it does for a request is bounded.

mod connection;
mod network;
mod node;

use alloc::vec::Vec;
use core::net::{Ipv6Addr, SocketAddr};
use core::sync::atomic::{AtomicU32, Ordering};

use darner_netstack::request::StreamOptions;
use darner_netstack::{Error, Listener, Reply, Request};

use self::connection::Connection;
use self::node::ThisNode;
use crate::abi::event;
use crate::abi::process::NORMAL_PRIORITY;
use crate::net::{self, WaitPoint};
use crate::params::Params;
use crate::sched::{self, Tid};
use crate::time::monotonic_ns;

/// Connections that are served at a time; more wait.
const CONNECTIONS: usize = 8;
/// Connections that may wait.
const BACKLOG: usize = 16;
const PRIORITY: u8 = NORMAL_PRIORITY + 1;
/// A report's numbers are put together on it.
const STACK_BYTES: u64 = 128 << 10;
/// What an answer is sent from at a time, and a request received into: requests are short.
const SEND_BUFFER: usize = 64 << 10;
const RECEIVE_BUFFER: usize = 8 << 10;

/// The thread's number, once there is one.
static THREAD: AtomicU32 = AtomicU32::new(0);

/// Starts the thread if the command line asks for it. Boot, after the program's first
/// thread was made.
pub fn start(params: &Params) {
    let Some(port) = params.network.diag else {
        return;
    };
    // Where the program's first thread is, which it goes before: the port is not taken yet.
    match sched::spawn_kernel(run, port.into(), PRIORITY, STACK_BYTES, Some(0)) {
        Ok(tid) => THREAD.store(tid, Ordering::Relaxed),
        Err(_) => no_memory(),
    }
}

/// The thread's number, if there is one. Any context.
fn thread() -> Option<Tid> {
    Some(THREAD.load(Ordering::Relaxed)).filter(|&tid| tid != 0)
}

extern "C" fn run(port: usize) {
    let mut connections = Vec::new();
    if connections.try_reserve_exact(CONNECTIONS).is_err() {
        return no_memory();
    }
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port as u16));
    match listen(address) {
        Ok(listener) => serve(&listener, connections),
        Err(Error::NoMemory) => no_memory(),
        Err(error) => log::error!(
            "there are no diagnostics: cannot listen at port {port}: {error}; give diag another port"
        ),
    }
}

fn no_memory() {
    log::error!("there is no memory for diagnostics; give the VM more memory");
}

fn listen(local: SocketAddr) -> Result<Listener<WaitPoint>, Error> {
    let request = Request::Bind {
        local,
        reuse: true,
        only_v6: false,
    };
    let Reply::Bound(binding) = net::call(request)? else {
        unreachable!("the answer fits the request");
    };
    let request = Request::Listen {
        binding,
        backlog: BACKLOG,
        options: StreamOptions {
            receive_buffer: Some(RECEIVE_BUFFER),
            send_buffer: Some(SEND_BUFFER),
            ..StreamOptions::default()
        },
    };
    match net::call(request)? {
        Reply::Listening(listener) => Ok(listener),
        _ => unreachable!("the answer fits the request"),
    }
}

/// Serves for ever: the end of the program ends it as everything.
fn serve(listener: &Listener<WaitPoint>, mut connections: Vec<Connection>) {
    loop {
        wait(listener, &connections);
        let now = monotonic_ns();
        while connections.len() < CONNECTIONS
            && let Some(stream) = listener.state.accept()
        {
            connections.extend(Connection::new(stream, now));
        }
        connections.retain_mut(|connection| connection.go_on(&ThisNode, now).is_some());
    }
}

/// Waits until a connection comes, or one of these can go on or has had its time.
fn wait(listener: &Listener<WaitPoint>, connections: &[Connection]) {
    let has_come = || !listener.state.accepted.is_empty();
    let deadline = connections.iter().map(Connection::deadline).min();
    if deadline.is_none() {
        let condition = || has_come().then_some(());
        listener.state.waiters.wait_until(None, condition);
        return;
    }
    let is_full = connections.len() == CONNECTIONS;
    event::wait_for_readiness(deadline, || {
        let is_due = !is_full && has_come() || connections.iter().any(Connection::is_ready);
        is_due.then_some(())
    });
}
