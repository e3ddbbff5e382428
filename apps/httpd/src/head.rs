//! The head of a request: understood, or refused with a status.

use httparse::{EMPTY_HEADER, Header};

use crate::status::Status;

/// Bytes that a head may have.
pub const MOST_BYTES: usize = 16 << 10;
/// Bytes that a target may have.
const MOST_TARGET: usize = 8000;
/// Header fields that a head may have.
const MOST_FIELDS: usize = 100;
/// Bytes of a body that is read, to be thrown away: nothing here takes one.
const MOST_BODY: u64 = 64 << 10;

/// A request that can be answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// What to do.
    pub method: Method,
    /// With what, as it was sent.
    pub target: String,
    /// The first line, for the log.
    pub line: String,
    /// What follows the answer.
    pub after: After,
    /// Bytes of the body that follows the head.
    pub body: u64,
    /// The value of `Range`, if it is to be heeded.
    pub range: Option<String>,
    /// The value of `If-Range`.
    pub if_range: Option<String>,
    /// The value of `If-Modified-Since`.
    pub if_modified_since: Option<String>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Send it.
    Get,
    /// Tell about it.
    Head,
    /// Nothing that this server does.
    Other,
}

/// What follows the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The next request.
    KeepAlive,
    /// The end of the connection.
    Close,
}

/// What the first bytes of a connection, or those behind the last request, are.
#[derive(Debug, PartialEq)]
pub enum Parsed {
    /// The beginning of a head.
    Partial,
    /// A head, and its length in bytes.
    Whole(Box<Head>, usize),
    /// Nothing that can be answered otherwise than by a status; and the first line, for the log.
    Refused(Status, String),
}

/// Reads a head.
pub fn parse(bytes: &[u8]) -> Parsed {
    let seen = &bytes[..bytes.len().min(MOST_BYTES)];
    let mut fields = [EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let refused = |status| Parsed::Refused(status, first_line(seen));
    match request.parse(seen) {
        Ok(httparse::Status::Complete(length)) => match understand(&request, seen) {
            Ok(head) => Parsed::Whole(Box::new(head), length),
            Err(status) => refused(status),
        },
        Ok(httparse::Status::Partial) if target_bytes(seen) > MOST_TARGET => {
            refused(Status::UriTooLong)
        }
        Ok(httparse::Status::Partial) if seen.len() == MOST_BYTES => {
            refused(Status::HeaderFieldsTooLarge)
        }
        Ok(httparse::Status::Partial) => Parsed::Partial,
        Err(httparse::Error::Version) => refused(Status::VersionNotSupported),
        Err(httparse::Error::TooManyHeaders) => refused(Status::HeaderFieldsTooLarge),
        Err(_) => refused(Status::BadRequest),
    }
}

/// The bytes of the target, as far as it has come.
fn target_bytes(seen: &[u8]) -> usize {
    // Empty lines may come in front.
    let start = seen
        .iter()
        .take_while(|byte| b"\r\n".contains(byte))
        .count();
    let mut words = seen[start..].splitn(3, |&byte| byte == b' ' || byte == b'\n');
    words.nth(1).map_or(0, <[u8]>::len)
}

/// The first line, printable.
fn first_line(seen: &[u8]) -> String {
    let text = seen.trim_ascii_start();
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or(text);
    let shown = &line[..line.len().min(MOST_TARGET)];
    shown.trim_ascii_end().escape_ascii().to_string()
}

fn understand(request: &httparse::Request<'_, '_>, seen: &[u8]) -> Result<Head, Status> {
    let fields = Fields(request.headers);
    let target = request.path.ok_or(Status::BadRequest)?;
    if target.len() > MOST_TARGET {
        return Err(Status::UriTooLong);
    }
    let is_1_1 = request.version == Some(1);
    // RFC 9112, section 3.2: exactly one, which tells a request from one for a proxy.
    if fields.all("host").count() > 1 || (is_1_1 && fields.all("host").next().is_none()) {
        return Err(Status::BadRequest);
    }
    let body = body_bytes(&fields)?;
    let wants_continue = fields
        .all("expect")
        .any(|value| value.eq_ignore_ascii_case(b"100-continue"));
    // The body of who waits for a word is not asked for; it may come all the same.
    let is_last = fields.has_token("connection", "close")
        || (!is_1_1 && !fields.has_token("connection", "keep-alive"))
        || (body > 0 && wants_continue);
    let after = match is_last {
        true => After::Close,
        false => After::KeepAlive,
    };
    Ok(Head {
        method: match request.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        },
        target: target.to_owned(),
        line: first_line(seen),
        after,
        body: if wants_continue { 0 } else { body },
        range: fields.text("range"),
        if_range: fields.text("if-range"),
        if_modified_since: fields.text("if-modified-since"),
    })
}

