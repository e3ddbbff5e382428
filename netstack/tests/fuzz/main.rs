//! Frames that are nearly right, at a host with open sockets, while a connection next to them
//! goes on.
//!
//! An attacker on the wire hears everything, and sends what it likes: but neither in the name of
//! the host at the connection's other end, nor about it, since whoever can do that may break
//! any connection off.

mod build;
mod mutate;
// The rest of it is for other tests.
#[allow(dead_code)]
#[path = "../net/sim/mod.rs"]
mod sim;

use std::alloc::System;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use cap::Cap;
use darner_netstack::config::{V4, V6};
use darner_netstack::request::{Family, StreamOptions};
use darner_netstack::{Datagram, Datagrams, InterfaceConfig, Listener, Request};
use fastrand::Rng;

use self::build::Builder;
use crate::sim::card::CardOptions;
use crate::sim::host::Flag;
use crate::sim::memory::connect_until_memory_ends;
use crate::sim::pair::{any_v4, any_v6, fixed, v4, v6};
use crate::sim::program::{Conn, Read, connect};
use crate::sim::pump::{Pattern, Pump};
use crate::sim::wire::{Faults, Verdict};
use crate::sim::{HostId, MICROSECOND, MILLISECOND, SECOND, World};

/// Counts what is allocated, so that what is not freed shows.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes by which the memory in use may differ: a connection's buffers that are kept for
/// others, tables that have grown.
const KEPT: usize = 4 << 20;

/// Frames of all runs together: fewer where they take longer.
const FRAMES: usize = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};
/// Runs, each with its own seed.
const RUNS: u64 = 4;
/// How often all is opened and closed in half of a run.
const ROUNDS: usize = 4;
/// Frames that are sent before the host looks at them.
const BATCH: usize = 32;
/// Bytes in each direction of the connection that has to go on.
const BYTES: u64 = 1 << 20;
/// Frames of the wire that the attacker remembers.
const MEMORY: usize = 256;

/// What the attacker has heard, of each of the host's two wires.
#[derive(Default)]
pub struct Heard {
    /// Frames to the host.
    pub to: VecDeque<Vec<u8>>,
    /// Frames from it.
    pub from: VecDeque<Vec<u8>>,
}

type Ears = Rc<RefCell<[Heard; 2]>>;

/// Who attacks: a stack that behaves as well, which makes connections to be disturbed.
const ATTACKER: u8 = 3;
/// Where the connection that has to go on leads.
const FRIEND: u8 = 2;
/// The host.
const TARGET: u8 = 1;

