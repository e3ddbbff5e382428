//! The head of a request, as it arrives.

use alloc::vec::Vec;

use httparse::{EMPTY_HEADER, Error, Request, Status};

use super::route::Route;
use crate::source::NoMemory;

/// Bytes that a request's head may have.
pub const MOST_HEAD: usize = 8 << 10;
/// Header fields that it may have.
const MOST_FIELDS: usize = 64;

/// What has arrived of a head.
pub struct Head {
    /// With room for [`MOST_HEAD`] bytes.
    bytes: Vec<u8>,
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What to tell.
    pub route: Route,
    /// How much of it.
    pub method: Method,
}

/// How much of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// All of it.
    Get,
    /// What comes before its content.
    Head,
}

/// Why a request cannot be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is no request of HTTP/1.
    Malformed,
    /// There is nothing by that name.
    NotFound,
    /// It wants to do something.
    MethodNotAllowed,
    /// It did not come in time.
    TooSlow,
    /// It is too long.
    TooLarge,
}

impl Head {
    /// Nothing has arrived.
    pub fn new() -> Result<Self, NoMemory> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(MOST_HEAD)?;
        Ok(Self { bytes })
    }

    /// Whether nothing has arrived.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes more bytes. `None`: it is not complete yet. What follows it is not looked at.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Result<Wanted, Refusal>> {
        let room = MOST_HEAD - self.bytes.len();
        let (taken, rest) = bytes.split_at(bytes.len().min(room));
        self.bytes.extend_from_slice(taken);
        match parse(&self.bytes) {
            Ok(Some(wanted)) => Some(Ok(wanted)),
            Ok(None) if rest.is_empty() && self.bytes.len() < MOST_HEAD => None,
            Ok(None) => Some(Err(Refusal::TooLarge)),
            Err(refusal) => Some(Err(refusal)),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Option<Wanted>, Refusal> {
    let mut fields = [EMPTY_HEADER; MOST_FIELDS];
    let mut request = Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(Status::Complete(_)) => wanted(&request).map(Some),
        Ok(Status::Partial) => Ok(None),
        Err(Error::TooManyHeaders) => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::Malformed),
    }
}

fn wanted(request: &Request<'_, '_>) -> Result<Wanted, Refusal> {
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(Refusal::Malformed);
    };
    // RFC 9112, section 3.2.
    let hosts = request
        .headers
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("host"));
    let hosts = hosts.count();
    if hosts > 1 || version == 1 && hosts == 0 {
        return Err(Refusal::Malformed);
    }
    let route = Route::of(path(target)).ok_or(Refusal::NotFound)?;
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ => return Err(Refusal::MethodNotAllowed),
    };
    Ok(Wanted { route, method })
}

/// The path in a request's target, without its query: `/metrics` of
/// `http://127.0.0.1:9100/metrics?x=1`.
fn path(target: &str) -> &str {
    let local = match target.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
            rest.find(['/', '?']).map_or("", |at| &rest[at..])
        }
        _ => target,
    };
    let end = local.find(['?', '#']).unwrap_or(local.len());
    match &local[..end] {
        "" => "/",
        path => path,
    }
}
