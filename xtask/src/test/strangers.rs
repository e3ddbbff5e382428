//! Who connects to the port at which the nodes of a system are linked, and is none of them: is told
//! why where it has the key, is closed, and harms nobody.

use std::error::Error;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::process::{ChildStderr, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use darner_link::{
    Channel, ClusterKey, CpuFeatures, Identity, Limits, Link, Reason, Role, Seed, Session,
};

use super::case::{Case, Verdict};
use super::command_line::command;
use super::suite::Suite;
use crate::command::Guarded;
use crate::vm::network::free_port;

/// The port of the nodes.
const LINKS: u16 = 7_447;
/// How long anything may take that is to happen at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections that nothing is said on: more than a node keeps, which are 8.
const IDLE: usize = 12;
/// How soon those have to go that are too many: before the node loses its patience with all.
const SOON: Duration = Duration::from_secs(8);
/// Connections with garbage; as many as [`MORE`] says where that is set, for a long test.
const GARBAGE: u64 = 300;
const MORE: &str = "DARNER_STRANGERS";
/// Strangers at a time.
const AT_A_TIME: u64 = 4;

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![Case::new("system/strangers", |suite| {
        let more = std::env::var(MORE).ok();
        let count = more.map_or(Ok(GARBAGE), |count| count.parse());
        strangers(
            suite,
            count.map_err(|_| format!("{MORE}: expected a number"))?,
        )
    })]
}

/// A system of two nodes whose program reads its input to the end, and how to reach the first.
struct System {
    child: Guarded,
    stdin: ChildStdin,
    said: Arc<Mutex<String>>,
    port: u16,
    key: String,
}

impl System {
    fn start(suite: &Suite) -> Result<Self, Box<dyn Error>> {
        let key = "5a".repeat(32);
        let file = suite.path("strangers.key");
        fs::write(&file, &key)?;
        let file = file.display().to_string();
        let port = free_port()?.port();
        let forward = format!("{port}:{LINKS}");
        let words = [
            "cluster",
            "--nodes",
            "2",
            "--key",
            &file,
            "--timeout",
            "20000",
            "-v",
            "--net",
            "user",
            "-p",
            &forward,
            "std-tour",
            "--",
            "--stdin",
        ];
        let mut command = command(suite, &words)?;
        let mut child = Guarded::spawn(command.stdin(Stdio::piped()))?;
        let stdin = child.0.stdin.take().ok_or("found no standard input")?;
        let stderr = child.0.stderr.take().ok_or("found no standard error")?;
        let said = Arc::default();
        collect(stderr, Arc::clone(&said));
        Ok(Self {
            child,
            stdin,
            said,
            port,
            key,
        })
    }

    fn said(&self) -> String {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until somebody has said that.
    fn expect(&self, text: &str) -> Verdict {
        let begin = Instant::now();
        while !self.said().contains(text) {
            if begin.elapsed() > PATIENCE {
                Err(format!("expected `{text}`, found:\n{}", self.said()))?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Says who it is, as a node that comes later does; gives the reason why one of them does not
    /// want the other.
    fn refused(&self, me: Identity, key: &ClusterKey) -> Result<Reason, Box<dyn Error>> {
        let channel = Channel::Control;
        let role = Role::Calls { node: 0, channel };
        let mut stream = self.connect()?;
        let mut link = Box::new(Link::new(me, role, key, seed()?, 0));
        let mut bytes = [0; 4096];
        let peer = loop {
            stream.write_all(link.output())?;
            link.sent(link.output().len());
            let count = read(&mut stream, &mut bytes)?;
            match link.receive(&mut &bytes[..count], 0) {
                Ok(None) => {}
                Ok(Some(peer)) => break peer,
                Err(refusal) => {
                    // Whether the node still listens does not matter.
                    let _ = stream.write_all(link.output());
                    return Ok(*refusal.reason());
                }
            }
        };
        let mut session = Session::new(&peer, Limits::default());
        let attached = session.attach(link, 0);
        attached.map_err(|_| "the session is with that node")?;
        stream.write_all(session.output())?;
        loop {
            let count = read(&mut stream, &mut bytes)?;
            if let Err(refusal) = session.next(&mut &bytes[..count]) {
                return Ok(*refusal.reason());
            }
        }
    }
}

fn read(stream: &mut TcpStream, bytes: &mut [u8]) -> Result<usize, Box<dyn Error>> {
    match stream.read(bytes)? {
        0 => Err("the connection ends without a word")?,
        count => Ok(count),
    }
}

/// Adds up what comes.
fn collect(mut from: ChildStderr, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..count]);
            into.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&text);
        }
    });
}

fn seed() -> io::Result<Seed> {
    let mut seed = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(Seed::new(seed))
}

