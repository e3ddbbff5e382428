//! `xtask cluster`: one program in several virtual machines on one switch.
//!
//! Node `i` is called `n<i>` and has the `i + 1`-th address of the subnet. They are one system: the
//! program begins on node 0, and its threads run on all of them, in one memory. Standard input,
//! output and the exit status are the program's, as with `run`. A machine that dies does not end it: the others
//! go on, or end with a report if anything of the program was there. With `--join-after`, the last node
//! comes when the program runs already. With `--drain` one leaves before the program
//! ends, and nothing is lost.
//!
//! With `--separate` there are as many programs. Each learns of the others from its environment:
//! `DARNER_NODE` is its own number, `DARNER_NODES` how many there are, `DARNER_ADDRESSES` all
//! addresses in order, with commas between them. Standard input goes to node 0.
//! The exit status is 0 when all nodes end with 0, else that of the node that failed
//! first in time; the statuses are those of `run` ([`verdict`] has the rules).

mod counted;
pub mod kill;
mod machines;
mod mark;
pub mod options;
mod output;
mod subnet;
mod top;
mod verdict;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Instant;

use counted::Counted;
use darner_switch::{Broken, Capture, Core, Counters, Event, PortId, Server};
use machines::{Machines, Signal};
use mark::{Mark, Watched};
use options::Options;
use output::{Lines, Log, To};
use top::Top;
use verdict::{How, Reports, Then, Verdict};

use crate::app::App;
use crate::build_set::{BuildSet, Program};
use crate::error::{Context, Error, Result};
use crate::run::Explanation;
use crate::trace;
use crate::vm::network::{Addressing, Backend, Key, Mac, Membership, Network, Nic, check_free};
use crate::vm::{self, Config, End, Guest, Input, Outcome, Output, Streams};
use crate::workspace;

/// Does what the command line after `cluster` says; gives the status to exit with.
pub fn run(parser: lexopt::Parser) -> Result<u8> {
    let options = Options::parse(parser)?;
    if options.top {
        top::check()?;
    }
    // A mistyped name, a port in use, a file that cannot be written cost no build.
    let app = App::find(&workspace::root()?, &options.common.app)?;
    let networks = (0..options.nodes)
        .map(|node| options.common.network.clone().finish(node))
        .collect::<Result<Vec<_>>>()?;
    check_free(networks.iter().flat_map(Network::forwards))?;
    let key = options.key.clone().map_or_else(Key::random, Ok)?;
    let logs = LogFolder::make(options.log_dir.as_deref())?;
    let capture = capture(&options)?;

    let set = BuildSet::ready()?;
    let program = set.program(&app, options.common.profile)?;
    let folder = vm::private_folder()?;
    let initrd = folder.path().join("initrd.tar");
    set.initrd(&initrd, &program, &options.common.shares)?;
    let core = Core::held_back(options.plan.clone(), options.seed);
    let switch = Server::start(folder.path(), options.nodes.into(), core, capture)
        .context(|| "start the switch".into())?;
    let top = match options.top {
        true => Some(Top::open(&program.name, &program.elf, options.nodes)?),
        false => None,
    };
    let mut cluster = Cluster {
        options: &options,
        top,
        set: &set,
        program: &program,
        initrd: &initrd,
        folder: folder.path(),
        machines: Machines::new(options.nodes),
        key,
    };
    let ended = cluster.run(networks, &switch, logs.path());
    // What is said from here on is said on the terminal itself.
    cluster.top = None;
    let (status, counted) = ended?;
    let events: Vec<Event> = switch.events().collect();
    let counters = switch.stop();
    tell(&events, counters.filter(|_| options.common.verbose));
    counted::tell(&counted, options.stats_json.as_deref())?;
    if let Some(out) = &options.trace {
        cluster.write_trace(out)?;
    }
    if status != 0 {
        eprintln!("xtask: what each node said: {}", logs.keep().display());
    }
    Ok(status)
}

fn capture(options: &Options) -> Result<Option<Capture>> {
    let Some(path) = &options.pcap else {
        return Ok(None);
    };
    match Capture::create(path, options.nodes.into()) {
        Ok(capture) => Ok(Some(capture)),
        Err(error) => Err(Error::usage(format!(
            "--pcap: cannot write {}: {error}",
            path.display()
        ))),
    }
}

