//! The protocol thread's part: interfaces, routes, connections, timers.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::Nanos;
use crate::config::InterfaceConfig;
use crate::error::Error;
use crate::nic::Nic;
use crate::request::{Reply, Request};
use crate::socket::Wait;

/// All of a node's network; see the crate.
pub struct Stack<W> {
    configured: Arc<Configured<W>>,
    nics: Vec<(Box<dyn Nic>, InterfaceConfig)>,
}

/// What [`Stack::step`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When to step again at the latest; `None`: only when something happens.
    pub deadline: Option<Nanos>,
    /// There is more to do now: its share of the CPU is used up. Step again soon.
    pub more: bool,
}

/// Whether the interfaces have their addresses.
#[derive(Default)]
pub struct Configured<W> {
    /// Interfaces that still wait for one.
    waiting: AtomicU32,
    /// Who waits for that.
    pub waiters: W,
}

impl<W: Wait> Configured<W> {
    /// Whether no interface waits for its first address.
    pub fn is_done(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }
}

impl<W: Wait> Stack<W> {
    /// A stack with a loopback interface. `seed` is random: initial sequence numbers,
    /// ports and transaction ids come from it. `memory` is how many bytes the buffers of all
    /// connections may take together.
    pub fn new(seed: u64, memory: usize, now: Nanos) -> Self {
        let _ = (seed, memory, now);
        Self {
            configured: Arc::default(),
            nics: Vec::new(),
        }
    }

    /// Adds a card, and begins to set it up.
    pub fn add(&mut self, nic: Box<dyn Nic>, config: InterfaceConfig, now: Nanos) {
        let _ = now;
        self.nics.push((nic, config));
    }

    /// For waiting until interfaces have their addresses.
    pub fn configured(&self) -> Arc<Configured<W>> {
        self.configured.clone()
    }

    /// Answers a request. What it has to send goes out with the next [`Self::step`].
    pub fn request(&mut self, request: Request<W>, now: Nanos) -> Reply<W> {
        let _ = (request, now);
        Reply::Failed(Error::NetworkUnreachable)
    }

    /// Does what there is to do, for a bounded time: frames in, timers, frames out.
    pub fn step(&mut self, now: Nanos) -> Step {
        let _ = now;
        Step {
            deadline: None,
            more: false,
        }
    }
}
