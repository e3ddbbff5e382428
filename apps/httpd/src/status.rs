//! Status codes (RFC 9110, section 15).

/// A status that this server answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// Here it is.
    Ok = 200,
    /// Here is the part that was asked for.
    PartialContent = 206,
    /// It is elsewhere.
    MovedPermanently = 301,
    /// The client has it already.
    NotModified = 304,
    /// This is no request.
    BadRequest = 400,
    /// There is such a file, but not for this server.
    Forbidden = 403,
    /// There is no such file.
    NotFound = 404,
    /// Files are not changed here.
    MethodNotAllowed = 405,
    /// The request did not come in time.
    RequestTimeout = 408,
    /// A body of unknown length is not read.
    LengthRequired = 411,
    /// Nor is one so large.
    ContentTooLarge = 413,
    /// The target is too long.
    UriTooLong = 414,
    /// The file has no such part.
    RangeNotSatisfiable = 416,
    /// The head is too long.
    HeaderFieldsTooLarge = 431,
    /// The file cannot be read.
    InternalError = 500,
    /// That is not HTTP/1.
    VersionNotSupported = 505,
}

impl Status {
    /// The number.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// Its name.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::PartialContent => "Partial Content",
            Self::MovedPermanently => "Moved Permanently",
            Self::NotModified => "Not Modified",
            Self::BadRequest => "Bad Request",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RequestTimeout => "Request Timeout",
            Self::LengthRequired => "Length Required",
            Self::ContentTooLarge => "Content Too Large",
            Self::UriTooLong => "URI Too Long",
            Self::RangeNotSatisfiable => "Range Not Satisfiable",
            Self::HeaderFieldsTooLarge => "Request Header Fields Too Large",
            Self::InternalError => "Internal Server Error",
            Self::VersionNotSupported => "HTTP Version Not Supported",
        }
    }
}
