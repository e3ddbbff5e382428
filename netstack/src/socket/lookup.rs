//! A host name that is being looked up.

use alloc::vec::Vec;
use core::net::IpAddr;

use spin::Once;

use super::Wait;
use crate::error::Error;

/// The answer to a [`Request::Resolve`](crate::Request::Resolve), when it is there.
#[derive(Default)]
pub struct Lookup<W> {
    outcome: Once<Result<Vec<IpAddr>, Error>>,
    /// Who waits for it.
    pub waiters: W,
}

impl<W: Wait> Lookup<W> {
    /// One without an answer.
    pub fn new() -> Self {
        Self {
            outcome: Once::new(),
            waiters: W::default(),
        }
    }

    /// The answer: at least one address, or why there is none.
    pub fn outcome(&self) -> Option<&Result<Vec<IpAddr>, Error>> {
        self.outcome.get()
    }

    /// The protocol thread: gives the answer. The first one stays.
    pub fn finish(&self, outcome: Result<Vec<IpAddr>, Error>) {
        self.outcome.call_once(|| outcome);
        self.waiters.wake();
    }
}
