//! An answer, and its head as bytes.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::time::SystemTime;

use httpdate::HttpDate;

use crate::content_type;
use crate::head::After;
use crate::html::page;
use crate::status::Status;

/// What follows the head.
#[derive(Debug)]
pub enum Body {
    /// Nothing, and no length either: the status says that there is none.
    None,
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes of a file.
    File(File, Range<u64>),
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: Status,
    /// The type of its body.
    pub content_type: &'static str,
    /// More header fields.
    pub fields: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Body,
}

impl Response {
    /// A page.
    pub fn page(html: String) -> Self {
        Self {
            status: Status::Ok,
            content_type: content_type::HTML,
            fields: Vec::new(),
            body: Body::Bytes(html.into_bytes()),
        }
    }

    /// A status, with a page for people.
    pub fn of_status(status: Status) -> Self {
        let title = format!("{} {}", status.code(), status.reason());
        Self {
            status,
            ..Self::page(page(&title, ""))
        }
    }

    /// With one more header field.
    pub fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Bytes of the body.
    pub fn length(&self) -> u64 {
        match &self.body {
            Body::None => 0,
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File(_, range) => range.end - range.start,
        }
    }

    /// Appends the head.
    pub fn write_head(&self, out: &mut Vec<u8>, after: After) {
        let (code, reason) = (self.status.code(), self.status.reason());
        let date = HttpDate::from(SystemTime::now());
        let connection = match after {
            After::KeepAlive => "keep-alive",
            After::Close => "close",
        };
        let mut text = format!(
            "HTTP/1.1 {code} {reason}\r\nDate: {date}\r\nServer: httpd (Darner)\r\nConnection: {connection}\r\n"
        );
        if !matches!(self.body, Body::None) {
            let (kind, length) = (self.content_type, self.length());
            text.push_str(&format!(
                "Content-Type: {kind}\r\nContent-Length: {length}\r\nX-Content-Type-Options: nosniff\r\n"
            ));
        }
        out.extend_from_slice(text.as_bytes());
        for (name, value) in &self.fields {
            // Writing to memory succeeds.
            let _ = write!(out, "{name}: {value}\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}