struct Scene {
    world: World,
    target: HostId,
    friend: HostId,
    attacker: HostId,
    ears: Ears,
    rng: Rng,
    listeners: Vec<Listener<Flag>>,
    sockets: Vec<Datagrams<Flag>>,
    accepted: Vec<Conn>,
    /// The attacker's, to the host and from it.
    begun: Vec<Conn>,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let wire = world.wire(Faults::NONE);
        let other = world.wire(Faults::NONE);
        let [target, friend, attacker] = [TARGET, FRIEND, ATTACKER].map(|number| {
            let host = world.host(16 << 20);
            let mut config = fixed(number);
            if number == TARGET {
                // One that never answers.
                config.dns = vec![v4(ATTACKER, 53).ip()];
            }
            world.plug(host, wire, CardOptions::plain(number), config);
            host
        });
        let asking = InterfaceConfig {
            v4: V4::Dhcp,
            v6: V6::Auto,
            ..InterfaceConfig::default()
        };
        world.plug(target, other, CardOptions::plain(TARGET + 100), asking);
        let ears = Ears::default();
        for (index, wire) in [wire, other].into_iter().enumerate() {
            let ears = ears.clone();
            world.wire_mut(wire).filter = Some(Box::new(move |frame, port, _| {
                listen(&mut ears.borrow_mut()[index], frame, port);
                Verdict::Pass
            }));
        }
        Self {
            rng: Rng::with_seed(seed ^ 0x5eed),
            world,
            target,
            friend,
            attacker,
            ears,
            listeners: Vec::new(),
            sockets: Vec::new(),
            accepted: Vec::new(),
            begun: Vec::new(),
        }
    }

    /// Opens what there is to be attacked.
    fn open(&mut self) {
        let host = self.world.host_mut(self.target);
        self.listeners.push(host.listen(any_v6(7), 64));
        self.listeners.push(host.listen(any_v4(80), 2));
        for local in [any_v6(9), any_v4(5353), v4(TARGET, 68), v6(TARGET, 1900)] {
            self.sockets.extend(host.datagrams(local));
        }
        let connected = host.datagrams(any_v6(0)).unwrap();
        let peer = Some(v4(ATTACKER, 4000));
        let _ = host.ask(Request::ConnectDatagrams(connected.state.id, peer));
        self.sockets.push(connected);
        let group = Ipv4Addr::new(224, 0, 0, 251).into();
        let _ = host.ask(Request::Multicast {
            group,
            interface: Ipv4Addr::UNSPECIFIED.into(),
            join: true,
        });
        self.listeners
            .push(self.world.host_mut(self.attacker).listen(any_v6(7), 8));
    }

    /// Programs come and go, so that there are connections in all states.
    fn live(&mut self) {
        let world = &mut self.world;
        for listener in &self.listeners[..2] {
            self.accepted.extend(Conn::accept(self.target, listener));
        }
        self.begun
            .extend(Conn::accept(self.attacker, &self.listeners[2]));
        if self.begun.len() < 8 {
            let (host, number) = match self.rng.bool() {
                true => (self.attacker, TARGET),
                false => (self.target, ATTACKER),
            };
            let to = if self.rng.bool() {
                v4(number, 7)
            } else {
                v6(number, 7)
            };
            let options = StreamOptions {
                keep_alive: self.rng.bool().then_some(Duration::from_secs(5)),
                ..StreamOptions::default()
            };
            if let Ok(conn) = Conn::begin_with(world, host, to, options) {
                let of = if host == self.target {
                    &mut self.accepted
                } else {
                    &mut self.begun
                };
                of.push(conn);
            }
        }
        for conns in [&mut self.accepted, &mut self.begun] {
            let mut index = 0;
            while index < conns.len() {
                if use_somehow(world, &mut conns[index], &mut self.rng) {
                    index += 1;
                } else {
                    let conn = conns.swap_remove(index);
                    let linger = (self.rng.u8(..4) == 0).then_some(Duration::ZERO);
                    conn.close_with(world, linger);
                }
            }
        }
        for socket in &self.sockets {
            while socket.state.receive().is_some() {}
            socket.state.take_error();
            if self.rng.u8(..8) == 0 {
                let peer = v4(ATTACKER, 4000 + u16::from(self.rng.u8(..4)));
                let data = vec![1; self.rng.usize(..4000)].into();
                let _ = socket.state.send(Datagram { peer, data });
                if socket.state.wants_attention() {
                    world.host_mut(self.target).attend(socket.state.id);
                }
            }
        }
        if self.rng.u8(..16) == 0 {
            let name = ["a.example", "www.example", "x"][self.rng.usize(..3)];
            let _ = world.host_mut(self.target).resolve(name, Family::Any);
        }
    }

    /// Sends so many frames, with time in between.
    fn attack(&mut self, frames: usize, mut between: impl FnMut(&mut World)) {
        let mut sent = 0;
        while sent < frames {
            for _ in 0..BATCH {
                let card = usize::from(self.rng.u8(..5) == 0);
                let frame = Builder {
                    rng: &mut self.rng,
                    heard: &self.ears.borrow()[card],
                    card,
                }
                .frame();
                if !is_about_friend(&frame) {
                    self.world.inject(self.target, card, frame);
                    sent += 1;
                }
            }
            let time = match self.rng.u8(..) {
                0..240 => 200 * MICROSECOND,
                240..254 => 10 * MILLISECOND,
                254.. => SECOND,
            };
            self.world.pass(time);
            if self.rng.u8(..4) == 0 {
                self.live();
            }
            between(&mut self.world);
        }
    }

    /// Closes all that was opened, and lets it come to rest.
    fn close(&mut self) {
        let world = &mut self.world;
        for conn in self.accepted.drain(..).chain(self.begun.drain(..)) {
            conn.close(world);
        }
        for listener in self.listeners.drain(..2) {
            world.host_mut(self.target).close(listener.state.id);
        }
        for listener in self.listeners.drain(..) {
            world.host_mut(self.attacker).close(listener.state.id);
        }
        for socket in self.sockets.drain(..) {
            world.host_mut(self.target).close(socket.state.id);
        }
        world.pass(2000 * SECOND);
        *self.ears.borrow_mut() = Default::default();
    }
}

