//! One connection, from its first byte to its last.
//!
//! Whoever has the connection gives it what arrives and sends what it has to say, as
//! [`Exchange::need`] asks. It never takes longer than [`LIMIT`].

use super::head::{Head, Refusal};
use super::response::Response;
use crate::Nanos;
use crate::source::{NoMemory, Source};

/// How long a connection may take in all, in ns.
pub const LIMIT: Nanos = 5_000_000_000;
/// How long a request may take to arrive. What is left is for saying that it was too long.
const PATIENCE: Nanos = 4_000_000_000;
/// Bytes that may arrive behind a request, which nobody wants: the connection ends in
/// order if they are read.
const MOST_DISCARDED: usize = 256 << 10;

/// A connection; see the module.
pub struct Exchange {
    state: State,
    began: Nanos,
}

enum State {
    Receiving(Head),
    Sending(Response),
    /// All has been said: wait for the other end to go, so that it has all.
    Discarding(usize),
    Ended(Ending),
}

/// What a connection needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Bytes: [`Exchange::receive`], or [`Exchange::end_of_input`].
    Input,
    /// That [`Exchange::output`] is sent.
    Output,
    /// That its output is ended; then as [`Need::Input`].
    Farewell,
    /// To be closed in order.
    Close,
    /// To be broken off.
    Abort,
}

#[derive(Clone, Copy)]
enum Ending {
    Close,
    Abort,
}

impl Exchange {
    /// A connection that has just come.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(now: Nanos) -> Result<Self, NoMemory> {
        Ok(Self {
            state: State::Receiving(Head::new()?),
            began: now,
        })
    }

    /// What is to be done.
    pub fn need(&self) -> Need {
        match &self.state {
            State::Receiving(_) => Need::Input,
            State::Sending(_) => Need::Output,
            State::Discarding(_) => Need::Farewell,
            State::Ended(Ending::Close) => Need::Close,
            State::Ended(Ending::Abort) => Need::Abort,
        }
    }

    /// When to call [`Exchange::tell_time`] at the latest.
    pub fn deadline(&self) -> Nanos {
        match self.state {
            State::Receiving(_) => self.began.saturating_add(PATIENCE),
            _ => self.began.saturating_add(LIMIT),
        }
    }

    /// Says what time it is.
    pub fn tell_time(&mut self, now: Nanos) {
        if now >= self.began.saturating_add(LIMIT) {
            return self.end(Ending::Abort);
        }
        if let State::Receiving(head) = &self.state
            && now >= self.deadline()
        {
            // Who has asked for nothing is told nothing.
            match head.is_empty() {
                true => self.end(Ending::Close),
                false => self.answer(Response::refusing(Refusal::TooSlow)),
            }
        }
    }

    /// Takes bytes that have arrived, all of them. A request that is complete with them is
    /// answered: `source` is asked.
    pub fn receive(&mut self, bytes: &[u8], source: &(impl Source + ?Sized)) {
        match &mut self.state {
            State::Receiving(head) => {
                let response = match head.push(bytes) {
                    None => return,
                    Some(Ok(wanted)) => Response::to(wanted, source),
                    Some(Err(refusal)) => Response::refusing(refusal),
                };
                self.answer(response);
            }
            State::Discarding(left) if *left >= bytes.len() => *left -= bytes.len(),
            State::Discarding(_) => self.end(Ending::Abort),
            State::Sending(_) | State::Ended(_) => {}
        }
    }

    /// Nothing more will arrive.
    pub fn end_of_input(&mut self) {
        match &self.state {
            State::Receiving(head) if head.is_empty() => self.end(Ending::Close),
            State::Receiving(_) => self.answer(Response::refusing(Refusal::Malformed)),
            State::Discarding(_) => self.end(Ending::Close),
            State::Sending(_) | State::Ended(_) => {}
        }
    }

    /// What is to be sent next.
    pub fn output(&self) -> &[u8] {
        match &self.state {
            State::Sending(response) => response.rest(),
            _ => &[],
        }
    }

    /// So many bytes of [`Exchange::output`] were sent.
    pub fn sent(&mut self, count: usize) {
        if let State::Sending(response) = &mut self.state {
            response.advance(count);
            if response.rest().is_empty() {
                self.state = State::Discarding(MOST_DISCARDED);
            }
        }
    }

    /// The connection is over, whoever ended it.
    pub fn lost(&mut self) {
        self.end(Ending::Close);
    }

    fn answer(&mut self, response: Result<Response, NoMemory>) {
        match response {
            Ok(response) => self.state = State::Sending(response),
            Err(NoMemory) => self.end(Ending::Abort),
        }
    }

    fn end(&mut self, ending: Ending) {
        if !matches!(self.state, State::Ended(_)) {
            self.state = State::Ended(ending);
        }
    }
}
