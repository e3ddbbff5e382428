//! What a message of a page costs: `cargo run --release --example cost -p darner-link`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use darner_link::{Channel, ClusterKey, CpuFeatures, Identity, Limits, Link, Role, Seed, Session};

const PAGE: usize = 4096;
const HEADER: usize = 32;
const COUNT: usize = 20_000;

fn identity(node: u16) -> Identity {
    Identity {
        node,
        incarnation: node.into(),
        cluster_size: 2,
        cpus: 1,
        image: [0; 32],
        features: CpuFeatures::default(),
    }
}

fn carry(from: &[u8], to: &mut Link) {
    to.receive(&mut &from[..], 0)
        .expect("both are of one cluster");
}

/// Two ends that know each other, without the welcome's way between them.
fn sessions(round: u8) -> [Session; 2] {
    let key = ClusterKey::new([7; 32]);
    let (node, channel) = (0, Channel::Control);
    let role = Role::Calls { node, channel };
    let mut caller = Link::new(identity(1), role, &key, Seed::new([round; 32]), 0);
    let mut answerer = Link::new(identity(0), Role::Answers, &key, Seed::new([!round; 32]), 0);
    for _ in 0..2 {
        let bytes = caller.output().to_vec();
        caller.sent(bytes.len());
        carry(&bytes, &mut answerer);
        let bytes = answerer.output().to_vec();
        answerer.sent(bytes.len());
        carry(&bytes, &mut caller);
    }
    let mut sessions = [caller, answerer].map(|link| {
        let mut session = Session::new(link.peer().expect("they met"), Limits::default());
        session.attach(Box::new(link), 0).ok().expect("the same");
        session
    });
    let [caller, answerer] = &mut sessions;
    welcome(caller, answerer);
    welcome(answerer, caller);
    sessions
}

fn welcome(from: &mut Session, to: &mut Session) {
    let message = to.next(&mut from.output()).expect("all is well");
    assert_eq!(message, None);
    from.sent(from.output().len());
}

/// The median, so that what else the machine does counts for little.
fn report(what: &str, mut times: Vec<Duration>, bytes: usize) {
    times.sort_unstable();
    let ns = times[times.len() / 2].as_nanos() as f64;
    println!(
        "{what}: {ns:.0} ns, {:.0} MB/s",
        bytes as f64 * 1_000.0 / ns
    );
}

/// How long it takes.
fn timed<T>(times: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    times.push(start.elapsed());
    result
}

fn main() {
    let mut times = Vec::new();
    for round in 0..200 {
        black_box(timed(&mut times, || sessions(round)));
    }
    report("to meet, both ends", times, 0);

    let [mut sender, mut receiver] = sessions(1);
    let page = [0x5a; PAGE];
    let header = [1; HEADER];
    for length in [64, PAGE] {
        let (mut sending, mut receiving) = (Vec::new(), Vec::new());
        for _ in 0..COUNT {
            timed(&mut sending, || {
                let pieces = [&header[..], &page[..length]];
                sender.send(pieces.into_iter()).expect("there is room");
                sender.flush(1);
            });
            timed(&mut receiving, || {
                let message = receiver.next(&mut sender.output()).expect("all is well");
                let length_found = message.map(|message| message.bytes.len());
                assert_eq!(length_found, Some(HEADER + length));
            });
            sender.sent(sender.output().len());
            receiver.flush(1);
            let acknowledged = sender.next(&mut receiver.output());
            assert_eq!(acknowledged, Ok(None));
            receiver.sent(receiver.output().len());
        }
        let bytes = HEADER + length;
        report(&format!("{bytes} bytes, sent"), sending, bytes);
        report(&format!("{bytes} bytes, received"), receiving, bytes);
    }
}
