//! Whatever happens to the connections, messages come out as they were put in: all of
//! them, in order, each once.

mod support;

use darner_link::{LONGEST_MESSAGE, Limits, Reason, SendError, Session};
use proptest::prelude::*;
use support::{Pair, identity};

/// What happens to two nodes.
#[derive(Clone, Debug)]
enum Step {
    /// One sends messages of these lengths.
    Send {
        by_caller: bool,
        lengths: Vec<usize>,
    },
    /// At most so many bytes arrive at once.
    Arrive { at_caller: bool, bytes: usize },
    /// All that is under way is lost, and who notices it.
    Cut { caller: bool, answerer: bool },
    /// A new connection, whatever became of the old one.
    Connect,
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 0..200_usize,
        3 => 4_000..4_200_usize,
        2 => 16_000..17_000_usize,
        1 => 60_000..70_000_usize,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let lengths = prop::collection::vec(length(), 1..6);
    prop_oneof![
        4 => (any::<bool>(), lengths)
            .prop_map(|(by_caller, lengths)| Step::Send { by_caller, lengths }),
        12 => (any::<bool>(), prop_oneof![1..60_usize, 1..5_000_usize, Just(1 << 20)])
            .prop_map(|(at_caller, bytes)| Step::Arrive { at_caller, bytes }),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(caller, answerer)| Step::Cut { caller, answerer }),
        2 => Just(Step::Connect),
    ]
}

/// What both have sent.
struct Sent {
    by_caller: Vec<Vec<u8>>,
    by_answerer: Vec<Vec<u8>>,
}

fn message(pair: &mut Pair, length: usize) -> Vec<u8> {
    let mut message = vec![0; length];
    pair.rng.fill(&mut message);
    message
}

fn carry_out(pair: &mut Pair, step: &Step, sent: &mut Sent) {
    pair.now += 10;
    let now = pair.now;
    match step {
        Step::Send { by_caller, lengths } => {
            for &length in lengths {
                let message = message(pair, length);
                let (end, list) = match by_caller {
                    true => (&mut pair.caller, &mut sent.by_caller),
                    false => (&mut pair.answerer, &mut sent.by_answerer),
                };
                if end.session.is_some() {
                    end.send(&message);
                    list.push(message);
                }
            }
        }
        &Step::Arrive { at_caller, bytes } => match at_caller {
            true => {
                let bytes = pair.answerer.output(bytes, now);
                pair.caller.take(&bytes, now);
            }
            false => {
                let bytes = pair.caller.output(bytes, now);
                pair.answerer.take(&bytes, now);
            }
        },
        &Step::Cut { caller, answerer } => {
            // What neither may say any more: the connection is gone, though one may not know it.
            pair.caller.output(usize::MAX, now);
            pair.answerer.output(usize::MAX, now);
            if caller {
                pair.caller.disconnect();
            }
            if answerer {
                pair.answerer.disconnect();
            }
            pair.connect();
        }
        Step::Connect => pair.connect(),
    }
}

