//! The switch with real sockets.

mod peer;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use darner_switch::{Broken, Capture, Change, Core, Event, MAX_FRAME, Plan, PortId, Server};
use peer::{Peer, frame, number};

struct Rig {
    server: Server,
    peers: Vec<Peer>,
    /// Where its sockets are; goes last.
    folder: tempfile::TempDir,
}

fn rig(ports: usize, faults: &str) -> Rig {
    let plan = match faults {
        "" => Plan::none(ports),
        text => Plan::parse(text, ports).unwrap(),
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), ports, Core::new(plan, 1), None).unwrap();
    let peers = plug_all(&server, ports);
    Rig {
        server,
        peers,
        folder,
    }
}

fn plug_all(server: &Server, ports: usize) -> Vec<Peer> {
    let ports = (0..ports).map(|port| PortId(port as u16));
    let peers = ports.map(|port| Peer::plug(server.path(port))).collect();
    let mut plugged = 0;
    wait_for(|| {
        plugged += server.events().count();
        plugged == usize::from(Vec::len(&peers) as u16)
    });
    peers
}

fn wait_for(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited for 20 s");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn frames_of_all_sizes_arrive_as_they_were_sent() {
    let mut rig = rig(3, "");
    for length in [18, 60, 1514, 9018, MAX_FRAME] {
        let sent = frame(0, 7, 5, length);
        rig.peers[0].send([&sent[..]]);
        assert_eq!(rig.peers[1].receive(), sent);
        assert_eq!(rig.peers[2].receive(), sent);
    }
    let long = frame(0, 7, 6, MAX_FRAME + 1);
    let after = frame(0, 7, 7, 60);
    rig.peers[0].send([&[1, 2, 3][..], &long, &after]);
    assert_eq!(rig.peers[1].receive(), after);
    let counters = rig.server.stop().unwrap();
    assert_eq!(counters.ports[0].ingress.malformed, 2);
    assert_eq!(counters.ports[1].egress.sent, 6);
}

