//! The other end of what is measured: `netbench`, a process of the host.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::command;
use crate::error::{Error, Result};

/// The measuring process.
pub struct Peer {
    /// Its program.
    pub program: PathBuf,
}

impl Peer {
    /// Measures once and gives this number of what it found.
    fn number(&self, args: &[&str], name: &str) -> Result<f64> {
        let mut command = Command::new(&self.program);
        let said = command::output(command.args(args).arg("--json"))?;
        let found: Option<f64> = serde_json::from_str(&said)
            .ok()
            .and_then(|said: Value| said.get(name)?.as_f64());
        match found {
            Some(number) if number > 0.0 => Ok(number),
            _ => Err(Error::failed(format!(
                "found `{}`, expected a number `{name}` above 0, of `{}`",
                said.trim(),
                command::shown(&command)
            ))),
        }
    }

    /// Bits a second, in millions, of a stream, which is `send` or `receive`d by this end.
    pub fn tcp(&self, host: &str, direction: &str, seconds: &str) -> Result<f64> {
        let words = ["tcp-throughput", host, "--direction", direction];
        self.number(
            &[&words[..], &["--seconds", seconds]].concat(),
            "mbit_per_s",
        )
    }

    /// Microseconds of the server's clock in which it was busy with so many bytes.
    pub fn busy(&self, host: &str, direction: &str, bytes: u64) -> Result<f64> {
        let words = ["tcp-throughput", host, "--direction", direction];
        let bytes = bytes.to_string();
        self.number(
            &[&words[..], &["--bytes", &bytes]].concat(),
            "server_busy_us",
        )
    }

    /// Microseconds until a byte is back, the median of so many.
    pub fn tcp_rtt(&self, host: &str, count: &str) -> Result<f64> {
        self.number(
            &["tcp-rtt", host, "--bytes", "1", "--count", count],
            "median_us",
        )
    }

    /// Datagrams a second that arrive, `send`t or `receive`d by this end.
    pub fn udp(&self, host: &str, direction: &str, seconds: &str) -> Result<f64> {
        let name = match direction {
            "send" => "pps",
            _ => "back_pps",
        };
        let words = ["udp-pps", host, "--direction", direction];
        self.number(&[&words[..], &["--seconds", seconds]].concat(), name)
    }

    /// Requests a second that are answered.
    pub fn http(&self, place: &str, connections: &str, seconds: &str) -> Result<f64> {
        let words = ["http-rps", place, "--connections", connections];
        self.number(&[&words[..], &["--seconds", seconds]].concat(), "rps")
    }
}
