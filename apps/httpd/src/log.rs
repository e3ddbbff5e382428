//! The request log, in the common log format.

use std::io::Write;
use std::net::IpAddr;
use std::time::SystemTime;

use httpdate::HttpDate;

use crate::status::Status;

/// Writes a line: who asked, when, for what (already printable), and what it got.
pub fn write(peer: IpAddr, line: &str, status: Status, bytes: u64) {
    let text = entry(peer, SystemTime::now(), line, status, bytes);
    // Nobody may read the log any more; that is no reason not to serve.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn entry(peer: IpAddr, now: SystemTime, line: &str, status: Status, bytes: u64) -> String {
    let (date, code) = (date(now), status.code());
    format!("{peer} - - [{date}] \"{line}\" {code} {bytes}\n")
}

/// The time as the log has it, out of HTTP's: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(now: SystemTime) -> String {
    let text = HttpDate::from(now).to_string();
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        [_, day, month, year, time, _] => format!("{day}/{month}/{year}:{time} +0000"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_is_to_the_letter() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let peer = "192.0.2.7".parse().unwrap();
        assert_eq!(
            entry(peer, now, "GET / HTTP/1.1", Status::NotFound, 12),
            "192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] \"GET / HTTP/1.1\" 404 12\n"
        );
    }
}
