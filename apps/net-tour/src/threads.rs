//! Many threads and few sockets.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::pair::{pair, v4};
use tour::{Check, Outcome, same};

pub const CHECKS: &[Check] = &[
    Check::new("many readers", readers),
    Check::new("many writers", writers),
    Check::new("a thread for each connection", servers),
    Check::new("many accept", acceptors),
];

const THREADS: usize = 8;

fn readers() -> Outcome {
    const SIZE: usize = 1 << 20;
    let (mut one, other) = pair(v4())?;
    let sum = AtomicUsize::new(0);
    let read = |mut stream: TcpStream| -> std::io::Result<()> {
        let mut buffer = [0; 1_000];
        loop {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            let bytes: usize = buffer[..count].iter().map(|&byte| usize::from(byte)).sum();
            sum.fetch_add(bytes, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for _ in 0..THREADS {
            let clone = other.try_clone()?;
            threads.push(scope.spawn(|| read(clone)));
        }
        one.write_all(&vec![3; SIZE])?;
        one.shutdown(Shutdown::Write)?;
        for thread in threads {
            thread.join().map_err(|_| "a reader panicked")??;
        }
        same!(sum.load(Ordering::Relaxed), 3 * SIZE);
        Ok(format!("{THREADS} clones, each byte once"))
    })
}

fn writers() -> Outcome {
    const SIZE: usize = 100_000;
    let (one, mut other) = pair(v4())?;
    let mut threads = Vec::new();
    for number in 0..THREADS {
        let mut clone = one.try_clone()?;
        threads.push(thread::spawn(move || {
            clone.write_all(&vec![number as u8; SIZE])
        }));
    }
    drop(one);
    let mut got = Vec::new();
    other.read_to_end(&mut got)?;
    for thread in threads {
        thread.join().map_err(|_| "a writer panicked")??;
    }
    for number in 0..THREADS {
        let count = got.iter().filter(|&&byte| byte == number as u8).count();
        same!(count, SIZE);
    }
    Ok(format!("{THREADS} clones, {SIZE} bytes each"))
}

/// Asks `rounds` times, and is told the same each time.
fn ask(mut stream: TcpStream, number: usize, rounds: usize) -> std::io::Result<bool> {
    for round in 0..rounds {
        let question = (number * rounds + round).to_be_bytes();
        stream.write_all(&question)?;
        let mut answer = [0; 8];
        stream.read_exact(&mut answer)?;
        if answer != question {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives back what comes, until nothing does.
fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1_000];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}

fn servers() -> Outcome {
    const ROUNDS: usize = 50;
    let listener = TcpListener::bind(v4())?;
    let at = listener.local_addr()?;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(move || ask(TcpStream::connect(at)?, number, ROUNDS)))
            .collect();
        let mut servers = Vec::new();
        for _ in 0..THREADS {
            let (stream, _) = listener.accept()?;
            servers.push(scope.spawn(move || echo(stream)));
        }
        for client in clients {
            same!(client.join().map_err(|_| "a client panicked")??, true);
        }
        for server in servers {
            server.join().map_err(|_| "a server panicked")??;
        }
        Ok(format!("{THREADS} connections, {ROUNDS} questions each"))
    })
}

fn acceptors() -> Outcome {
    const CONNECTIONS: usize = 32;
    let listener = TcpListener::bind(v4())?;
    let at = listener.local_addr()?;
    thread::scope(|scope| {
        let acceptors: Vec<_> = (0..THREADS)
            .map(|_| {
                let listener = &listener;
                scope.spawn(move || -> std::io::Result<usize> {
                    let mut bytes = 0;
                    for _ in 0..CONNECTIONS / THREADS {
                        bytes += listener.accept()?.0.read(&mut [0; 8])?;
                    }
                    Ok(bytes)
                })
            })
            .collect();
        for _ in 0..CONNECTIONS {
            TcpStream::connect(at)?.write_all(b"x")?;
        }
        let mut bytes = 0;
        for acceptor in acceptors {
            bytes += acceptor.join().map_err(|_| "a thread panicked")??;
        }
        same!(bytes, CONNECTIONS);
        Ok(format!("{CONNECTIONS} connections, {THREADS} threads"))
    })
}
