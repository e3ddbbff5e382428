//! Streams: either end of one.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use crate::content::Sequence;
use crate::options::Content;
use crate::protocol::{Limit, Moved};

/// Bytes that are read at a time.
const BLOCK: usize = 64 << 10;

/// Sends a stream and ends it; `seed` chooses its content.
pub fn send(
    mut stream: &TcpStream,
    limit: Limit,
    block: usize,
    content: Content,
    seed: u64,
) -> io::Result<Moved> {
    let begin = Instant::now();
    let mut sequence = Sequence::new(seed);
    let mut buffer = vec![0; block];
    sequence.fill(&mut buffer);
    let mut moved = Moved::default();
    loop {
        let bytes = match limit {
            Limit::Bytes(all) => (all - moved.bytes).min(block as u64) as usize,
            Limit::Time(time) if begin.elapsed() < time => block,
            Limit::Time(_) => 0,
        };
        if bytes == 0 {
            break;
        }
        stream.write_all(&buffer[..bytes])?;
        moved.bytes += bytes as u64;
        if content == Content::Verified {
            sequence.fill(&mut buffer);
        }
    }
    stream.shutdown(Shutdown::Write)?;
    moved.time = begin.elapsed();
    Ok(moved)
}

/// Receives a stream to its end.
pub fn receive(mut stream: &TcpStream, content: Content, seed: u64) -> io::Result<Moved> {
    let mut sequence = Sequence::new(seed);
    let mut buffer = vec![0; BLOCK];
    let mut moved = Moved::default();
    let mut begin = None;
    loop {
        let bytes = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        begin.get_or_insert_with(Instant::now);
        moved.bytes += bytes as u64;
        if content == Content::Verified {
            moved.wrong += sequence.wrong(&buffer[..bytes]);
        }
    }
    moved.time = begin.map(|begin| begin.elapsed()).unwrap_or_default();
    Ok(moved)
}

/// Sends back what comes, to its end.
pub fn echo(mut stream: &TcpStream) -> io::Result<Moved> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BLOCK];
    let mut moved = Moved::default();
    loop {
        let bytes = match stream.read(&mut buffer) {
            Ok(0) => return Ok(moved),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        stream.write_all(&buffer[..bytes])?;
        moved.bytes += bytes as u64;
    }
}
