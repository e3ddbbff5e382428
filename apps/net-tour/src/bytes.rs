//! Bytes through a connection.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use crate::pair::{pair, pattern, v4, v6};
use tour::{Check, Outcome, ensure, same};

pub const CHECKS: &[Check] = &[
    Check::new("both ways", both_ways),
    Check::new("addresses of both ends", addresses),
    Check::new("peek", peek),
    Check::new("many buffers at once", vectored),
    Check::new("none at all", nothing),
    Check::new("a reader that is slow", slow_reader),
    Check::new("both ways at once", at_once),
];

fn both_ways() -> Outcome {
    for at in [v4(), v6()] {
        let (mut one, mut other) = pair(at)?;
        one.write_all(b"to the other")?;
        let mut buffer = [0; 12];
        other.read_exact(&mut buffer)?;
        same!(&buffer, b"to the other");
        other.write_all(b"and back")?;
        one.read_exact(&mut buffer[..8])?;
        same!(&buffer[..8], b"and back");
    }
    Ok("IPv4 and IPv6".into())
}

fn addresses() -> Outcome {
    for at in [v4(), v6()] {
        let (one, other) = pair(at)?;
        same!(one.local_addr()?, other.peer_addr()?);
        same!(other.local_addr()?, one.peer_addr()?);
        same!(one.peer_addr()?.ip(), at.ip());
        ensure!(one.local_addr()?.port() != 0, "found port 0");
    }
    Ok("each is the other's peer".into())
}

fn peek() -> Outcome {
    let (mut one, mut other) = pair(v4())?;
    one.write_all(b"abc")?;
    let mut buffer = [0; 8];
    for _ in 0..2 {
        same!(other.peek(&mut buffer)?, 3);
        same!(&buffer[..3], b"abc");
    }
    same!(other.peek(&mut buffer[..2])?, 2);
    same!(other.read(&mut buffer)?, 3);
    one.shutdown(Shutdown::Write)?;
    same!(other.peek(&mut buffer)?, 0);
    Ok("takes nothing".into())
}

fn vectored() -> Outcome {
    let (mut one, mut other) = pair(v4())?;
    let parts = [&b"one, "[..], b"", b"two"].map(IoSlice::new);
    same!(one.write_vectored(&parts)?, 8);
    let (mut first, mut none, mut rest) = ([0; 3], [0; 0], [0; 9]);
    let mut count = 0;
    while count < 8 {
        let mut parts = [&mut first[..], &mut none, &mut rest].map(IoSliceMut::new);
        count += match other.peek(&mut [0; 9])? {
            8 => other.read_vectored(&mut parts)?,
            _ => 0,
        };
    }
    same!(&first, b"one");
    same!(&rest[..5], b", two");
    Ok("3 out, 3 in".into())
}

fn nothing() -> Outcome {
    let (mut one, mut other) = pair(v4())?;
    same!(one.write(&[])?, 0);
    one.write_all(b"x")?;
    let mut buffer = [0; 2];
    same!(other.peek(&mut buffer)?, 1);
    same!(other.read(&mut [])?, 0);
    same!(other.read(&mut buffer)?, 1);
    Ok("neither sent nor taken".into())
}

fn slow_reader() -> Outcome {
    const SIZE: usize = 8 << 20;
    let (mut one, mut other) = pair(v4())?;
    let content = pattern(SIZE);
    let writer = thread::spawn(move || one.write_all(&content));
    // Time for the writer to fill all there is between them.
    thread::sleep(Duration::from_millis(200));
    ensure!(
        !writer.is_finished(),
        "{SIZE} bytes were sent, and nobody reads"
    );
    let mut got = Vec::new();
    let mut buffer = vec![0; 50_000];
    loop {
        let count = other.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        got.extend_from_slice(&buffer[..count]);
        if got.len() < 1 << 20 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    writer.join().map_err(|_| "the writer panicked")??;
    ensure!(
        got == pattern(SIZE),
        "{} bytes came, some of them others",
        got.len()
    );
    Ok(format!("{SIZE} bytes wait, and arrive"))
}

fn at_once() -> Outcome {
    const SIZE: usize = 2 << 20;
    let (one, other) = pair(v6())?;
    thread::scope(|scope| {
        let ends = [&one, &other];
        let threads: Vec<_> = ends
            .into_iter()
            .flat_map(|end| {
                let write = scope.spawn(move || {
                    let mut end = end;
                    end.write_all(&pattern(SIZE))?;
                    end.shutdown(Shutdown::Write)
                });
                let read = scope.spawn(move || {
                    let mut got = Vec::new();
                    let mut end = end;
                    end.read_to_end(&mut got)?;
                    match got == pattern(SIZE) {
                        true => Ok(()),
                        false => Err(std::io::Error::other(format!("{} bytes", got.len()))),
                    }
                });
                [write, read]
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(format!("{SIZE} bytes each way"))
    })
}
