//! A stack, and what the kernel would know of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use darner_netstack::request::{Binding, Family, Snapshot, StreamOptions};
use darner_netstack::{
    Datagrams, Error, Listener, Lookup, Nanos, Reply, Request, SocketId, Stack, Wait,
};

use super::MICROSECOND;
use super::card::SharedPort;

/// How often a wait point has been woken.
#[derive(Debug, Default)]
pub struct Flag(AtomicU64);

impl Flag {
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Wait for Flag {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// A host.
pub struct Host {
    pub stack: Stack<Flag>,
    pub ports: Vec<SharedPort>,
    pub now: Nanos,
    /// It has to be stepped.
    pub runnable: bool,
    /// Steps since time has passed last.
    pub steps_at_once: u32,
    deadline: Option<Nanos>,
}

impl Host {
    pub fn new(seed: u64, memory: usize, now: Nanos) -> Self {
        Self {
            stack: Stack::new(seed, memory, now),
            ports: Vec::new(),
            now,
            runnable: true,
            steps_at_once: 0,
            deadline: None,
        }
    }

    /// When it wants to be stepped.
    pub fn due(&self) -> Option<Nanos> {
        self.deadline
    }

    pub fn step(&mut self, now: Nanos) {
        self.now = now;
        for port in &self.ports {
            port.lock().unwrap().now = now;
        }
        self.runnable = false;
        let step = self.stack.step(now);
        self.deadline = step.deadline;
        if step.more {
            // It rests for as long as it has worked.
            let rest = now + MICROSECOND;
            self.deadline = Some(self.deadline.map_or(rest, |due| due.min(rest)));
        }
        for port in &self.ports {
            let port = port.lock().unwrap();
            assert!(!port.has_unkicked(), "a card was not told of what was sent");
            assert!(
                port.interrupts || self.deadline.is_some(),
                "the stack rests, and the card does not interrupt"
            );
        }
    }

    /// Asks the stack, as a program does.
    pub fn ask(&mut self, request: Request<Flag>) -> Result<Reply<Flag>, Error> {
        self.runnable = true;
        match self.stack.request(request, self.now) {
            Reply::Failed(error) => Err(error),
            reply => Ok(reply),
        }
    }

    pub fn attend(&mut self, socket: SocketId) {
        let _ = self.ask(Request::Attend(socket));
    }

    pub fn bind(&mut self, local: SocketAddr) -> Result<Binding, Error> {
        let request = Request::Bind {
            local,
            reuse: false,
            only_v6: false,
        };
        match self.ask(request)? {
            Reply::Bound(binding) => Ok(binding),
            _ => panic!("another answer than a binding"),
        }
    }

    pub fn listen(&mut self, local: SocketAddr, backlog: usize) -> Listener<Flag> {
        self.listen_with(local, backlog, StreamOptions::default())
    }

    pub fn listen_with(
        &mut self,
        local: SocketAddr,
        backlog: usize,
        options: StreamOptions,
    ) -> Listener<Flag> {
        let binding = self.bind(local).expect("a free port");
        let request = Request::Listen {
            binding,
            backlog,
            options,
        };
        match self.ask(request) {
            Ok(Reply::Listening(listener)) => listener,
            Ok(_) => panic!("another answer than a listener"),
            Err(error) => panic!("{error}"),
        }
    }

    pub fn datagrams(&mut self, local: SocketAddr) -> Result<Datagrams<Flag>, Error> {
        let request = Request::BindDatagrams {
            local,
            reuse: false,
            only_v6: false,
        };
        match self.ask(request)? {
            Reply::Datagrams(datagrams) => Ok(datagrams),
            _ => panic!("another answer than a UDP socket"),
        }
    }

    pub fn resolve(&mut self, name: &str, family: Family) -> Result<Arc<Lookup<Flag>>, Error> {
        let lookup = Arc::new(Lookup::new());
        let request = Request::Resolve {
            name: name.into(),
            family,
            lookup: lookup.clone(),
        };
        self.ask(request)?;
        Ok(lookup)
    }

    pub fn close(&mut self, socket: SocketId) {
        let _ = self.ask(Request::Close {
            socket,
            linger: None,
        });
    }

    pub fn snapshot(&mut self) -> Snapshot {
        // Looking changes nothing, so it needs no step.
        match self.stack.request(Request::Snapshot, self.now) {
            Reply::Snapshot(snapshot) => snapshot,
            _ => panic!("another answer than a snapshot"),
        }
    }
}
