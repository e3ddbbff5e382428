//! A load for web servers: connections that ask for the same thing again and again.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::latency::Times;
use crate::options::HttpLoad;
use crate::report::Report;
use crate::server::PATIENCE;

/// Header fields that an answer may have.
const MOST_FIELDS: usize = 64;
/// Bytes that the head of an answer may have.
const MOST_HEAD: usize = 64 << 10;

/// What one connection saw.
#[derive(Default)]
struct Seen {
    bytes: u64,
    bad: u64,
    connections: u64,
    times: Times,
}

/// Asks for the same thing for a time.
pub fn measure(load: &HttpLoad) -> Result<Report, String> {
    let begin = Instant::now();
    let outcomes: Vec<io::Result<Seen>> = thread::scope(|scope| {
        let running: Vec<_> = (0..load.connections)
            .map(|_| scope.spawn(move || ask(load, begin + load.time)))
            .collect();
        let outcomes = running.into_iter();
        outcomes
            .map(|thread| thread.join().expect("asking does not panic"))
            .collect()
    });
    let seconds = begin.elapsed().as_secs_f64();
    let mut all = Seen::default();
    for outcome in outcomes {
        let seen = outcome.map_err(|error| format!("{}: {error}", load.host))?;
        all.bytes += seen.bytes;
        all.bad += seen.bad;
        all.connections += seen.connections;
        all.times.append(seen.times);
    }
    let requests = all.times.count() as f64;
    let report = Report::new("http-rps")
        .number("requests", requests)
        .number("seconds", seconds)
        .number("rps", requests / seconds)
        .number("body_bytes", all.bytes as f64)
        .number("connections", all.connections as f64)
        .errors("bad_statuses", all.bad);
    Ok(all.times.report(report))
}

fn ask(load: &HttpLoad, deadline: Instant) -> io::Result<Seen> {
    let (host, path) = (&load.host, &load.path);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut seen = Seen::default();
    while Instant::now() < deadline {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        seen.connections += 1;
        let mut connection = Connection {
            stream,
            input: Vec::new(),
            block: vec![0; 64 << 10],
        };
        while Instant::now() < deadline {
            let (answer, time) = connection.exchange(request.as_bytes())?;
            seen.times.add(time);
            seen.bytes += answer.length as u64;
            seen.bad += u64::from(answer.code != 200);
            if answer.is_last {
                break;
            }
        }
    }
    Ok(seen)
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    block: Vec<u8>,
}

/// What the head of an answer says.
struct Answer {
    code: u16,
    /// Bytes of the body.
    length: usize,
    /// Whether the server ends the connection behind it.
    is_last: bool,
}

impl Connection {
    /// Sends a request and reads the answer to its end.
    fn exchange(&mut self, request: &[u8]) -> io::Result<(Answer, Duration)> {
        let begin = Instant::now();
        self.stream.write_all(request)?;
        let (answer, head) = loop {
            match parse(&self.input)? {
                Some(parsed) => break parsed,
                None if self.input.len() > MOST_HEAD => return Err(bad("a head without end")),
                None => self.fill()?,
            }
        };
        let mut left = head + answer.length;
        loop {
            let here = left.min(self.input.len());
            self.input.drain(..here);
            left -= here;
            if left == 0 {
                return Ok((answer, begin.elapsed()));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        match self.stream.read(&mut self.block)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            bytes => {
                self.input.extend_from_slice(&self.block[..bytes]);
                Ok(())
            }
        }
    }
}

/// An answer's head, if it is whole, and its length in bytes.
fn parse(input: &[u8]) -> io::Result<Option<(Answer, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let head = match response.parse(input) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(bad(&error.to_string())),
    };
    let field = |name: &str| {
        let mut fields = response.headers.iter();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok()
    };
    let length = field("content-length").and_then(|value| value.trim().parse().ok());
    let answer = Answer {
        code: response.code.unwrap_or_default(),
        length: length.ok_or_else(|| bad("no Content-Length"))?,
        is_last: field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
    };
    Ok(Some((answer, head)))
}

fn bad(found: &str) -> io::Error {
    let text = format!("found {found}, expected an answer of HTTP/1.1 with its length");
    io::Error::new(ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn load(answer: &'static str) -> Result<Report, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|bytes| bytes > 0) {
                    if stream.write_all(answer.as_bytes()).is_err() || answer.contains("close") {
                        break;
                    }
                }
            }
        });
        measure(&HttpLoad {
            host,
            path: "/".into(),
            connections: 1,
            time: Duration::from_millis(100),
        })
    }

    #[test]
    fn answers_are_counted() {
        let kept = load("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc").unwrap();
        assert!(kept.is_right());
        assert!(kept.json().contains("\"connections\":1,"), "{kept}");
        let ended = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let ended = load(ended).unwrap();
        assert!(!ended.json().contains("\"connections\":1,"), "{ended}");
        let missing = load("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert!(!missing.is_right());
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let error = load("HTTP/1.1 200 OK\r\n\r\n").unwrap_err();
        assert!(error.contains("no Content-Length"), "{error}");
        let error = load("220 mail.example ESMTP\r\n").unwrap_err();
        assert!(error.contains("expected an answer of HTTP/1.1"), "{error}");
    }
}
