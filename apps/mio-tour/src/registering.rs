//! Sources that are registered, and that are not any more.

use std::io::{ErrorKind, Write};
use std::net::TcpStream as Blocking;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Poll, Token};

use crate::until::{now, soon, until};
use tour::{Check, Outcome, kind, same};

pub const CHECKS: &[Check] = &[
    Check::new("twice", twice),
    Check::new("under another name", renamed),
    Check::new("no longer", deregistered),
    Check::new("closed while registered", closed),
    Check::new("while another thread polls", while_polling),
];

fn listener() -> Result<TcpListener, Box<dyn std::error::Error>> {
    Ok(TcpListener::bind("127.0.0.1:0".parse()?)?)
}

fn twice() -> Outcome {
    let poll = Poll::new()?;
    let mut listener = listener()?;
    let mut register = || {
        poll.registry()
            .register(&mut listener, Token(1), Interest::READABLE)
    };
    register()?;
    let exists = ErrorKind::AlreadyExists;
    same!(kind(register())?, exists);
    Ok(format!("{exists:?}"))
}

fn renamed() -> Outcome {
    let mut poll = Poll::new()?;
    let mut listener = listener()?;
    poll.registry()
        .register(&mut listener, Token(1), Interest::READABLE)?;
    poll.registry()
        .reregister(&mut listener, Token(2), Interest::READABLE)?;
    let _one = Blocking::connect(listener.local_addr()?)?;
    until(&mut poll, |event| {
        event.token() == Token(2) && event.is_readable()
    })?;
    Ok("is what events say".into())
}

fn deregistered() -> Outcome {
    let mut poll = Poll::new()?;
    let mut listener = listener()?;
    poll.registry()
        .register(&mut listener, Token(1), Interest::READABLE)?;
    poll.registry().deregister(&mut listener)?;
    let _one = Blocking::connect(listener.local_addr()?)?;
    same!(soon(&mut poll)?, 0);
    // It is registered while it is ready.
    poll.registry()
        .register(&mut listener, Token(3), Interest::READABLE)?;
    until(&mut poll, |event| event.token() == Token(3))?;
    Ok("is not told of".into())
}

fn closed() -> Outcome {
    let mut poll = Poll::new()?;
    let mut first = listener()?;
    poll.registry()
        .register(&mut first, Token(1), Interest::READABLE)?;
    drop(first);
    // Its descriptor is this one's now.
    let mut second = listener()?;
    poll.registry()
        .register(&mut second, Token(2), Interest::READABLE)?;
    let _one = Blocking::connect(second.local_addr()?)?;
    until(&mut poll, |event| event.token() == Token(2))?;
    Ok("makes way".into())
}

fn while_polling() -> Outcome {
    let mut poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    let mut listener = listener()?;
    let at = listener.local_addr()?;
    let (sender, streams) = mpsc::channel();
    let thread = thread::spawn(move || -> std::io::Result<()> {
        thread::sleep(Duration::from_millis(50));
        registry.register(&mut listener, Token(1), Interest::READABLE)?;
        let mut other = Blocking::connect(at)?;
        let (mut stream, _) = loop {
            match now(listener.accept())? {
                Some(accepted) => break accepted,
                None => thread::yield_now(),
            }
        };
        registry.register(&mut stream, Token(2), Interest::READABLE)?;
        other.write_all(b"x")?;
        let kept: (TcpStream, Blocking) = (stream, other);
        sender.send(kept).map_err(std::io::Error::other)
    });
    until(&mut poll, |event| {
        event.token() == Token(2) && event.is_readable()
    })?;
    let _kept = streams.recv()?;
    thread.join().map_err(|_| "the thread panicked")??;
    Ok("is seen at once".into())
}
