//! Any bytes on the wire: nothing panics, nothing comes out that was not put in, and links
//! beside the one that gets them are not harmed.

mod support;

use std::collections::BTreeMap;

use darner_link::{ClusterKey, Link, Role};
use fastrand::Rng;
use support::{CALLS, KEY, Pair, identity, seed};

/// Many, where the code is optimised.
const SCALE: usize = if cfg!(debug_assertions) { 1 } else { 10 };

fn random(rng: &mut Rng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill(&mut bytes);
    bytes
}

/// Gives bytes to a link in pieces. Why it is refused, if it is.
fn give(link: &mut Link, bytes: &[u8], rng: &mut Rng) -> &'static str {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (mut piece, later) = rest.split_at(rng.usize(1..=rest.len()));
        match link.receive(&mut piece, 0) {
            Ok(None) => assert!(piece.is_empty(), "all is used that has come"),
            Ok(Some(peer)) => panic!("linked with {peer:?}"),
            Err(refusal) => {
                assert_eq!(link.refusal(), Some(refusal));
                let name = format!("{:?}", refusal.reason());
                return match name.split(' ').next() {
                    Some("WrongKey") => "wrong key",
                    Some("NotALink") => "not a link",
                    Some("TooSlow") => "too slow",
                    _ => panic!("{refusal}"),
                };
            }
        }
        rest = later;
    }
    "unfinished"
}

#[test]
fn strangers_are_refused_whatever_they_say() {
    let key = ClusterKey::new(KEY);
    let mut rng = Rng::with_seed(0xda12);
    let mut tally = BTreeMap::new();
    let me = identity(0);
    for input in 0..46_000 * SCALE {
        // Most do not even say a length that could be right.
        let mut bytes = random(&mut rng, 60);
        match input % 20 {
            0 => bytes[..2].copy_from_slice(&48_u16.to_le_bytes()),
            1 => bytes.truncate(usize::from(bytes[5] % 50)),
            _ => {}
        }
        let mut link = Link::new(me, Role::Answers, &key, seed(&mut rng), 0);
        *tally.entry(give(&mut link, &bytes, &mut rng)).or_insert(0) += 1;
    }
    let plain_close = b"\x08\x00refused\x01";
    for input in 0..4_000 * SCALE {
        let mut bytes = random(&mut rng, 60);
        match input % 3 {
            0 => bytes[..2].copy_from_slice(&48_u16.to_le_bytes()),
            1 => {
                bytes[..10].copy_from_slice(plain_close);
                bytes[rng.usize(..10)] ^= rng.u8(..4);
            }
            _ => {}
        }
        let mut link = Link::new(identity(1), CALLS, &key, seed(&mut rng), 0);
        *tally.entry(give(&mut link, &bytes, &mut rng)).or_insert(0) += 1;
    }
    let reasons: Vec<&str> = tally.keys().copied().collect();
    let expected = ["not a link", "too slow", "unfinished", "wrong key"];
    assert_eq!(reasons, expected, "{tally:?}");
}

#[test]
fn changed_bytes_between_nodes_change_no_message() {
    let mut rng = Rng::with_seed(0xda13);
    let messages: Vec<Vec<u8>> = (0..4).map(|number| vec![number; 50]).collect();
    let mut is_refused = 0;
    for _ in 0..100 * SCALE {
        let mut pair = Pair::new(identity(1), identity(0));
        pair.rng = Rng::with_seed(rng.u64(..));
        pair.connect();
        pair.settle();
        let mut bytes = Vec::new();
        for message in &messages {
            pair.caller.send(message);
            bytes.extend(pair.caller.output(usize::MAX, 1));
        }
        change(&mut rng, &mut bytes);
        pair.answerer.take(&bytes, 1);
        pair.settle();
        assert!(messages.starts_with(&pair.answerer.got));
        is_refused += usize::from(pair.answerer.refusal.is_some());
        // The session is not harmed.
        pair.connect();
        pair.settle();
        assert_eq!(pair.answerer.got, messages);
    }
    assert!(
        is_refused > 50 * SCALE,
        "{is_refused} of them were noticed at once"
    );
}

/// Something goes wrong on the way.
fn change(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let (place, other) = (rng.usize(..bytes.len()), rng.usize(..bytes.len()));
    match rng.u8(..5) {
        0 => bytes[place] ^= 1 << rng.u8(..8),
        1 => bytes.swap(place, other),
        2 => {
            bytes.drain(place.min(other)..place.max(other));
        }
        3 => bytes.insert(place, rng.u8(..)),
        _ => {
            let again = bytes[place.min(other)..].to_vec();
            bytes.extend(again);
        }
    }
}
