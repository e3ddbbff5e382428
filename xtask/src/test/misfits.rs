//! Two machines that cannot be of one cluster: both say why, and neither runs the program.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use darner_switch::{Core, Plan, PortId, Server};

use super::case::{Case, Verdict};
use super::suite::Suite;
use crate::kernel::Profile;
use crate::vm::network::{Addressing, Backend, Key, Mac, Membership, Network, Nic, Static};
use crate::vm::{self, Config, Guest, Output, Stop, Streams};

/// How long both may take to find out.
const PATIENCE: Duration = Duration::from_secs(60);

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("system/misfits/key", |suite| {
            let key = Key::random()?;
            let nodes = [Node::new(key), Node::new(Key::random()?)];
            refuse_each_other(suite, "key", nodes, "wrong key: ")
        }),
        Case::new("system/misfits/image", |suite| {
            let key = Key::random()?;
            let mut other = Node::new(key.clone());
            other.program = "wordcount";
            refuse_each_other(suite, "image", [Node::new(key), other], "wrong image: ")
        }),
        Case::new("system/misfits/features", |suite| {
            let key = Key::random()?;
            let mut other = Node::new(key.clone());
            other.cpu_model = "max,-bmi2";
            let nodes = [Node::new(key), other];
            refuse_each_other(suite, "features", nodes, "CPU features differ: ")
        }),
    ]
}

/// One of the machines.
struct Node {
    key: Key,
    program: &'static str,
    cpu_model: &'static str,
}

impl Node {
    fn new(key: Key) -> Self {
        Self {
            key,
            program: "mandelbrot",
            cpu_model: "max",
        }
    }
}

/// What one of them has said so far.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn network(node: u16, key: &Key, switch: &Server) -> Network {
    let address = |node: u16| Ipv4Addr::new(10, 77, 0, node as u8 + 1);
    let nic = Nic {
        backend: Backend::Switch(switch.path(PortId(node)).to_owned()),
        mac: Mac::of(node, 0),
        ip: Some(Addressing::Static(Static {
            address: address(node),
            prefix: 24,
            gateway: None,
        })),
        ip6: None,
        mtu: None,
        pcap: None,
    };
    Network {
        nics: vec![nic],
        membership: Some(Membership {
            node,
            addresses: [0, 1].map(|node| address(node).into()).into(),
            key: key.clone(),
            founders: 2,
            silence: 20,
            cipher: None,
        }),
        ..Network::default()
    }
}

/// Boots both, and waits until both have said that; then neither may have printed anything as a
/// program.
fn refuse_each_other(suite: &Suite, name: &str, nodes: [Node; 2], text: &str) -> Verdict {
    let folder = vm::private_folder()?;
    let switch = Server::start(folder.path(), 2, Core::new(Plan::none(2), 1), None)?;
    let (stop, said) = (Stop::default(), [Said::default(), Said::default()]);
    let mut machines = Vec::new();
    for (number, node) in (0..).zip(&nodes) {
        let program = suite.program(node.program, Profile::Release)?;
        let initrd = suite.path(&format!("misfit-{name}-{number}.tar"));
        suite.set.initrd(&initrd, &program, &[])?;
        let config = Config {
            cpu_model: node.cpu_model.into(),
            network: network(number, &node.key, &switch),
            timeout: Some(PATIENCE),
            entropy: true,
            ..Config::default()
        };
        let guest = Guest {
            loader: suite.set.loader.clone(),
            initrd,
            name: program.name.clone(),
            log: None,
            env: Vec::new(),
            args: Vec::new(),
        };
        machines.push((config, guest));
    }
    let outcomes = std::thread::scope(|scope| {
        let running: Vec<_> = machines
            .iter()
            .zip(&said)
            .map(|((config, guest), said)| {
                let (stop, said) = (&stop, said.clone());
                scope.spawn(move || {
                    let streams = Streams {
                        stderr: Output::To(Box::new(said)),
                        ..Streams::kept([])
                    };
                    vm::run_unless(stop, &suite.set.qemu, config, guest, streams)
                })
            })
            .collect();
        let begin = Instant::now();
        let is_said = || said.iter().all(|said| said.text().contains(text));
        let is_over = || running.iter().all(|machine| machine.is_finished());
        while !is_said() && !is_over() && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.ask();
        let ended = running.into_iter().map(|machine| machine.join());
        ended.collect::<Vec<_>>()
    });
    for (outcome, said) in outcomes.into_iter().zip(&said) {
        let outcome = outcome.map_err(|_| "a machine's thread has panicked")??;
        if !said.text().contains(text) || !outcome.stdout.is_empty() {
            Err(format!(
                "expected `{text}` and nothing of the program, found {:?}, {:?}:\n{}\n{}",
                outcome.end,
                outcome.report.death,
                said.text(),
                String::from_utf8_lossy(&outcome.stdout)
            ))?;
        }
    }
    switch.stop();
    Ok(())
}
