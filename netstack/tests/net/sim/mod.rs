//! A world of stacks and servers on wires, in which time is a number.
//!
//! All is decided by a seed. The next thing that happens is the earliest of: a frame arrives,
//! a stack's or a server's deadline. A stack is stepped only when the kernel would be: by an
//! interrupt, a request, a deadline, or because it said that there is more to do.

pub mod card;
pub mod check;
pub mod frames;
pub mod host;
pub mod memory;
pub mod offload;
pub mod pair;
pub mod program;
pub mod pump;
pub mod wire;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use darner_netstack::{InterfaceConfig, Nanos};
use fastrand::Rng;

use self::card::{Card, CardOptions, Port, SharedPort};
use self::host::Host;
use self::wire::{Faults, Wire};

pub const MICROSECOND: Nanos = 1_000;
pub const MILLISECOND: Nanos = 1_000_000;
pub const SECOND: Nanos = 1_000_000_000;

/// Steps that a stack may take without any time passing, before it is said to be spinning.
const STEPS_AT_ONCE: u32 = 20_000;

/// What is on a wire and is no stack.
pub trait Peer {
    /// A frame has arrived; what is sent for it is put into `out`.
    fn receive(&mut self, frame: &[u8], now: Nanos, out: &mut Vec<Vec<u8>>);

    /// When it wants to send something unasked.
    fn deadline(&self) -> Option<Nanos> {
        None
    }

    /// The deadline has come.
    fn wake(&mut self, now: Nanos, out: &mut Vec<Vec<u8>>) {
        let _ = (now, out);
    }
}

/// A host of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub usize);

/// A wire of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireId(usize);

/// What is plugged into a wire.
#[derive(Clone)]
enum Plug {
    Card(HostId, SharedPort),
    Peer(usize),
}

/// A server, and where it is.
#[derive(Clone)]
struct Served {
    peer: Rc<RefCell<dyn Peer>>,
    wire: WireId,
    place: usize,
}

/// Everything there is.
pub struct World {
    pub now: Nanos,
    pub rng: Rng,
    seed: u64,
    hosts: Vec<Host>,
    wires: Vec<Wire>,
    plugs: Vec<Vec<Plug>>,
    peers: Vec<Served>,
    /// Which wire and port each card of each host is at.
    places: Vec<Vec<(WireId, usize)>>,
    /// In the order of time, then of having been sent.
    arrivals: BTreeMap<(Nanos, u64), (Plug, Vec<u8>)>,
    sent: u64,
    /// Print all frames: with `NETSTACK_TRACE` in the environment.
    trace: bool,
}

impl World {
    /// An empty one, at a time that is not zero.
    pub fn new(seed: u64) -> Self {
        Self {
            now: 5 * SECOND,
            rng: Rng::with_seed(seed),
            seed,
            hosts: Vec::new(),
            wires: Vec::new(),
            plugs: Vec::new(),
            peers: Vec::new(),
            places: Vec::new(),
            arrivals: BTreeMap::new(),
            sent: 0,
            trace: std::env::var_os("NETSTACK_TRACE").is_some(),
        }
    }

    /// A wire.
    pub fn wire(&mut self, faults: Faults) -> WireId {
        self.wires.push(Wire::new(faults));
        self.plugs.push(Vec::new());
        WireId(self.wires.len() - 1)
    }

    pub fn wire_mut(&mut self, wire: WireId) -> &mut Wire {
        &mut self.wires[wire.0]
    }

    /// A host without cards.
    pub fn host(&mut self, memory: usize) -> HostId {
        let seed = self.rng.u64(..);
        self.hosts.push(Host::new(seed, memory, self.now));
        self.places.push(Vec::new());
        HostId(self.hosts.len() - 1)
    }

    pub fn host_mut(&mut self, host: HostId) -> &mut Host {
        let now = self.now;
        let host = &mut self.hosts[host.0];
        host.now = now;
        host
    }