/// Waits until the other end closes the connection; whatever it says first.
fn closes(mut stream: TcpStream) -> Verdict {
    let mut bytes = [0; 256];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => Err(format!("a stranger's connection is not closed: {error}"))?,
        }
    }
}

/// Bytes that depend on the number alone, and how many.
fn garbage(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes: Vec<u8> = (0..1 + next() % 200).map(|_| next() as u8).collect();
    // Every other one has a first frame of the right length, and so has to be decrypted.
    if number.is_multiple_of(2) {
        bytes.resize(bytes.len().max(50), 0);
        bytes[..2].copy_from_slice(&48_u16.to_le_bytes());
    }
    bytes
}

fn strangers(suite: &Suite, count: u64) -> Verdict {
    suite.program("std-tour", crate::kernel::Profile::Release)?;
    let mut system = System::start(suite).map_err(|error| error.to_string())?;
    system.expect("[n0] booted in ")?;
    idle(&system)?;
    std::thread::scope(|scope| {
        let system = &system;
        let shares = (0..AT_A_TIME).map(|first| {
            scope.spawn(move || {
                let mut share = (first..count).step_by(AT_A_TIME as usize);
                share
                    .try_for_each(|number| babble(system, number).map_err(|failure| failure.reason))
            })
        });
        let shares: Vec<_> = shares.collect();
        shares
            .into_iter()
            .try_for_each(|share| share.join().map_err(|_| "a thread has panicked")?)
    })?;
    refusals(&system)?;
    for line in [
        "no link: a first frame of",
        "wrong key: the handshake does not prove",
        "wrong image: its hash is ",
        "CPU features differ: ",
        "node number 1 is taken by another machine",
        "wrong cluster size: 5 nodes, expected 2",
    ] {
        system.expect(line)?;
    }
    system.stdin.write_all(b"a line\n")?;
    drop(system.stdin);
    let status = system.child.0.wait()?;
    let mut stdout = String::new();
    if let Some(mut pipe) = system.child.0.stdout.take() {
        pipe.read_to_string(&mut stdout)?;
    }
    let said = system.said.lock().unwrap_or_else(PoisonError::into_inner);
    if !status.success() || !stdout.contains("all well") || stdout.contains("FAILED") {
        Err(format!("found {status}, and said:\n{stdout}{said}"))?;
    }
    match said.contains(&system.key) || stdout.contains(&system.key) {
        true => Err("the key is shown")?,
        false => Ok(()),
    }
}

/// Says what makes no sense, and is not listened to any more.
fn babble(system: &System, number: u64) -> Verdict {
    let mut stream = system.connect()?;
    stream.write_all(&garbage(number))?;
    let _ = stream.shutdown(Shutdown::Write);
    closes(stream)
}

/// Of connections on which nothing is said, few are kept: the first ones have to go at once.
fn idle(system: &System) -> Verdict {
    let silent = (0..IDLE).map(|_| system.connect());
    let silent = silent.collect::<io::Result<Vec<_>>>()?;
    let begin = Instant::now();
    silent.into_iter().take(IDLE - 8).try_for_each(closes)?;
    match begin.elapsed() < SOON {
        true => Ok(()),
        false => Err("more silent connections are kept than few")?,
    }
}

/// Whoever has the key is told what is wrong; whoever has not is told nothing else.
fn refusals(system: &System) -> Verdict {
    let wrong = ClusterKey::new([0; 32]);
    let right = ClusterKey::from_hex(&system.key)?;
    let mut me = Identity {
        node: 1,
        incarnation: 1,
        cluster_size: 5,
        cpus: 1,
        image: [0; 32],
        features: CpuFeatures::default(),
    };
    let refused = |me: &Identity, key: &ClusterKey| -> Result<Reason, String> {
        let reason = system.refused(*me, key);
        reason.map_err(|error| error.to_string())
    };
    let found = refused(&me, &wrong)?;
    if found != Reason::WrongKey {
        Err(format!("expected the key to be wrong, found: {found}"))?;
    }
    let found = refused(&me, &right)?;
    if !matches!(found, Reason::ClusterSize { .. }) {
        Err(format!("expected the size to be wrong, found: {found}"))?;
    }
    me.cluster_size = 2;
    me.image = match refused(&me, &right)? {
        Reason::Image { found, expected } if expected == me.image => found,
        Reason::Image { expected, .. } => expected,
        found => Err(format!("expected the image to be wrong, found: {found}"))?,
    };
    me.features = match refused(&me, &right)? {
        Reason::Features { found, expected } if expected == me.features => found,
        Reason::Features { expected, .. } => expected,
        found => Err(format!("expected the features to be wrong, found: {found}"))?,
    };
    // All is right but for the number, which another machine has.
    match refused(&me, &right)? {
        Reason::NodeTaken { node: 1 } => Ok(()),
        found => Err(format!("expected the number to be taken, found: {found}"))?,
    }
}
