//! Asks a node.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use darner_diag::report::Report;

/// How long to wait for what a node has to say. An emulated CPU on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// Knows where a node's ports are on this machine.
pub struct Client {
    pub diagnostics: SocketAddrV4,
    pub echo: SocketAddrV4,
}

/// An answer of HTTP.
pub struct Answer {
    pub status: u16,
    fields: Vec<(String, String)>,
    pub content: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        const END: &[u8] = b"\r\n\r\n";
        let end = bytes.windows(END.len()).position(|four| four == END)?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?;
        let field = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_ascii_lowercase(), value.to_owned()))
        };
        Some(Self {
            status: status.parse().ok()?,
            fields: lines.map(field).collect::<Option<_>>()?,
            content: bytes[end + END.len()..].to_vec(),
        })
    }

    /// The header field of that name, in small letters.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields
            .find(|(is, _)| is == name)
            .map(|(_, value)| value.as_str())
    }

    /// Its content.
    pub fn text(&self) -> Result<String, String> {
        String::from_utf8(self.content.clone()).map_err(|error| error.to_string())
    }
}

impl Client {
    /// A connection to the diagnostics.
    pub fn connect(&self) -> Result<TcpStream, String> {
        connect(self.diagnostics)
    }

    /// Sends `request` as it is; what is answered until the end.
    pub fn request(&self, request: &str) -> Result<Answer, String> {
        let failed = |error: std::io::Error| format!("{request}: {error}");
        let mut stream = self.connect()?;
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map_err(failed)?;
        Answer::parse(&bytes)
            .ok_or_else(|| format!("{request}: found {}", String::from_utf8_lossy(&bytes)))
    }

    /// What is at `path`.
    pub fn get(&self, path: &str) -> Result<Answer, String> {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n"))
    }

    /// What is at `path`, which is JSON.
    pub fn json(&self, path: &str) -> Result<serde_json::Value, String> {
        let answer = self.get(path)?;
        serde_json::from_slice(&answer.content).map_err(|error| format!("{path}: {error}"))
    }

    /// The whole report.
    pub fn report(&self) -> Result<Report, String> {
        let value = self.json("/api/report.json")?;
        serde_json::from_value(value).map_err(|error| format!("the report: {error}"))
    }

    /// Has the program echo `bytes`.
    pub fn echo(&self, bytes: &[u8]) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("echo: {error}");
        let mut stream = connect(self.echo)?;
        stream.write_all(bytes).map_err(failed)?;
        let mut back = vec![0; bytes.len()];
        stream.read_exact(&mut back).map_err(failed)?;
        match back == bytes {
            true => Ok(()),
            false => Err(format!("found the echo {back:?}, expected {bytes:?}")),
        }
    }
}

fn connect(to: SocketAddrV4) -> Result<TcpStream, String> {
    let connect = || {
        let stream = TcpStream::connect_timeout(&to.into(), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    connect().map_err(|error: std::io::Error| format!("{to}: {error}"))
}
