//! Answers.

use alloc::string::String;
use core::fmt::Write;

use super::head::{Method, Refusal, Wanted};
use super::route::{Content, Route};
use crate::source::{NoMemory, Source};

/// An answer, as the bytes that are to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    head: String,
    content: Content,
    sent: usize,
}

/// A status code, with what is said of it.
type Status = (u16, &'static str);

const OK: Status = (200, "OK");
const UNAVAILABLE: Status = (503, "Service Unavailable");

impl Refusal {
    fn status(self) -> Status {
        match self {
            Self::Malformed => (400, "Bad Request"),
            Self::NotFound => (404, "Not Found"),
            Self::MethodNotAllowed => (405, "Method Not Allowed"),
            Self::TooSlow => (408, "Request Timeout"),
            Self::TooLarge => (431, "Request Header Fields Too Large"),
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "That is no request of HTTP/1.1.\n",
            Self::NotFound => {
                "There is nothing by that name. There are /, /api/report.json, /api/node.json, \
                 /api/threads.json, /api/cpus.json, /api/memory.json, /api/network.json, \
                 /metrics and /healthz.\n"
            }
            Self::MethodNotAllowed => "All that can be done here is GET and HEAD.\n",
            Self::TooSlow => "The request did not come in time.\n",
            Self::TooLarge => "The request's head is too long.\n",
        }
    }

    /// A header field that the answer has besides.
    fn field(self) -> &'static str {
        match self {
            Self::MethodNotAllowed => "Allow: GET, HEAD\r\n",
            _ => "",
        }
    }
}

impl Response {
    /// To a request that was understood.
    ///
    /// # Errors
    /// When there is no memory even to say that there is none.
    pub fn to(wanted: Wanted, source: &(impl Source + ?Sized)) -> Result<Self, NoMemory> {
        let Wanted { route, method } = wanted;
        match route.content(source) {
            Ok(content) => Self::new(OK, route.content_type(), extra(route), content, method),
            Err(NoMemory) => {
                const REASON: &[u8] = b"There is no memory for the answer; ask again later.\n";
                let content = Content::Fixed(REASON);
                Self::new(UNAVAILABLE, PLAIN, "Retry-After: 5\r\n", content, method)
            }
        }
    }

    /// To one that was not.
    ///
    /// # Errors
    /// When there is no memory to say so.
    pub fn refusing(refusal: Refusal) -> Result<Self, NoMemory> {
        let content = Content::Fixed(refusal.reason().as_bytes());
        // What is asked by HEAD and does not exist has no content to be left out: this is.
        Self::new(
            refusal.status(),
            PLAIN,
            refusal.field(),
            content,
            Method::Get,
        )
    }

    fn new(
        (status, phrase): Status,
        content_type: &str,
        fields: &str,
        content: Content,
        method: Method,
    ) -> Result<Self, NoMemory> {
        const MOST: usize = 1024;
        let mut head = String::new();
        head.try_reserve_exact(MOST)?;
        let length = content.bytes().len();
        let written = write!(
            head,
            "HTTP/1.1 {status} {phrase}\r\n\
             Content-Type: {content_type}\r\n\
             Content-Length: {length}\r\n\
             Cache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n\
             {fields}\
             Connection: close\r\n\
             \r\n"
        );
        debug_assert!(
            written.is_ok() && head.len() <= MOST,
            "strings take what they are given"
        );
        let content = match method {
            Method::Get => content,
            Method::Head => Content::Fixed(b""),
        };
        Ok(Self {
            head,
            content,
            sent: 0,
        })
    }

    /// What is to be sent next; empty: all has been sent.
    pub fn rest(&self) -> &[u8] {
        match self.head.as_bytes().get(self.sent..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => {
                let content = self.content.bytes();
                &content[(self.sent - self.head.len()).min(content.len())..]
            }
        }
    }

    /// So many more bytes were sent.
    pub fn advance(&mut self, count: usize) {
        let all = self.head.len() + self.content.bytes().len();
        self.sent = self.sent.saturating_add(count).min(all);
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// Header fields of what is there.
fn extra(route: Route) -> &'static str {
    match route {
        // It has its style and its script in it, and asks nobody but this node.
        Route::Page => {
            "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
             script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'\r\n"
        }
        _ => "",
    }
}