/// Reads, writes, ends; false: the connection is to be closed.
fn use_somehow(world: &mut World, conn: &mut Conn, rng: &mut Rng) -> bool {
    let mut buffer = [0; 2000];
    match rng.u8(..16) {
        0 => return false,
        1 => conn.finish(world),
        2..8 => {
            let _ = conn.write(world, &buffer[..rng.usize(1..2000)]);
        }
        _ => {}
    }
    !matches!(conn.read(world, &mut buffer), Read::End(Some(_)))
}

fn listen(heard: &mut Heard, frame: &[u8], port: usize) {
    if is_about_friend(frame) {
        return;
    }
    let of = match port {
        0 => &mut heard.from,
        _ => &mut heard.to,
    };
    of.push_back(frame.to_vec());
    if of.len() > MEMORY {
        of.pop_front();
    }
}

/// Whether a frame has an address in it of the host that is to be left alone.
fn is_about_friend(frame: &[u8]) -> bool {
    let mac = CardOptions::plain(FRIEND).mac;
    let (SocketAddr::V4(v4), SocketAddr::V6(v6)) = (v4(FRIEND, 0), v6(FRIEND, 0)) else {
        unreachable!("one address of each family");
    };
    let has = |bytes: &[u8]| frame.windows(bytes.len()).any(|window| window == bytes);
    has(&mac) || has(&v4.ip().octets()) || has(&v6.ip().octets())
}

/// One run: the same again and again, which must not take more and more memory.
fn attacked(seed: u64) {
    let mut scene = Scene::new(seed);
    scene.world.pass(SECOND);
    let capacity = connect_until_memory_ends(&mut scene.world, scene.target);
    let used = scene.rounds();
    let more = scene.rounds().saturating_sub(used);

    let snapshot = scene.world.host_mut(scene.target).snapshot();
    let counters = snapshot.counters;
    assert!(counters.malformed > 100, "{counters:?}");
    assert!(counters.bad_checksums > 100, "{counters:?}");
    assert!(counters.accepts > 10, "{counters:?}");
    assert_eq!(
        connect_until_memory_ends(&mut scene.world, scene.target),
        capacity,
        "connections until memory ends"
    );
    eprintln!("seed {seed}: {more} bytes more in the second half; {counters:?}");
    assert!(more < KEPT, "{more} bytes are not freed");
}

impl Scene {
    /// Half of a run; the bytes that were in use when least were. That differs, as stacks keep
    /// buffers for later.
    fn rounds(&mut self) -> usize {
        let rounds = (0..ROUNDS).map(|_| {
            self.round(FRAMES / RUNS as usize / ROUNDS / 2);
            HEAP.allocated()
        });
        rounds.min().unwrap_or_default()
    }

    /// Opens everything, attacks, closes everything; beside it a connection goes on.
    fn round(&mut self, frames: usize) {
        self.open();
        let ends = (self.friend, self.target);
        let listener = self.world.host_mut(self.target).listen(any_v4(99), 1);
        let (near, far) = connect(&mut self.world, ends, &listener, v4(TARGET, 99));
        let (there, back) = (Pattern::new(1), Pattern::new(2));
        let pump = |conn, send, receive| {
            Pump::new(conn, (send, BYTES), (receive, BYTES)).with_buffer(1500)
        };
        let mut near = pump(near, there.clone(), back.clone());
        let mut far = pump(far, back, there);
        let mut progress = (0, self.world.now);
        self.attack(frames, |world| {
            // A little at a time, so that it lasts.
            for pump in [&mut near, &mut far] {
                if pump.received < BYTES / 2 {
                    pump.write(world);
                    pump.read(world);
                }
            }
            let received = near.received + far.received;
            if received > progress.0 || received >= BYTES {
                progress = (received, world.now);
            }
            let waits = world.now - progress.1;
            assert!(waits < 60 * SECOND, "{received} bytes, then no more");
        });
        let world = &mut self.world;
        world.run_until("the rest of the bytes", 300 * SECOND, |world| {
            let near = near.run(world);
            far.run(world) && near
        });
        near.conn.close(world);
        far.conn.close(world);
        world.host_mut(self.target).close(listener.state.id);
        drop(listener);
        self.close();
        let sockets = self.world.host_mut(self.target).snapshot().sockets;
        assert!(sockets.is_empty(), "{sockets:?}");
    }
}

// One after the other, since memory is counted.
#[test]
fn frames_that_are_nearly_right() {
    for seed in 0..RUNS {
        attacked(seed);
    }
}

#[test]
#[ignore = "takes minutes; for looking for more, alone"]
fn frames_that_are_nearly_right_of_many_seeds() {
    for seed in 1000..1100 {
        attacked(seed);
    }
}
