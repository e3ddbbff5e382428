//! One thread that serves many connections.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream as Blocking};
use std::thread;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::until::now;
use tour::{Check, Outcome, same};

pub const CHECKS: &[Check] = &[Check::new("gives back what comes", echo)];

const CLIENTS: usize = 50;
const ROUNDS: usize = 20;
const LISTENER: Token = Token(usize::MAX - 1);

fn echo() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    let at = listener.local_addr()?;
    let server = thread::spawn(move || serve(listener));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| thread::spawn(move || ask(at, number)))
        .collect();
    for client in clients {
        same!(client.join().map_err(|_| "a client panicked")??, true);
    }
    same!(server.join().map_err(|_| "the server panicked")??, CLIENTS);
    Ok(format!("{CLIENTS} clients, {ROUNDS} rounds each"))
}

/// Sends pieces of different sizes; whether each comes back as it was.
fn ask(at: SocketAddr, number: usize) -> io::Result<bool> {
    let mut stream = Blocking::connect(at)?;
    for round in 0..ROUNDS {
        let piece = vec![(number + round) as u8; 1 + 97 * round];
        stream.write_all(&piece)?;
        let mut answer = vec![0; piece.len()];
        stream.read_exact(&mut answer)?;
        if answer != piece {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A client, and what has to be given back to it.
struct Client {
    stream: TcpStream,
    owed: Vec<u8>,
}

impl Client {
    /// Does what can be done now; whether the client has ended it.
    fn serve(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 1000];
        let mut ended = false;
        while let Some(count) = now(self.stream.read(&mut buffer))? {
            if count == 0 {
                ended = true;
                break;
            }
            self.owed.extend_from_slice(&buffer[..count]);
        }
        while !self.owed.is_empty() {
            match now(self.stream.write(&self.owed))? {
                Some(count) => drop(self.owed.drain(..count)),
                None => break,
            }
        }
        Ok(ended)
    }
}

/// Serves until all clients have come and gone; how many that were.
fn serve(mut listener: TcpListener) -> io::Result<usize> {
    let mut poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(16);
    let mut clients = HashMap::new();
    let (mut came, mut gone) = (0, 0);
    while gone < CLIENTS {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Some((mut stream, _)) = now(listener.accept())? {
                    let token = Token(came);
                    came += 1;
                    let both = Interest::READABLE | Interest::WRITABLE;
                    registry.register(&mut stream, token, both)?;
                    let owed = Vec::new();
                    clients.insert(token, Client { stream, owed });
                }
            } else if let Some(client) = clients.get_mut(&event.token())
                && client.serve()?
            {
                clients.remove(&event.token());
                gone += 1;
            }
        }
    }
    Ok(gone)
}
