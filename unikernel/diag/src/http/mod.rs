//! HTTP/1.1 (RFC 9112), as much as a reader of reports needs: GET and HEAD, one request for
//! each connection.

mod exchange;
mod head;
mod response;
mod route;

pub use exchange::{Exchange, LIMIT, Need};
pub use head::MOST_HEAD;
pub use response::Response;
pub use route::Route;
