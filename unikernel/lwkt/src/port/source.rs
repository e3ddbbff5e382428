//! Waiting for one of several things.

use crate::critical::MayBlock;
use crate::machine::{Nanos, Park};
use crate::message::Error;

/// Something to wait for: a [`Receiver`](super::Receiver), a
/// [`Mailbox`](crate::message::Mailbox), a [`Pending`](crate::message::Pending), or
/// what a program makes.
pub trait Source<M: Park> {
    /// Unless there is something to get, notes that the calling thread waits and is
    /// to be unparked when there is. Called again whenever the thread has woken.
    fn arm(&mut self) -> Readiness;

    /// The calling thread waits no more. Also called when it was never armed.
    fn disarm(&mut self);
}

/// Whether there is something to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// There is, or there is an error to see.
    Ready,
    /// Not yet. If a time is given, there will be by then.
    Wait(Option<Nanos>),
}

/// Waits until one of `sources` has something to get, at most until `deadline`; which
/// one it is, the first if several have. Another thread may be faster to get it.
/// Thread context.
///
/// # Errors
/// [`Error::TimedOut`].
pub fn wait_any<M: Park>(
    leave: &MayBlock<M>,
    sources: &mut [&mut dyn Source<M>],
    deadline: Option<Nanos>,
) -> Result<usize, Error> {
    let result = 'woken: loop {
        let mut alarm = deadline;
        for (index, source) in sources.iter_mut().enumerate() {
            match source.arm() {
                Readiness::Ready => break 'woken Ok(index),
                Readiness::Wait(until) => alarm = earlier(alarm, until),
            }
        }
        if deadline.is_some_and(|deadline| M::now() >= deadline) {
            break Err(Error::TimedOut);
        }
        M::park(leave, alarm);
    };
    for source in sources {
        source.disarm();
    }
    result
}

/// The earlier of two deadlines, either of which may be absent.
pub(crate) fn earlier(one: Option<Nanos>, other: Option<Nanos>) -> Option<Nanos> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