fn cases() -> u32 {
    if cfg!(debug_assertions) { 60 } else { 1_000 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_come_out_as_they_were_put_in(steps in prop::collection::vec(step(), 1..120)) {
        let mut pair = Pair::new(identity(1), identity(0));
        let mut sent = Sent { by_caller: Vec::new(), by_answerer: Vec::new() };
        pair.connect();
        for step in &steps {
            carry_out(&mut pair, step, &mut sent);
            prop_assert_eq!(pair.caller.refusal, None);
            prop_assert_eq!(pair.answerer.refusal, None);
        }
        pair.connect();
        pair.settle();
        prop_assert!(pair.are_open());
        prop_assert!(pair.answerer.got == sent.by_caller);
        prop_assert!(pair.caller.got == sent.by_answerer);
        for end in [&pair.caller, &pair.answerer] {
            prop_assert!(end.times.is_sorted());
        }
    }
}

#[test]
fn a_cut_at_any_byte_loses_nothing() {
    let messages: Vec<Vec<u8>> = (0..6_u8).map(|number| vec![number; 40]).collect();
    // Sent in one flush each, so that there are several envelopes.
    for cut in 0.. {
        let mut pair = Pair::new(identity(1), identity(0));
        pair.connect();
        pair.settle();
        let mut bytes = Vec::new();
        for message in &messages {
            pair.caller.send(message);
            bytes.extend(pair.caller.output(usize::MAX, 2));
        }
        if cut > bytes.len() {
            break;
        }
        pair.answerer.take(&bytes[..cut], 2);
        pair.connect();
        pair.settle();
        assert_eq!(pair.answerer.got, messages, "cut at byte {cut}");
    }
}

#[test]
fn a_connection_cut_while_nodes_meet_is_made_again() {
    let mut whole = Pair::new(identity(1), identity(0));
    whole.connect();
    whole.settle();
    let (calls, answers) = (whole.from_caller.len(), whole.from_answerer.len());
    for (from_caller, from_answerer) in (0..=calls).flat_map(|a| [(a, 0), (a, answers / 2)]) {
        let mut pair = Pair::new(identity(1), identity(0));
        pair.connect();
        // Byte by byte, so that either has answered whatever it could.
        let mut left = [from_caller, from_answerer];
        for _ in 0..calls + answers {
            let bytes = pair.caller.output(left[0].min(1), 1);
            left[0] -= bytes.len();
            pair.answerer.take(&bytes, 1);
            let bytes = pair.answerer.output(left[1].min(1), 1);
            left[1] -= bytes.len();
            pair.caller.take(&bytes, 1);
        }
        for end in [&mut pair.caller, &mut pair.answerer] {
            if end.session.is_some() {
                end.send(b"early");
            }
        }
        pair.connect();
        pair.settle();
        assert!(pair.are_open(), "{from_caller} and {from_answerer} bytes");
    }
}

#[test]
fn another_incarnation_is_another_session() {
    let mut pair = Pair::new(identity(1), identity(0));
    pair.connect();
    pair.settle();
    let old = pair.answerer.session.take().expect("they met");
    pair.caller.session = None;
    pair.caller.me.incarnation += 1;
    pair.connect();
    pair.settle();
    let peer = pair.answerer.peer.expect("they met");
    assert!(!old.is_with(&peer));
    assert!(pair.are_open());
}

#[test]
fn a_node_that_has_forgotten_the_session_is_refused_by_both() {
    let mut pair = Pair::new(identity(1), identity(0));
    pair.connect();
    pair.settle();
    pair.caller.send(b"to be forgotten");
    pair.settle();
    pair.answerer.send(b"which acknowledges it");
    pair.settle();
    pair.answerer.session = None;
    pair.connect();
    pair.settle();
    let reasons = [pair.caller.refusal, pair.answerer.refusal]
        .map(|refusal| refusal.map(|refusal| *refusal.reason()));
    assert_eq!(reasons, [Some(Reason::SessionLost); 2]);
    assert!(!pair.are_open());
}

#[test]
fn what_is_not_acknowledged_is_bounded() {
    let mut pair = Pair::new(identity(1), identity(0));
    pair.connect();
    pair.settle();
    let peer = pair.caller.peer.expect("they met");
    let mut session = Session::new(&peer, Limits::keep(0));
    let page = [1; 4096];
    let mut count = 0;
    while session.has_room(page.len()) {
        session
            .send([&page[..]].into_iter())
            .expect("there is room");
        count += 1;
    }
    let full = session.send([&page[..]].into_iter());
    assert!(matches!(
        full,
        Err(SendError::Full {
            limit: Limits::LEAST,
            ..
        })
    ));
    assert!(session.unacknowledged() <= Limits::LEAST);
    assert!(count * page.len() > Limits::LEAST * 9 / 10, "{count} pages");
    let long = vec![0; LONGEST_MESSAGE + 1];
    let bytes = long.len();
    let refused = session.send([&long[..]].into_iter());
    assert_eq!(refused, Err(SendError::TooLong { bytes }));
}

#[test]
fn one_way_traffic_is_acknowledged() {
    let mut pair = Pair::new(identity(1), identity(0));
    pair.connect();
    pair.settle();
    let message = vec![3; LONGEST_MESSAGE];
    for _ in 0..20 {
        pair.caller.send(&message);
        pair.settle();
    }
    let session = pair.caller.session.as_ref().expect("they met");
    assert!(session.unacknowledged() < 128 << 10);
    assert_eq!(pair.answerer.got.len(), 20);
    assert!(pair.answerer.got.iter().all(|got| *got == message));
}

#[test]
fn small_messages_share_an_envelope() {
    let mut pair = Pair::new(identity(1), identity(0));
    pair.connect();
    pair.settle();
    for _ in 0..100 {
        pair.caller.send(&[0; 60]);
    }
    let bytes = pair.caller.output(usize::MAX, 1);
    // The frame's length, the header, the tag; and a length for each.
    assert_eq!(bytes.len(), 2 + 25 + 16 + 100 * (4 + 60));
}

#[test]
fn a_message_comes_with_the_time_of_its_sending() {
    let mut pair = Pair::new(identity(1), identity(0));
    pair.connect();
    pair.settle();
    pair.caller.send(b"when?");
    let bytes = pair.caller.output(usize::MAX, 123_456);
    pair.answerer.take(&bytes, 5);
    assert_eq!(pair.answerer.times, [123_456]);
}

#[test]
fn what_came_before_the_end_of_a_link_can_still_be_taken() {
    let mut pair = Pair::new(identity(1), identity(0));
    pair.connect();
    pair.settle();
    for number in 0..3_u8 {
        pair.caller.send(&[number]);
    }
    let bytes = pair.caller.output(usize::MAX, 1);
    let session = pair.answerer.session.as_mut().expect("they met");
    let mut input = &bytes[..];
    let first = session.next(&mut input).expect("authentic");
    assert_eq!(first.map(|message| message.bytes), Some(&[0][..]));
    session.detach();
    for number in [1, 2] {
        let next = session.next(&mut &[][..]).expect("it was authentic");
        assert_eq!(next.map(|message| message.bytes), Some(&[number][..]));
    }
    pair.connect();
    pair.settle();
    assert_eq!(pair.answerer.got, Vec::<Vec<u8>>::new(), "none comes twice");
    assert_eq!(pair.answerer.refusal, None);
}
