//! A node that runs while a test asks it.

use std::thread;
use std::time::{Duration, Instant};

use super::client::Client;
use crate::kernel::Profile;
use crate::test::case::{Failure, Verdict};
use crate::test::suite::{Given, Suite};
use crate::vm::network::{Backend, Forward, Mac, Network, Nic, Protocol, free_port};
use crate::vm::{Config, End, Outcome, Stop};

/// The port of the diagnostics in the guest, if there are any.
pub const DIAGNOSTICS: u16 = 9100;
/// The program's port in the guest.
pub const ECHO: u16 = 7;
pub const HOST_NAME: &str = "node-to-ask";
pub const CPUS: u32 = 2;

/// How long it may take to boot, and how long it may run. An emulated CPU on a busy machine
/// is slow.
const BOOTING: Duration = Duration::from_secs(90);
const RUNNING: Duration = Duration::from_secs(240);

/// A node that runs `echo serve`.
pub struct Node {
    diagnostics: Option<u16>,
}

impl Node {
    /// One with diagnostics.
    pub fn new() -> Self {
        Self {
            diagnostics: Some(DIAGNOSTICS),
        }
    }

    /// One without.
    pub fn without_diagnostics() -> Self {
        Self { diagnostics: None }
    }

    /// Has `test` ask it once its program serves, then ends it.
    pub fn run(self, suite: &Suite, test: impl FnOnce(&Client) -> Result<(), String>) -> Verdict {
        let program = suite.program("echo", Profile::Release)?;
        let client = Client {
            diagnostics: free_port()?,
            echo: free_port()?,
        };
        let config = Config {
            cpus: CPUS,
            timeout: Some(RUNNING),
            network: self.network(&client),
            ..Config::default()
        };
        let args = ["serve".to_owned(), format!("0.0.0.0:{ECHO}")];
        let given = Given {
            args: &args,
            ..Given::default()
        };
        let stop = Stop::default();
        let name = format!("diagnostics-{}", client.diagnostics.port());
        let (outcome, tested) = thread::scope(|scope| {
            let node = scope.spawn(|| {
                let ended = suite.boot_unless(&stop, &name, &program, &config, given);
                stop.ask();
                ended
            });
            let tested = serves(&client, &stop).and_then(|()| test(&client));
            stop.ask();
            (node.join(), tested)
        });
        let outcome = outcome.map_err(|_| "the thread of the VM panicked")??;
        judge(outcome, tested)
    }

    fn network(&self, client: &Client) -> Network {
        let forward = |host, guest| Forward {
            protocol: Protocol::Tcp,
            host,
            guest,
        };
        let forwards = vec![
            forward(client.diagnostics, DIAGNOSTICS),
            forward(client.echo, ECHO),
        ];
        Network {
            nics: vec![Nic {
                backend: Backend::User(forwards),
                mac: Mac::of(0, 0),
                ip: None,
                ip6: None,
                mtu: None,
                pcap: None,
            }],
            dns: Vec::new(),
            hostname: Some(HOST_NAME.into()),
            diagnostics: self.diagnostics,
            membership: None,
        }
    }
}

/// Until the program echoes, its port leads nowhere: the router takes connections, and
/// breaks them off.
fn serves(client: &Client, stop: &Stop) -> Result<(), String> {
    let begin = Instant::now();
    loop {
        let Err(error) = client.echo(b"?") else {
            return Ok(());
        };
        if begin.elapsed() > BOOTING || stop.is_asked() {
            return Err(format!("the program does not serve: {error}"));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// It runs until it is stopped, without a word.
fn judge(outcome: Outcome, tested: Result<(), String>) -> Verdict {
    let is_well = outcome.end == End::Stopped && outcome.stderr.is_empty();
    let reason = match (tested, is_well) {
        (Ok(()), true) => return Ok(()),
        (Ok(()), false) => format!(
            "found the end {:?}, and on standard error: {}",
            outcome.end,
            String::from_utf8_lossy(&outcome.stderr)
        ),
        (Err(reason), _) => reason,
    };
    Err(Failure {
        reason,
        outcome: Some(Box::new(outcome)),
    })
}
