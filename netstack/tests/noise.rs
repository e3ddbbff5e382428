//! Frames that nobody should have sent.

mod support;

use darner_netstack::socket::Phase;
use darner_netstack::{Reply, Request};
use support::{SECOND, Setup, World, ip};

/// Frames of all kinds that the stack knows, as two nodes exchange them.
fn sample() -> Vec<Vec<u8>> {
    let mut world = World::with(&[]);
    world.log = Some(Vec::new());
    for _ in 0..2 {
        world.add(&Setup::default());
    }
    let listener = world.listen(1, "[::]:80", 8);
    let receiver = world.udp(1, "[::]:600");
    let sender = world.udp(0, "[::]:700");
    for to in ["10.0.0.2", "[fd00::2]"] {
        let (mut client, mut server) = world.pair(0, &listener, &format!("{to}:80"));
        world.write(0, &mut client, &[1; 3000]);
        world.settle();
        world.read(1, &mut server);
        world.shutdown(0, &client);
        world.close(1, server.state.id, None);
        world.settle();
    }
    for (to, size) in [("[::ffff:10.0.0.2]", 4000), ("[fd00::2]", 100)] {
        world.send(0, &sender, &format!("{to}:600"), &vec![2; size]);
        world.send(0, &sender, &format!("{to}:601"), b"nobody");
        world.settle();
    }
    let _refused = [
        world.connect(0, "10.0.0.2:81"),
        world.connect(0, "[fd00::2]:81"),
    ];
    let join = Request::Multicast {
        group: ip("239.1.2.3"),
        interface: ip("0.0.0.0"),
        join: true,
    };
    assert!(matches!(world.ask(0, join), Reply::Done));
    world.advance(SECOND);
    drop(receiver);
    let log = world.log.take().unwrap();
    log.into_iter().map(|(_, frame)| frame).collect()
}

/// A generator of its own, so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

fn spoil(random: &mut Random, frame: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        match random.below(8) {
            0 => frame.truncate(random.below(frame.len() + 1)),
            1 => frame.extend(vec![random.below(256) as u8; random.below(64)]),
            2 if frame.len() > 54 => {
                // Headers are where it hurts.
                let at = 12 + random.below(42);
                frame[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)];
            }
            _ if !frame.is_empty() => {
                let at = random.below(frame.len().min(100));
                frame[at] = random.below(256) as u8;
            }
            _ => {}
        }
    }
}

#[test]
fn spoilt_frames_harm_nobody() {
    let frames = sample();
    let mut random = Random(0x5eed);
    let setup = Setup {
        // Checksums would hold most of it back.
        good_checksums: true,
        memory: 8 << 20,
        ..Setup::default()
    };
    let mut world = World::with(&[setup.clone(), setup]);
    let listener = world.listen(1, "[::]:80", 8);
    let receiver = world.udp(1, "[::]:600");
    let (client, _server) = world.pair(0, &listener, "10.0.0.2:80");
    world.filter = Some(Box::new(|_, _| false));
    let rounds = if cfg!(debug_assertions) {
        60_000
    } else {
        1_000_000
    };
    for round in 0..rounds {
        let mut frame = frames[random.below(frames.len())].clone();
        let to = random.below(2);
        frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, to as u8 + 1]);
        spoil(&mut random, &mut frame);
        world.inject(to, frame);
        if round % 16 == 0 {
            world.settle();
            while receiver.state.receive().is_some() {}
        }
        if round % 256 == 0 {
            world.advance(SECOND / 10);
            while let Some(stream) = listener.state.accepted.pop() {
                world.close(1, stream.state.id, None);
            }
        }
    }
    world.filter = None;
    world.advance(200 * SECOND);
    drop(client);
    // It still works.
    let (mut client, mut server) = world.pair(0, &listener, "10.0.0.2:80");
    world.write(0, &mut client, b"hello");
    world.settle();
    assert_eq!(world.read(1, &mut server), b"hello");
    assert_eq!(client.state.phase(), Phase::Connected);
}