/// Where the log files are.
enum LogFolder {
    /// Where the user wants them.
    Chosen(PathBuf),
    /// Where they are gone at the end, unless they are of use.
    Passing(tempfile::TempDir),
}

impl LogFolder {
    fn make(chosen: Option<&Path>) -> Result<Self> {
        match chosen {
            Some(path) => {
                std::fs::create_dir_all(path).map_err(|error| {
                    Error::usage(format!(
                        "--log-dir: cannot make {}: {error}",
                        path.display()
                    ))
                })?;
                Ok(Self::Chosen(path.to_path_buf()))
            }
            None => tempfile::Builder::new()
                .prefix("darner-cluster-")
                .tempdir()
                .context(|| "make a temporary folder".into())
                .map(Self::Passing),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Chosen(path) => path,
            Self::Passing(folder) => folder.path(),
        }
    }

    fn keep(self) -> PathBuf {
        match self {
            Self::Chosen(path) => path,
            Self::Passing(folder) => folder.keep(),
        }
    }
}

/// How a node came to its end.
type Ended = (u16, Result<Outcome>);

/// What all nodes share.
struct Cluster<'a> {
    options: &'a Options,
    set: &'a BuildSet,
    program: &'a Program,
    initrd: &'a Path,
    /// For what is of use only while it runs.
    folder: &'a Path,
    machines: Machines,
    key: Key,
    /// The screen, where there is one.
    top: Option<Top>,
}

