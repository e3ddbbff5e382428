//! Finds what a request asks for.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

use httpdate::HttpDate;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::builtin;
use crate::content_type;
use crate::head::{Head, Method};
use crate::listing;
use crate::range::{self, Part};
use crate::response::{Body, Response};
use crate::status::Status;
use crate::target::{self, Form, Target};

/// The file that stands for its folder.
const INDEX: &str = "index.html";

/// Answers a request with what is in this folder; without one, with the built-in page.
pub fn answer(folder: Option<&Path>, head: &Head) -> Response {
    if head.method == Method::Other {
        return Response::of_status(Status::MethodNotAllowed).field("Allow", "GET, HEAD");
    }
    let found = target::parse(&head.target).and_then(|target| match folder {
        Some(folder) => find(folder, &target, head).map_err(|error| status_of(&error)),
        None if target.path.iter().next().is_none() => Ok(Response::page(builtin::render())),
        None => Err(Status::NotFound),
    });
    found.unwrap_or_else(Response::of_status)
}

fn status_of(error: &io::Error) -> Status {
    match error.kind() {
        // A file has nothing below it; a name that no file system takes names nothing.
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename => Status::NotFound,
        ErrorKind::PermissionDenied => Status::Forbidden,
        _ => Status::InternalError,
    }
}

fn find(folder: &Path, target: &Target, head: &Head) -> io::Result<Response> {
    let path = folder.join(&target.path);
    let metadata = fs::metadata(&path)?;
    match (metadata.is_dir(), target.form) {
        (true, Form::File) if target.path.iter().next().is_some() => Ok(with_slash(&target.path)),
        (true, _) => {
            let index = path.join(INDEX);
            match fs::metadata(&index) {
                Ok(metadata) if metadata.is_file() => send(&index, &metadata, head),
                _ => listing::render(&path, &target.path).map(Response::page),
            }
        }
        (false, Form::Folder) => Err(ErrorKind::NotFound.into()),
        // Opening a pipe or a device could wait for ever.
        (false, Form::File) if !metadata.is_file() => Err(ErrorKind::PermissionDenied.into()),
        (false, Form::File) => send(&path, &metadata, head),
    }
}

/// Sends the client to the folder's proper name, so that links in its page are right. Made of
/// the path alone: what else the target has could lead to another server.
fn with_slash(path: &Path) -> Response {
    let names = path.iter().filter_map(|name| name.to_str());
    let location: String = names
        .flat_map(|name| {
            [
                "/".to_owned(),
                utf8_percent_encode(name, NON_ALPHANUMERIC).to_string(),
            ]
        })
        .collect();
    Response::of_status(Status::MovedPermanently).field("Location", location + "/")
}

fn send(path: &Path, metadata: &Metadata, head: &Head) -> io::Result<Response> {
    // Not every file system knows.
    let modified = metadata.modified().ok().map(HttpDate::from);
    let file = File::open(path)?;
    let response = Response {
        status: Status::Ok,
        content_type: content_type::of(path),
        fields: Vec::new(),
        body: Body::File(file, 0..metadata.len()),
    };
    let response = match modified {
        Some(date) => response.field("Last-Modified", date.to_string()),
        None => response,
    };
    if is_fresh(head, modified) {
        return Ok(Response {
            status: Status::NotModified,
            body: Body::None,
            ..response
        });
    }
    Ok(part_of(response, head, modified).field("Accept-Ranges", "bytes"))
}

/// Whether the client has the file already.
fn is_fresh(head: &Head, modified: Option<HttpDate>) -> bool {
    let known = head.if_modified_since.as_ref();
    let known = known.and_then(|date| date.parse::<HttpDate>().ok());
    matches!((modified, known), (Some(modified), Some(known)) if modified <= known)
}

/// The part of a whole file that the request asks for.
fn part_of(response: Response, head: &Head, modified: Option<HttpDate>) -> Response {
    // Who has a part of another version needs all of this one.
    let is_same = match &head.if_range {
        Some(version) => modified.is_some_and(|date| *version == date.to_string()),
        None => true,
    };
    let asked = head
        .range
        .as_deref()
        .filter(|_| is_same && head.method == Method::Get);
    let length = response.length();
    match (
        asked.map(|range| range::parse(range, length)),
        response.body,
    ) {
        (Some(Part::Bytes(range)), Body::File(file, _)) => {
            let shown = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            Response {
                status: Status::PartialContent,
                body: Body::File(file, range),
                ..response
            }
            .field("Content-Range", shown)
        }
        (Some(Part::Unsatisfiable), _) => Response::of_status(Status::RangeNotSatisfiable)
            .field("Content-Range", format!("bytes */{length}")),
        (_, body) => Response { body, ..response },
    }
}
