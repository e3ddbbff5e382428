//! Polls that nothing but another thread ends, or time.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};

use crate::until::{soon, until};
use tour::{Check, Outcome, ensure, same};

pub const CHECKS: &[Check] = &[
    Check::new("nothing happens", timeout),
    Check::new("from another thread", other_thread),
    Check::new("before the poll", before),
    Check::new("again and again", again),
];

const WAKER: Token = Token(10);

fn timeout() -> Outcome {
    const LIMIT: Duration = Duration::from_millis(150);
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(8);
    let begin = Instant::now();
    poll.poll(&mut events, Some(LIMIT))?;
    ensure!(
        begin.elapsed() >= LIMIT,
        "waited only {:?}",
        begin.elapsed()
    );
    same!(events.iter().count(), 0);
    poll.poll(&mut events, Some(Duration::ZERO))?;
    same!(events.iter().count(), 0);
    Ok("until the limit".into())
}

fn other_thread() -> Outcome {
    let mut poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let thread = {
        let waker = waker.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            waker.wake()
        })
    };
    until(&mut poll, |event| {
        event.token() == WAKER && event.is_readable()
    })?;
    thread.join().map_err(|_| "the thread panicked")??;
    same!(soon(&mut poll)?, 0);
    Ok("is readable, once".into())
}

fn before() -> Outcome {
    let mut poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    for _ in 0..3 {
        waker.wake()?;
    }
    until(&mut poll, |event| event.token() == WAKER)?;
    same!(soon(&mut poll)?, 0);
    Ok("is not lost".into())
}

fn again() -> Outcome {
    const TIMES: usize = 200;
    let mut poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let (sender, turns) = std::sync::mpsc::sync_channel(0);
    let thread = thread::spawn(move || turns.iter().try_for_each(|()| waker.wake()));
    for _ in 0..TIMES {
        sender.send(())?;
        until(&mut poll, |event| event.token() == WAKER)?;
    }
    drop(sender);
    thread.join().map_err(|_| "the thread panicked")??;
    Ok(format!("{TIMES} times"))
}