/// The length of the body (RFC 9112, section 6.3). What two readers could understand
/// differently is refused.
fn body_bytes(fields: &Fields<'_>) -> Result<u64, Status> {
    let coded = fields.all("transfer-encoding").next().is_some();
    let mut lengths = fields.all("content-length");
    let Some(first) = lengths.next() else {
        return match coded {
            true => Err(Status::LengthRequired),
            false => Ok(0),
        };
    };
    let is_number = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
    if coded || !is_number || lengths.any(|other| other != first) {
        return Err(Status::BadRequest);
    }
    let length = std::str::from_utf8(first)
        .ok()
        .and_then(|it| it.parse().ok());
    match length {
        Some(length) if length <= MOST_BODY => Ok(length),
        _ => Err(Status::ContentTooLarge),
    }
}

/// The header fields of a request.
struct Fields<'a>(&'a [Header<'a>]);

impl<'a> Fields<'a> {
    /// The values of all fields of this name.
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.0.iter();
        fields
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value.trim_ascii())
    }

    /// The value of the only field of this name.
    fn text(&self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        let value = values.next().filter(|_| values.next().is_none())?;
        String::from_utf8(value.to_vec()).ok()
    }

    /// Whether a list of tokens has this one.
    fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|word| word.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Head {
        match parse(text.as_bytes()) {
            Parsed::Whole(head, length) => {
                assert_eq!(length, text.len());
                *head
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    fn status(text: &str) -> Status {
        match parse(text.as_bytes()) {
            Parsed::Refused(status, _) => status,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_request_is_understood() {
        let head = whole("GET /a?b HTTP/1.1\r\nHost: x\r\nRANGE: bytes=1-2\r\n\r\n");
        assert_eq!(head.method, Method::Get);
        assert_eq!(head.target, "/a?b");
        assert_eq!(head.line, "GET /a?b HTTP/1.1");
        assert_eq!(head.after, After::KeepAlive);
        assert_eq!(head.range.as_deref(), Some("bytes=1-2"));
        assert_eq!(
            whole("HEAD / HTTP/1.1\r\nHost:\r\n\r\n").method,
            Method::Head
        );
        assert_eq!(
            whole("get / HTTP/1.1\r\nHost:\r\n\r\n").method,
            Method::Other
        );
    }

    #[test]
    fn the_end_of_the_connection_is_agreed_on() {
        let after = |version, field| {
            whole(&format!("GET / HTTP/{version}\r\nHost: x\r\n{field}\r\n")).after
        };
        assert_eq!(after("1.1", "Connection: upgrade, CLOSE\r\n"), After::Close);
        assert_eq!(after("1.0", ""), After::Close);
        assert_eq!(after("1.0", "Connection: Keep-Alive\r\n"), After::KeepAlive);
        let expecting = "Content-Length: 3\r\nExpect: 100-continue\r\n";
        assert_eq!(after("1.1", expecting), After::Close);
    }

    #[test]
    fn a_part_is_no_error_until_it_is_too_long() {
        assert_eq!(parse(b""), Parsed::Partial);
        assert_eq!(parse(b"GET / HTTP/1.1\r\nHost: x\r\n"), Parsed::Partial);
        let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(8000));
        assert_eq!(status(&long), Status::UriTooLong);
        assert_eq!(status(&long[..8010]), Status::UriTooLong);
        let field = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(MOST_BYTES));
        assert_eq!(status(&field), Status::HeaderFieldsTooLarge);
        let many = format!(
            "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "A: b\r\n".repeat(100)
        );
        assert_eq!(status(&many), Status::HeaderFieldsTooLarge);
    }

    #[test]
    fn what_is_wrong_gets_its_status() {
        let with = |field: &str| status(&format!("POST / HTTP/1.1\r\nHost: x\r\n{field}\r\n"));
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), Status::BadRequest);
        assert_eq!(
            status("GET / HTTP/2.0\r\n\r\n"),
            Status::VersionNotSupported
        );
        assert_eq!(status("\x16\x03\x01\x02\0"), Status::BadRequest);
        assert_eq!(with("Host: y\r\n"), Status::BadRequest);
        assert_eq!(with("Bad Name: y\r\n"), Status::BadRequest);
        assert_eq!(with("Content-Length: -1\r\n"), Status::BadRequest);
        assert_eq!(with("Content-Length: 1, 2\r\n"), Status::BadRequest);
        let two = "Content-Length: 1\r\nContent-Length: 2\r\n";
        assert_eq!(with(two), Status::BadRequest);
        let both = "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(with(both), Status::BadRequest);
        assert_eq!(
            with("Transfer-Encoding: chunked\r\n"),
            Status::LengthRequired
        );
        let huge = "Content-Length: 99999999999999999999999\r\n";
        assert_eq!(with(huge), Status::ContentTooLarge);
        assert_eq!(with("Content-Length: 65537\r\n"), Status::ContentTooLarge);
    }

    #[test]
    fn the_log_gets_no_control_characters() {
        let Parsed::Refused(_, line) = parse(b"\x1b[2J \"\xff\r\nmore") else {
            panic!("it is no request");
        };
        assert_eq!(line, r#"\x1b[2J \"\xff"#);
    }
}