impl Cluster<'_> {
    /// Runs all nodes to their ends; gives the status of it all, and what they counted.
    fn run(&self, networks: Vec<Network>, switch: &Server, logs: &Path) -> Result<(u8, Counted)> {
        let logs = (0..self.options.nodes)
            .map(|node| Log::create(logs, node))
            .collect::<Result<Vec<_>>>()?;
        let (sender, ends) = mpsc::channel();
        let (signals, signalled) = mpsc::channel();
        let after = self.options.after.as_deref();
        let mark = after.map(|text| Mark::new(text, &signals, Signal::Begin));
        std::thread::scope(|scope| {
            for ((node, network), log) in (0..).zip(networks).zip(&logs) {
                let (sender, socket) = (sender.clone(), switch.path(PortId(node)).to_owned());
                let mark = mark.clone();
                scope.spawn(move || {
                    let end = self.node(node, network, socket, log, mark);
                    // Whoever waits for it has given up on all nodes otherwise.
                    let _ = sender.send((node, end));
                });
            }
            drop(sender);
            if mark.is_none() {
                send(&signals, Signal::Begin);
            }
            let logs = &logs;
            let status = scope.spawn(move || {
                let status = self.wait(&ends, logs);
                send(&signals, Signal::Over);
                status
            });
            let kills = &self.options.kills;
            self.machines.kill_in_time(kills, &signalled, switch);
            status.join().unwrap_or_else(|_| {
                Err(Error::failed(
                    "the thread that waits for the nodes panicked",
                ))
            })
        })
    }

    /// One node, from its start to its end.
    fn node(
        &self,
        node: u16,
        network: Network,
        socket: PathBuf,
        log: &Log,
        mark: Option<Mark>,
    ) -> Result<Outcome> {
        let common = &self.options.common;
        if node + 1 == self.options.nodes
            && let Some(delay) = self.options.join_after
        {
            self.machines.stop_of(node).wait_for(delay);
        }
        let config = Config {
            network: self.plugged(node, network, socket),
            trace: self.options.trace.as_ref().map(|_| self.trace_of(node)),
            ..common.config.clone()
        };
        let is_one = self.options.is_one_system();
        let mut env = match is_one {
            true => Vec::new(),
            false => self.environment(node),
        };
        env.extend(common.env.iter().cloned());
        let guest = Guest {
            loader: self.set.loader.clone(),
            initrd: self.initrd.to_path_buf(),
            name: self.program.name.clone(),
            log: common.log.clone(),
            env,
            args: common.args.clone(),
        };
        let lines = |to| Lines::new(node, to, log, mark.as_ref());
        let (boot_log, boot_mark) = (log.clone(), mark.clone());
        let streams = Streams {
            input: match node {
                // A terminal's keys are the screen's.
                0 if self.top.is_some() && std::io::stdin().is_terminal() => {
                    Input::Bytes(Vec::new())
                }
                0 => Input::Stdin,
                _ if is_one => self
                    .machines
                    .orders_of(node)
                    .context(|| format!("make a pipe to n{node}"))?,
                _ => Input::Bytes(Vec::new()),
            },
            stdout: match (is_one, &mark) {
                (true, None) => Output::Stdout,
                (true, Some(mark)) => {
                    Output::To(Box::new(Watched::new(std::io::stdout(), mark.clone())))
                }
                (false, _) => Output::To(Box::new(lines(To::Stdout))),
            },
            stderr: Output::To(Box::new(lines(To::Stderr))),
            samples: self.top.as_ref().map(|top| top.samples_of(node)),
            boot_line: Some(Box::new(move |line| {
                Lines::new(node, To::Stderr, &boot_log, boot_mark.as_ref()).print(line);
            })),
            verbose: common.verbose,
        };
        let stop = self.machines.stop_of(node);
        vm::run_unless(stop, &self.set.qemu, &config, &guest, streams)
    }

    /// Where a node's trace is, as its kernel writes it.
    fn trace_of(&self, node: u16) -> PathBuf {
        self.folder.join(format!("trace{node}"))
    }

    /// Writes one trace of all nodes. One that was ended from outside has left none.
    fn write_trace(&self, out: &Path) -> Result<()> {
        let dumps: Vec<(u16, PathBuf)> = (0..self.options.nodes)
            .map(|node| (node, self.trace_of(node)))
            .filter(|(node, raw)| {
                let is_there = raw.metadata().is_ok_and(|dump| dump.len() > 0);
                if !is_there {
                    eprintln!("xtask: --trace: n{node} has left none: it was ended from outside");
                }
                is_there
            })
            .collect();
        let dumps: Vec<(u16, &Path)> = dumps
            .iter()
            .map(|(node, raw)| (*node, raw.as_path()))
            .collect();
        trace::convert(&dumps, out)
    }

    /// The network with the card on the switch, which is the first.
    fn plugged(&self, node: u16, mut network: Network, socket: PathBuf) -> Network {
        let first = Nic {
            backend: Backend::Switch(socket),
            mac: Mac::of(node, 0),
            ip: Some(Addressing::Static(self.options.subnet.of_node(node))),
            ip6: self.options.ip6,
            mtu: self.options.mtu,
            pcap: None,
        };
        network.nics.insert(0, first);
        network.hostname = Some(format!("n{node}"));
        network.membership = self.options.is_one_system().then(|| Membership {
            node,
            key: self.key.clone(),
            addresses: (0..self.options.nodes)
                .map(|node| self.options.subnet.of_node(node).address.into())
                .collect(),
            founders: self.options.nodes - u16::from(self.options.join_after.is_some()),
            silence: self.options.silence,
            cipher: self.options.cipher,
        });
        network
    }

    /// What the program learns of the cluster.
    fn environment(&self, node: u16) -> Vec<String> {
        let Options { nodes, subnet, .. } = self.options;
        let addresses: Vec<String> = (0..*nodes)
            .map(|node| subnet.of_node(node).address.to_string())
            .collect();
        vec![
            format!("DARNER_NODE={node}"),
            format!("DARNER_NODES={nodes}"),
            format!("DARNER_ADDRESSES={}", addresses.join(",")),
        ]
    }

    /// Waits until all have ended, and ends those that must not go on.
    fn wait(&self, ends: &Receiver<Ended>, logs: &[Log]) -> Result<(u8, Counted)> {
        let options = self.options;
        let reports = match options.trace.is_some() {
            true => Reports::Wanted,
            false => Reports::None,
        };
        let mut counted = Counted::new();
        let mut verdict = Verdict::new(options.kinship, options.policy, reports);
        let mut error = None;
        let mut deadline: Option<Instant> = None;
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let end = match left {
                Some(left) => ends.recv_timeout(left),
                None => ends.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let (node, mut outcome) = match end {
                Ok(end) => end,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.machines.stop_all();
                    deadline = None;
                    continue;
                }
            };
            if let Ok(outcome) = &mut outcome
                && options.is_one_system()
            {
                // What is told of the one system takes the place of what each machine tells of itself.
                outcome.report.stats = None;
                counted.append(&mut outcome.report.cluster);
            }
            match outcome.and_then(|outcome| self.explained(node, &outcome, &verdict, logs)) {
                Ok(how) => {
                    if let Then::EndIn(time) = verdict.take(node, how) {
                        deadline = Some(Instant::now() + time);
                    }
                }
                Err(reason) => {
                    error.get_or_insert(reason);
                    self.machines.stop_all();
                }
            }
        }
        match error {
            Some(error) => Err(error),
            None => Ok((verdict.status(), counted)),
        }
    }

    /// Says how a node has ended.
    fn explained(
        &self,
        node: u16,
        outcome: &Outcome,
        verdict: &Verdict,
        logs: &[Log],
    ) -> Result<How> {
        let is_one = self.options.is_one_system();
        let Explanation { mut text, status } = Explanation::of(self.set, self.program, outcome)?;
        let died = outcome.report.death.is_some();
        let how = match &outcome.end {
            End::Stopped if self.machines.is_killed(node) => How::Killed,
            End::Stopped => How::Stopped,
            // Where QEMU itself has failed, there was never a machine to go on without.
            End::Died { status, .. } if status.code().is_none_or(|code| code == 0) => How::Gone,
            End::Died { .. } | End::TimedOut(_) | End::Exited(_) => How::Exited(status),
        };
        match (how, &outcome.end, verdict.failed()) {
            (How::Killed, ..) => text = "xtask: killed (--kill)\n".into(),
            // It may be what the program has ended of: the others were told before it could end itself.
            (How::Stopped, ..) if died => {
                let mut outcome = outcome.clone();
                outcome.end = End::Exited(0);
                text = Explanation::of(self.set, self.program, &outcome)?.text;
            }
            (How::Stopped, _, Some(failed)) => {
                text = format!("xtask: ended, because n{failed} has failed");
                text += match is_one {
                    true => "\n",
                    false => " (--keep-going)\n",
                };
            }
            // The program has ended, and with it all of the system.
            (How::Stopped, _, None) if is_one => text.clear(),
            // The others say nothing of a status that is not the command's.
            (_, End::Exited(1..), _) => text += &format!("xtask: exit status {status}\n"),
            _ => {}
        }
        if outcome.report.is_drained {
            text += &format!("xtask: node {node} has been drained\n");
        }
        Lines::new(node, To::Stderr, &logs[usize::from(node)], None).print(&text);
        Ok(how)
    }
}

