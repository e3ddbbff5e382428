//! How long a request of 64 bytes takes that is answered with 4 KiB, between two programs on the machines
//! and the network that `fault` is measured on.

use std::env;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::tell;

const PORT: u16 = 7_001;
const REQUEST: usize = 64;
const ANSWER: usize = 4096;

pub fn measure(count: usize) -> Result<(), String> {
    let addresses = env::var("DARNER_ADDRESSES")
        .map_err(|_| "found no other node, expected `cargo xtask cluster --separate --nodes 2`")?;
    let server = addresses.split(',').next().unwrap_or_default().to_owned();
    let done = match env::var("DARNER_NODE").as_deref() {
        Ok("0") => serve(),
        _ => ask(&server, count),
    };
    done.map_err(|error| format!("TCP: {error}"))
}

/// Answers until the other end is done.
fn serve() -> std::io::Result<()> {
    let (mut stream, _) = TcpListener::bind(("0.0.0.0", PORT))?.accept()?;
    stream.set_nodelay(true)?;
    let (mut request, answer) = ([0; REQUEST], [7; ANSWER]);
    while stream.read_exact(&mut request).is_ok() {
        stream.write_all(&answer)?;
    }
    Ok(())
}

fn ask(server: &str, count: usize) -> std::io::Result<()> {
    let mut stream = connect(server)?;
    stream.set_nodelay(true)?;
    let (request, mut answer) = ([3; REQUEST], [0; ANSWER]);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = Instant::now();
        stream.write_all(&request)?;
        stream.read_exact(&mut answer)?;
        times.push(begin.elapsed().as_nanos() as u64);
    }
    tell("rpc", times);
    Ok(())
}

/// The other machine may boot later.
fn connect(server: &str) -> std::io::Result<TcpStream> {
    let begin = Instant::now();
    loop {
        match TcpStream::connect((server, PORT)) {
            Err(_) if begin.elapsed() < Duration::from_secs(30) => {
                sleep(Duration::from_millis(10));
            }
            connected => return connected,
        }
    }
}
