//! Waiting for events.

use std::io;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll};

/// How long an event that has to come may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until there is an event that is `wanted`; an error if none comes.
pub fn until(poll: &mut Poll, mut wanted: impl FnMut(&Event) -> bool) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    let mut events = Events::with_capacity(64);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        poll.poll(&mut events, Some(left))?;
        // All of them: what is not looked at does not come again.
        if events.iter().filter(|event| wanted(event)).count() > 0 {
            return Ok(());
        }
        if left.is_zero() {
            return Err(io::Error::other("the event did not come"));
        }
    }
}

/// How many events there are within a short time.
pub fn soon(poll: &mut Poll) -> io::Result<usize> {
    let mut events = Events::with_capacity(64);
    poll.poll(&mut events, Some(Duration::from_millis(100)))?;
    Ok(events.iter().count())
}

/// `None` if it would have to wait.
pub fn now<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