/// Tells the one who kills machines, who listens until all is over.
fn send(signals: &Sender<Signal>, signal: Signal) {
    let _ = signals.send(signal);
}

/// Says what there is to say of the switch.
fn tell(events: &[Event], counters: Option<Counters>) {
    for event in events {
        match event {
            Event::CaptureFailed(error) => eprintln!("xtask: --pcap: cannot go on: {error}"),
            Event::Unplugged(port, Broken::NotFrames(length)) => {
                eprintln!("xtask: the switch cut {port} off: it claimed a frame of {length} bytes")
            }
            Event::Unplugged(port, Broken::Failed(kind)) => {
                eprintln!("xtask: the switch lost {port}: {kind}");
            }
            Event::Plugged(_) | Event::Unplugged(_, Broken::Ended) => {}
        }
    }
    for (port, of_port) in counters.iter().flat_map(|all| (0..).zip(&all.ports)) {
        let (came, went) = (&of_port.ingress, &of_port.egress);
        eprintln!(
            "xtask: switch: n{port} sent {} frames ({} lost, {} twice, {} overtaken, {} corrupted, \
             {} reset, {} malformed), got {} ({} overflowed, {} discarded)",
            came.received,
            came.lost,
            came.duplicated,
            came.reordered,
            came.corrupted,
            came.reset,
            came.malformed,
            went.sent,
            went.overflowed,
            went.discarded,
        );
    }
}
