//! What a message of a page costs: `cargo run --release --example cost -p darner-link`.

use std::hint::black_box;
use std::time::Instant;

use darner_link::{Channel, ClusterKey, CpuFeatures, Identity, Limits, Link, Role, Seed, Session};

const PAGE: usize = 4096;
const HEADER: usize = 32;
const COUNT: usize = 50_000;

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

fn report(what: &str, start: Instant, count: usize, bytes: usize) {
    let ns = start.elapsed().as_nanos() as f64;
    println!(
        "{what}: {:.0} ns each, {:.0} MB/s",
        ns / count as f64,
        (count * bytes) as f64 * 1_000.0 / ns
    );
}

fn main() {
    let start = Instant::now();
    const HANDSHAKES: usize = 500;
    for round in 0..HANDSHAKES {
        black_box(sessions(round as u8));
    }
    report("two handshakes, both ends", start, HANDSHAKES, 0);

    let [mut sender, mut receiver] = sessions(1);
    let page = [0x5a; PAGE];
    let header = [1; HEADER];
    for length in [64, PAGE] {
        let (mut sending, mut receiving) = (0, 0);
        for _ in 0..COUNT {
            let start = Instant::now();
            let pieces = [&header[..], &page[..length]];
            sender.send(pieces.into_iter()).expect("there is room");
            sender.flush(1);
            sending += start.elapsed().as_nanos();
            let start = Instant::now();
            let mut input = sender.output();
            let message = receiver.next(&mut input).expect("all is well");
            assert_eq!(
                message.map(|message| message.bytes.len()),
                Some(HEADER + length)
            );
            let used = sender.output().len();
            sender.sent(used);
            receiver.flush(1);
            receiving += start.elapsed().as_nanos();
            if !receiver.output().is_empty() {
                let output = receiver.output().to_vec();
                receiver.sent(output.len());
                assert_eq!(sender.next(&mut &output[..]), Ok(None));
            }
        }
        for (what, ns) in [("sent", sending), ("received", receiving)] {
            println!(
                "{what}, {length} bytes and {HEADER} of header: {} ns each, {:.0} MB/s",
                ns / COUNT as u128,
                ((HEADER + length) * COUNT) as f64 * 1_000.0 / ns as f64
            );
        }
    }
}