    /// Gives a host a card, on a wire.
    pub fn plug(&mut self, host: HostId, wire: WireId, card: CardOptions, config: InterfaceConfig) {
        let port = Port::new(card);
        port.lock().unwrap().now = self.now;
        let place = self.wires[wire.0].attach();
        self.plugs[wire.0].push(Plug::Card(host, port.clone()));
        self.places[host.0].push((wire, place));
        let now = self.now;
        let owner = &mut self.hosts[host.0];
        owner.stack.add(Box::new(Card::new(&port)), config, now);
        owner.ports.push(port);
        owner.runnable = true;
    }

    /// Puts a server on a wire.
    pub fn serve<P: Peer + 'static>(&mut self, wire: WireId, peer: P) -> Rc<RefCell<P>> {
        let peer = Rc::new(RefCell::new(peer));
        let place = self.wires[wire.0].attach();
        self.plugs[wire.0].push(Plug::Peer(self.peers.len()));
        self.peers.push(Served {
            peer: peer.clone(),
            wire,
            place,
        });
        peer
    }

    /// Goes on until `done`, which also does what programs do, says so.
    ///
    /// # Panics
    /// When nothing can happen any more, or `limit` of time has passed, and it is not done.
    pub fn run_until(
        &mut self,
        expected: &str,
        limit: Nanos,
        mut done: impl FnMut(&mut Self) -> bool,
    ) {
        let end = self.now + limit;
        loop {
            if done(self) {
                return;
            }
            if self.hosts.iter().any(|host| host.runnable) {
                self.step_hosts();
                continue;
            }
            match self.next() {
                None => self.fail(&format!(
                    "nothing can happen any more, and {expected} is still expected"
                )),
                Some(next) if next > end => self.fail(&format!(
                    "{expected} has not happened within {} ms",
                    limit / MILLISECOND
                )),
                Some(next) => self.advance(next),
            }
        }
    }

    fn fail(&mut self, problem: &str) -> ! {
        let state = self.describe();
        panic!("seed {}: {problem}; {state}", self.seed)
    }

    /// What there is, for whoever has to find out why.
    fn describe(&mut self) -> String {
        let now = self.now;
        let mut text = format!("at {now} ns");
        for (index, host) in self.hosts.iter_mut().enumerate() {
            let due = host.due();
            host.now = now;
            let snapshot = host.snapshot();
            text += &format!("\nhost {index}, due at {due:?}: {:?}", snapshot.counters);
            for socket in snapshot.sockets.iter().take(8) {
                text += &format!("\n  {socket:?}");
            }
        }
        for wire in &self.wires {
            text += &format!("\nwire: {:?}", wire.counters);
        }
        text
    }

    /// Lets time pass, with programs that do nothing.
    pub fn pass(&mut self, time: Nanos) {
        let end = self.now + time;
        loop {
            self.step_hosts();
            match self.next() {
                Some(next) if next <= end => self.advance(next),
                _ => break,
            }
        }
        self.now = end;
    }

    /// When something happens next.
    fn next(&self) -> Option<Nanos> {
        let arrival = self.arrivals.first_key_value().map(|((at, _), _)| *at);
        let hosts = self.hosts.iter().filter_map(|host| host.due());
        let peers = self
            .peers
            .iter()
            .filter_map(|served| served.peer.borrow().deadline());
        arrival.into_iter().chain(hosts).chain(peers).min()
    }

    /// Makes it `next`, and has happen what happens then.
    fn advance(&mut self, next: Nanos) {
        if next > self.now {
            self.now = next;
            for host in &mut self.hosts {
                host.steps_at_once = 0;
            }
        }
        while let Some(entry) = self.arrivals.first_entry()
            && entry.key().0 <= self.now
        {
            let (plug, frame) = entry.remove();
            self.deliver(plug, frame);
        }
        for index in 0..self.peers.len() {
            self.wake_peer(index);
        }
        let now = self.now;
        for host in &mut self.hosts {
            if host.due().is_some_and(|due| due <= now) {
                host.runnable = true;
            }
        }
        self.step_hosts();
    }

    fn deliver(&mut self, plug: Plug, frame: Vec<u8>) {
        match plug {
            Plug::Card(host, port) => {
                if port.lock().unwrap().arrive(frame) {
                    self.hosts[host.0].runnable = true;
                }
            }
            Plug::Peer(index) => {
                let mut out = Vec::new();
                let Served { peer, wire, place } = self.peers[index].clone();
                peer.borrow_mut().receive(&frame, self.now, &mut out);
                for frame in out {
                    self.send(wire, place, frame);
                }
            }
        }
    }

    fn wake_peer(&mut self, index: usize) {
        let Served { peer, wire, place } = self.peers[index].clone();
        if peer.borrow().deadline().is_none_or(|due| due > self.now) {
            return;
        }
        let mut out = Vec::new();
        peer.borrow_mut().wake(self.now, &mut out);
        for frame in out {
            self.send(wire, place, frame);
        }
    }

    /// Steps all hosts that have to be, once.
    fn step_hosts(&mut self) {
        for index in 0..self.hosts.len() {
            if !self.hosts[index].runnable {
                continue;
            }
            let host = &mut self.hosts[index];
            host.step(self.now);
            host.steps_at_once += 1;
            assert!(
                host.steps_at_once < STEPS_AT_ONCE,
                "seed {}: host {index} steps without end, and no time passes",
                self.seed
            );
            self.collect(index);
        }
    }

    /// Puts on the wires what a host's cards send.
    fn collect(&mut self, index: usize) {
        for card in 0..self.hosts[index].ports.len() {
            let port = self.hosts[index].ports[card].clone();
            let (wire, place) = self.places[index][card];
            let frames = port.lock().unwrap().take_kicked();
            for frame in frames {
                let done = self.send(wire, place, frame);
                port.lock().unwrap().sending.push_back(done);
            }
        }
    }

    /// A port sends a frame; when it will be on the wire.
    fn send(&mut self, wire: WireId, place: usize, frame: Vec<u8>) -> Nanos {
        if self.trace {
            self.print(wire, place, &frame);
        }
        let passage = self.wires[wire.0].pass(place, frame, self.now, &mut self.rng);
        if self.trace && passage.arrivals.is_empty() {
            println!("{:>29}", "lost");
        }
        for (at, frame) in passage.arrivals {
            for (other, plug) in self.plugs[wire.0].iter().enumerate() {
                if other == place || !is_for(plug, &frame) {
                    continue;
                }
                let key = (at, self.sent);
                self.sent += 1;
                self.arrivals.insert(key, (plug.clone(), frame.clone()));
            }
        }
        passage.done
    }

    fn print(&self, wire: WireId, place: usize, frame: &[u8]) {
        use smoltcp::wire::{EthernetFrame, PrettyPrinter};
        let packet = PrettyPrinter::<EthernetFrame<&[u8]>>::new("", &frame);
        let packet = packet.to_string();
        let last = packet.lines().last().unwrap_or_default();
        let WireId(wire) = wire;
        println!("{:>16} wire {wire} port {place}: {last}", self.now);
    }

    /// Has a frame arrive at a host's card now, from no wire.
    #[allow(dead_code)] // The fuzz test's only.
    pub fn inject(&mut self, host: HostId, card: usize, frame: Vec<u8>) {
        let port = self.hosts[host.0].ports[card].clone();
        self.deliver(Plug::Card(host, port), frame);
    }
}

/// Cards take what is for them and what is for groups; servers look at everything.
fn is_for(plug: &Plug, frame: &[u8]) -> bool {
    match plug {
        Plug::Peer(_) => true,
        Plug::Card(_, port) => {
            let mac = port.lock().unwrap().options.mac;
            frame.first().is_some_and(|first| first & 1 == 1) || frame.starts_with(&mac)
        }
    }
}