/// Several times what fits into all buffers on the way, to one who does not read at
/// first: everything arrives, in order.
#[test]
fn a_slow_reader_loses_nothing() {
    const FRAMES: u32 = 3_000;
    let mut rig = rig(2, "");
    rig.peers[1].send([&frame(1, 7, 0, 60)[..]]);
    assert_eq!(number(&rig.peers[0].receive()), 0);
    let sender = std::thread::spawn({
        let stream = rig.peers[0].stream.try_clone().unwrap();
        move || {
            for n in 0..FRAMES {
                let frame = frame(0, 1, n, 1514);
                (&stream).write_all(&1514_u32.to_be_bytes()).unwrap();
                (&stream).write_all(&frame).unwrap();
            }
        }
    });
    // Slower than the sender by far, but never as slow as one who is given up on.
    for n in 0..FRAMES {
        assert_eq!(number(&rig.peers[1].receive()), n);
        if n % 100 == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    sender.join().unwrap();
    let counters = rig.server.stop().unwrap();
    assert_eq!(counters.ports[1].egress.discarded, 0);
    assert_eq!(counters.ports[1].egress.sent, FRAMES.into());
}

/// Whoever takes nothing does not stop the others for long, and gets on when it reads
/// again.
#[test]
fn who_hangs_stops_nobody() {
    const FRAMES: u32 = 4_000;
    let mut rig = rig(3, "");
    let sender = std::thread::spawn({
        let stream = rig.peers[0].stream.try_clone().unwrap();
        move || {
            for n in 0..FRAMES {
                let frame = frame(0, 7, n, 1514);
                (&stream).write_all(&1514_u32.to_be_bytes()).unwrap();
                (&stream).write_all(&frame).unwrap();
            }
        }
    });
    for n in 0..FRAMES {
        assert_eq!(number(&rig.peers[1].receive()), n);
    }
    sender.join().unwrap();
    let counters = rig.server.counters().unwrap();
    assert!(counters.ports[2].egress.discarded > 0);
    // What was in its buffers comes in order, then there is room again.
    let kept = counters.ports[2].egress.sent as u32;
    for n in 0..kept {
        assert_eq!(number(&rig.peers[2].receive()), n);
    }
    wait_for(|| {
        rig.peers[0].send([&frame(0, 7, FRAMES, 60)[..]]);
        rig.server.counters().unwrap().ports[2].egress.sent > kept.into()
    });
    assert_eq!(number(&rig.peers[2].receive()), FRAMES);
}

/// What it sent last arrives, its end is told, and its port can be used again.
#[test]
fn who_leaves_may_come_back() {
    let mut rig = rig(2, "");
    let last = frame(0, 7, 1, 60);
    rig.peers[0].send([&last[..]]);
    drop(rig.peers.remove(0));
    assert_eq!(rig.peers[0].receive(), last);
    let mut events = Vec::new();
    wait_for(|| {
        events.extend(rig.server.events());
        !events.is_empty()
    });
    assert_eq!(events, [Event::Unplugged(PortId(0), Broken::Ended)]);
    let mut back = Peer::plug(rig.server.path(PortId(0)));
    wait_for(|| rig.server.events().next() == Some(Event::Plugged(PortId(0))));
    let hello = frame(1, 7, 2, 60);
    rig.peers[0].send([&hello[..]]);
    assert_eq!(back.receive(), hello);
}

/// All of it arrives though its sender is gone before anyone reads.
#[test]
fn what_was_sent_outlives_its_sender() {
    const FRAMES: u32 = 1_000;
    let mut rig = rig(2, "");
    let sender = std::thread::spawn({
        let gone = rig.peers.remove(0);
        move || {
            for n in 0..FRAMES {
                gone.send([&frame(0, 7, n, 1514)[..]]);
            }
        }
    });
    std::thread::sleep(Duration::from_millis(100));
    for n in 0..FRAMES {
        assert_eq!(number(&rig.peers[0].receive()), n);
    }
    sender.join().unwrap();
}

#[test]
fn who_speaks_something_else_is_cut_off() {
    let rig = rig(2, "");
    let mut stream: &UnixStream = &rig.peers[0].stream;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    wait_for(|| {
        let expected = Event::Unplugged(PortId(0), Broken::NotFrames(0x4745_5420));
        rig.server.events().any(|event| event == expected)
    });
}

#[test]
fn nothing_is_left_of_a_switch_that_has_ended() {
    let rig = rig(3, "");
    let count = || std::fs::read_dir(rig.folder.path()).unwrap().count();
    assert_eq!(count(), 3);
    drop(rig.server);
    assert_eq!(count(), 0);
}

#[test]
fn a_delay_takes_its_time() {
    let mut rig = rig(2, "delay=50ms");
    let start = Instant::now();
    rig.peers[0].send([&frame(0, 7, 1, 60)[..]]);
    rig.peers[1].receive();
    let taken = start.elapsed();
    assert!(taken >= Duration::from_millis(50), "{taken:?}");
    // There and back, while nothing else wakes the switch.
    assert!(taken < Duration::from_secs(5), "{taken:?}");
}

#[test]
fn a_partition_can_be_ordered_and_healed_meanwhile() {
    let mut rig = rig(3, "");
    let changes = Plan::parse("partition=0,1|2@..1s", 3).unwrap().schedule;
    let [apart, whole] = <[_; 2]>::try_from(changes)
        .unwrap()
        .map(|(_, change)| change);
    rig.server.change(apart);
    // The answer comes after the change.
    rig.server.counters().unwrap();
    rig.peers[0].send([&frame(0, 7, 1, 60)[..]]);
    assert_eq!(number(&rig.peers[1].receive()), 1);
    rig.server.change(whole);
    rig.server.counters().unwrap();
    rig.peers[0].send([&frame(0, 7, 2, 60)[..]]);
    assert_eq!(number(&rig.peers[2].receive()), 2);
}

/// Which frames are lost is the same each time, though time is real.
#[test]
fn real_losses_repeat_with_the_seed() {
    const FRAMES: u32 = 5_000;
    let arrived = |server: &Server, peers: &mut [Peer]| -> Vec<u32> {
        let frames: Vec<Vec<u8>> = (0..FRAMES).map(|n| frame(0, 7, n, 60)).collect();
        peers[0].send(frames.iter().map(Vec::as_slice));
        wait_for(|| server.counters().unwrap().ports[0].ingress.received == FRAMES.into());
        let count = server.counters().unwrap().ports[1].egress.sent;
        (0..count).map(|_| number(&peers[1].receive())).collect()
    };
    let mut runs = [(); 2].map(|()| rig(2, "loss=5%,dup=3%"));
    let [first, second] = runs
        .each_mut()
        .map(|rig| arrived(&rig.server, &mut rig.peers));
    assert_eq!(first, second);
    let counters = runs[0].server.counters().unwrap();
    let lost = counters.ports[0].ingress.lost;
    assert!((150..350).contains(&lost), "{lost}");
}

#[test]
fn everything_is_captured_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.pcapng");
    let capture = Capture::create(&path, 2).unwrap();
    let empty = std::fs::metadata(&path).unwrap().len();
    let core = Core::new(Plan::none(2), 0);
    let server = Server::start(folder.path(), 2, core, Some(capture)).unwrap();
    let mut peers = plug_all(&server, 2);
    peers[0].send([&frame(0, 7, 1, 1000)[..]]);
    peers[1].receive();
    wait_for(|| std::fs::metadata(&path).unwrap().len() >= empty + 1000);
}

#[test]
fn changes_need_no_traffic_to_happen() {
    let rig = rig(2, "");
    let down = Change::Link(PortId(1), darner_switch::Link::Down);
    rig.server.change(down);
    rig.peers[1].send([&frame(1, 7, 1, 60)[..]]);
    wait_for(|| rig.server.counters().unwrap().ports[1].ingress.refused == 1);
}
