//! One connection: its requests, one after the other, and their answers.
//!
//! Answers are collected as long as there are requests to read, so that those that a
//! client sends at once are answered at once.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::files;
use crate::head::{self, After, Head, Method, Parsed};
use crate::log;
use crate::options::{Log, Options};
use crate::response::{Body, Response};
use crate::server::{Busy, Shared};
use crate::status::Status;

/// Bytes that are read or written at a time.
const BLOCK: usize = 64 << 10;
/// How long a client may take to end its side of a connection that this side has ended.
const FAREWELL: Duration = Duration::from_secs(2);
/// What it may still send meanwhile.
const LEFTOVER: usize = 1 << 20;

/// Serves a connection to its end. An error says why that came early.
pub fn serve(stream: TcpStream, peer: IpAddr, server: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(server.options.timeout))?;
    let mut connection = Connection {
        stream,
        peer,
        options: &server.options,
        input: Vec::new(),
        out: Vec::new(),
        block: vec![0; BLOCK],
        busy: None,
    };
    while connection.next(server)? == After::KeepAlive {}
    connection.end()
}

struct Connection<'a> {
    stream: TcpStream,
    peer: IpAddr,
    options: &'a Options,
    /// What has been read and not been understood yet.
    input: Vec<u8>,
    /// What is still to be written.
    out: Vec<u8>,
    block: Vec<u8>,
    /// Held while an answer is due.
    busy: Option<Busy<'a>>,
}

/// What came of waiting for bytes.
#[derive(PartialEq)]
enum Filled {
    Some,
    Ended,
    Late,
}

impl<'a> Connection<'a> {
    /// Reads a request and answers it.
    fn next(&mut self, server: &'a Shared) -> io::Result<After> {
        let deadline = Instant::now() + self.options.timeout;
        let head = loop {
            match head::parse(&self.input) {
                Parsed::Whole(head, length) => {
                    self.input.drain(..length);
                    break head;
                }
                Parsed::Refused(status, line) => {
                    self.busy = self.busy.take().or_else(|| server.begin());
                    return self.refuse(status, &line);
                }
                Parsed::Partial => match self.fill(deadline)? {
                    Filled::Some => {}
                    Filled::Late if !self.input.trim_ascii().is_empty() => {
                        return self.refuse(Status::RequestTimeout, "");
                    }
                    // Whoever leaves within a request does not read the answer.
                    Filled::Late | Filled::Ended => return Ok(After::Close),
                },
            }
        };
        match server.begin() {
            Some(busy) => self.busy = Some(busy),
            // The server is about to end.
            None => return Ok(After::Close),
        }
        if !self.skip(head.body, deadline)? {
            return self.refuse(Status::RequestTimeout, &head.line);
        }
        let after = match server.is_ending() {
            true => After::Close,
            false => head.after,
        };
        self.answer(&head, after)?;
        Ok(after)
    }

    /// Reads more, until `deadline`. All that is to be written is written first.
    fn fill(&mut self, deadline: Instant) -> io::Result<Filled> {
        self.flush()?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Filled::Late);
        }
        self.stream.set_read_timeout(Some(left))?;
        match self.stream.read(&mut self.block) {
            Ok(0) => Ok(Filled::Ended),
            Ok(bytes) => {
                self.input.extend_from_slice(&self.block[..bytes]);
                Ok(Filled::Some)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(Filled::Late),
                ErrorKind::Interrupted => Ok(Filled::Some),
                _ => Err(error),
            },
        }
    }

    /// Reads a request's body and forgets it; `false` if it does not come in time.
    fn skip(&mut self, body: u64, deadline: Instant) -> io::Result<bool> {
        let mut left = usize::try_from(body).unwrap_or(usize::MAX);
        loop {
            let here = left.min(self.input.len());
            self.input.drain(..here);
            left -= here;
            if left == 0 {
                return Ok(true);
            }
            if self.fill(deadline)? != Filled::Some {
                return Ok(false);
            }
        }
    }

    /// Answers what is no proper request; nothing behind it can be understood.
    fn refuse(&mut self, status: Status, line: &str) -> io::Result<After> {
        self.send(Response::of_status(status), Method::Get, line, After::Close)?;
        Ok(After::Close)
    }

    fn answer(&mut self, head: &Head, after: After) -> io::Result<()> {
        let response = files::answer(self.options.dir.as_deref(), head);
        self.send(response, head.method, &head.line, after)
    }

    fn send(
        &mut self,
        response: Response,
        method: Method,
        line: &str,
        after: After,
    ) -> io::Result<()> {
        let bytes = match method {
            Method::Head => 0,
            _ => response.length(),
        };
        if self.options.log == Log::Requests {
            log::write(self.peer, line, response.status, bytes);
        }
        response.write_head(&mut self.out, after);
        match response.body {
            _ if method == Method::Head => Ok(()),
            Body::None => Ok(()),
            Body::Bytes(bytes) => {
                self.out.extend_from_slice(&bytes);
                self.flush_if_full()
            }
            Body::File(file, range) => self.send_file(file, range),
        }
    }

    /// Sends a part of a file, a block at a time: it may be larger than memory.
    fn send_file(&mut self, mut file: File, range: Range<u64>) -> io::Result<()> {
        if range.start > 0 {
            file.seek(SeekFrom::Start(range.start))?;
        }
        let mut left = range.end - range.start;
        while left > 0 {
            let most = left.min(BLOCK as u64) as usize;
            let bytes = match file.read(&mut self.block[..most]) {
                // The client was promised more; it learns by the connection's end.
                Ok(0) => {
                    return Err(io::Error::new(
                        ErrorKind::UnexpectedEof,
                        "a file has become shorter while it was sent",
                    ));
                }
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.out.extend_from_slice(&self.block[..bytes]);
            left -= bytes as u64;
            self.flush_if_full()?;
        }
        Ok(())
    }

    fn flush_if_full(&mut self) -> io::Result<()> {
        match self.out.len() >= BLOCK {
            true => self.write(),
            false => Ok(()),
        }
    }

    /// Writes all that is to be written: no answer is due any more.
    fn flush(&mut self) -> io::Result<()> {
        self.write()?;
        self.busy = None;
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Ends the connection. A client that is still sending would have the answer taken from
    /// it if the connection were just closed; so what it sends is read for a while.
    fn end(mut self) -> io::Result<()> {
        self.write()?;
        self.stream.shutdown(Shutdown::Write)?;
        let deadline = Instant::now() + FAREWELL;
        let mut left = LEFTOVER;
        while left > 0 {
            let time = deadline.saturating_duration_since(Instant::now());
            if time.is_zero() {
                break;
            }
            self.stream.set_read_timeout(Some(time))?;
            match self.stream.read(&mut self.block) {
                // Whether it ended properly does not matter any more.
                Ok(0) | Err(_) => break,
                Ok(bytes) => left = left.saturating_sub(bytes),
            }
        }
        Ok(())
    }
}
