//! What is refused, for which reason, and that both ends say so.

mod support;

use darner_link::{
    Channel, ClusterKey, HANDSHAKE_TIME, Identity, Link, Reason, Refusal, Role, Seed,
};
use support::{CALLS, End, KEY, Pair, identity};

fn linked(caller: Identity, answerer: Identity) -> Pair {
    let mut pair = Pair::new(caller, answerer);
    pair.connect();
    pair.settle();
    pair
}

/// Both ends refuse, for what each of them sees.
fn both_refuse(pair: &Pair, caller: Refusal, answerer: Refusal) {
    assert_eq!(pair.caller.refusal, Some(caller));
    assert_eq!(pair.answerer.refusal, Some(answerer));
    assert!(!pair.are_open());
}

#[test]
fn nodes_of_a_cluster_are_linked() {
    let pair = linked(identity(1), identity(0));
    assert!(pair.are_open());
    let (caller, answerer) = (pair.answerer.peer, pair.caller.peer);
    let (caller, answerer) = (caller.expect("they met"), answerer.expect("they met"));
    assert_eq!((caller.node, caller.cpus), (1, 3));
    assert_eq!((answerer.node, answerer.cpus), (0, 2));
    assert_eq!(caller.incarnation, 0x1001);
    assert_eq!(caller.channel, Channel::Control);
    assert_eq!(answerer.channel, Channel::Control);
    assert!(caller.time > 1_000);
}

#[test]
fn another_key_is_refused_before_anything_is_said() {
    let mut pair = Pair::new(identity(1), identity(0));
    pair.caller.key = ClusterKey::new([1; 32]);
    pair.connect();
    pair.settle();
    both_refuse(
        &pair,
        Refusal::There(Reason::WrongKey),
        Refusal::Here(Reason::WrongKey),
    );
    assert_eq!(pair.from_answerer, b"\x08\x00refused\x01");
}

#[test]
fn an_answer_with_another_key_is_refused() {
    // Whoever is in between lets the call through and answers itself.
    let mut pair = Pair::new(identity(1), identity(0));
    pair.connect();
    let call = pair.caller.output(usize::MAX, 1);
    let mut forger = Pair::new(identity(1), identity(0));
    forger.caller.key = ClusterKey::new([1; 32]);
    forger.answerer.key = ClusterKey::new([1; 32]);
    forger.connect();
    forger.settle();
    pair.answerer.take(&call, 1);
    pair.caller.take(&forger.from_answerer, 1);
    assert_eq!(pair.caller.refusal, Some(Refusal::Here(Reason::WrongKey)));
    assert_eq!(
        pair.caller.output(usize::MAX, 1),
        b"\x08\x00refused\x01",
        "it says so"
    );
}

#[test]
fn another_image_is_refused() {
    let image = [0x22; 32];
    let other = Identity {
        image,
        ..identity(1)
    };
    let (theirs, ours) = ([0x22; 32], [0x11; 32]);
    both_refuse(
        &linked(other, identity(0)),
        Refusal::Here(Reason::Image {
            found: ours,
            expected: theirs,
        }),
        Refusal::Here(Reason::Image {
            found: theirs,
            expected: ours,
        }),
    );
}

#[test]
fn other_features_of_the_cpu_are_refused() {
    let mut other = identity(1);
    other.features.cpuid[1] = 0x17;
    let (theirs, ours) = (other.features, identity(0).features);
    let pair = linked(other, identity(0));
    let refusal = Refusal::Here(Reason::Features {
        found: theirs,
        expected: ours,
    });
    both_refuse(
        &pair,
        Refusal::Here(Reason::Features {
            found: ours,
            expected: theirs,
        }),
        refusal,
    );
    assert_eq!(
        refusal.to_string(),
        "the other end is refused: CPU features differ: 7:ff:17:0, expected 7:ff:f:0; missing \
         0:0:8:0, too many 0:0:10:0; start all nodes with the same CPU model"
    );
}

#[test]
fn another_size_of_the_cluster_is_refused() {
    let other = Identity {
        cluster_size: 4,
        ..identity(1)
    };
    let size = |found, expected| Refusal::Here(Reason::ClusterSize { found, expected });
    both_refuse(&linked(other, identity(0)), size(3, 4), size(4, 3));
}

#[test]
fn a_number_beyond_the_cluster_is_refused_and_told() {
    let refused = Reason::NodeOutOfRange { node: 3, size: 3 };
    both_refuse(
        &linked(identity(3), identity(0)),
        Refusal::There(refused),
        Refusal::Here(refused),
    );
}

#[test]
fn a_node_is_not_linked_to_itself() {
    let itself = Refusal::Here(Reason::Itself { node: 0 });
    both_refuse(&linked(identity(0), identity(0)), itself, itself);
}

#[test]
fn another_machine_with_the_own_number_is_refused() {
    let other = Identity {
        incarnation: 77,
        ..identity(0)
    };
    let taken = Refusal::Here(Reason::NodeTaken { node: 0 });
    both_refuse(&linked(other, identity(0)), taken, taken);
}

#[test]
fn another_node_than_was_called_is_refused_and_told() {
    let other = Reason::OtherNode {
        found: 2,
        expected: 0,
    };
    both_refuse(
        &linked(identity(1), identity(2)),
        Refusal::Here(other),
        Refusal::There(other),
    );
}

#[test]
fn a_number_that_another_machine_has_is_told() {
    let mut pair = linked(identity(1), identity(0));
    let taken = Reason::NodeTaken { node: 1 };
    pair.answerer.refuse(taken);
    pair.settle();
    both_refuse(&pair, Refusal::There(taken), Refusal::Here(taken));
}

#[test]
fn other_programs_are_refused_by_the_first_two_bytes() {
    let mut end = End::new(identity(0));
    end.connect(Role::Answers, Seed::new([9; 32]), 0);
    end.take(b"GE", 1);
    let found = u16::from_le_bytes(*b"GE");
    assert_eq!(end.refusal, Some(Refusal::Here(Reason::NotALink { found })));
}

#[test]
fn who_has_not_been_called_is_told_nothing() {
    let mut end = End::new(identity(0));
    end.connect(Role::Answers, Seed::new([9; 32]), 0);
    end.take(b"\x08\x00refused\x01", 1);
    let refusal = Some(Refusal::Here(Reason::NotALink { found: 8 }));
    assert_eq!(end.refusal, refusal);
}

#[test]
fn who_says_nothing_is_refused_in_time() {
    for role in [CALLS, Role::Answers] {
        let me = identity(1);
        let key = ClusterKey::new(KEY);
        let mut link = Link::new(me, role, &key, Seed::new([9; 32]), 500);
        let deadline = link.deadline().expect("the handshake is bounded");
        assert_eq!(deadline, 500 + HANDSHAKE_TIME);
        assert_eq!(link.receive(&mut &[][..], deadline - 1), Ok(None));
        let refused = Err(Refusal::Here(Reason::TooSlow));
        assert_eq!(link.receive(&mut &[][..], deadline), refused);
        assert_eq!(link.receive(&mut &[][..], deadline), refused);
        assert!(link.output().ends_with(b"\x08\x00refused\x03"));
    }
}

#[test]
fn a_recorded_connection_is_refused() {
    let mut pair = linked(identity(1), identity(0));
    pair.caller.send(b"a secret");
    pair.settle();
    let recorded = pair.from_caller.clone();
    assert_eq!(pair.answerer.got.len(), 1);

    // The call may be a recording, and is answered; nothing after it is authentic.
    pair.answerer.connect(Role::Answers, Seed::new([4; 32]), 1);
    pair.answerer.take(&recorded, 1);
    let forged = Some(Refusal::Here(Reason::Forged { after: 0 }));
    assert_eq!(pair.answerer.refusal, forged);
    assert_eq!(pair.answerer.got.len(), 1);

    // An answer that was made for another call proves nothing.
    let recorded = pair.from_answerer.clone();
    pair.caller.connect(CALLS, Seed::new([5; 32]), 1);
    pair.caller.take(&recorded, 1);
    let wrong = Some(Refusal::Here(Reason::WrongKey));
    assert_eq!(pair.caller.refusal, wrong);
}

#[test]
fn a_message_that_is_repeated_is_refused_at_both_ends() {
    let mut pair = linked(identity(1), identity(0));
    pair.caller.send(b"once");
    let bytes = pair.caller.output(usize::MAX, 1);
    pair.answerer.take(&bytes, 1);
    pair.answerer.take(&bytes, 1);
    pair.settle();
    // Hello, welcome, the message.
    let forged = Reason::Forged { after: 3 };
    both_refuse(&pair, Refusal::There(forged), Refusal::Here(forged));
    assert_eq!(pair.answerer.got, [b"once"]);
}

#[test]
fn whatever_byte_is_changed_nothing_wrong_comes_out() {
    let mut pair = linked(identity(1), identity(0));
    pair.caller.send(&[7; 100]);
    let length = pair.caller.output(usize::MAX, 1).len();
    for place in 0..length {
        let mut pair = linked(identity(1), identity(0));
        pair.caller.send(&[7; 100]);
        let mut bytes = pair.caller.output(usize::MAX, 1);
        bytes[place] ^= 0x40;
        pair.answerer.take(&bytes, 1);
        pair.settle();
        assert!(pair.answerer.got.is_empty(), "byte {place}");
        // A length that is too large: the rest never comes, and the connection ends.
        let reason = pair.answerer.refusal.map(|refusal| *refusal.reason());
        let is_right = match (place, reason) {
            (0..2, Some(Reason::Forged { after: 2 }) | None) => true,
            (2.., Some(Reason::Forged { after: 2 })) => {
                let told = pair.caller.refusal;
                told == Some(Refusal::There(Reason::Forged { after: 2 }))
            }
            _ => false,
        };
        assert!(is_right, "byte {place}: {reason:?}");
    }
}

#[test]
fn frames_too_short_to_be_encrypted_are_refused_and_told() {
    let mut pair = linked(identity(1), identity(0));
    pair.answerer.take(b"\x05\x00", 1);
    pair.settle();
    let short = Reason::Length { found: 5 };
    both_refuse(&pair, Refusal::There(short), Refusal::Here(short));
}

#[test]
fn every_line_says_what_was_found_and_what_to_do() {
    let lines = [
        (
            Refusal::There(Reason::WrongKey),
            "the other end refuses this node: wrong key: the handshake does not prove the \
             cluster's key; give all nodes the same key",
        ),
        (
            Refusal::Here(Reason::Image {
                found: [0xab; 32],
                expected: [0x01; 32],
            }),
            "the other end is refused: wrong image: its hash is abababababababab, expected \
             0101010101010101; start all nodes from the same image",
        ),
        (
            Refusal::Here(Reason::Version {
                found: 2,
                expected: 1,
            }),
            "the other end is refused: wrong version: links of version 2, expected 1; start all \
             nodes with the same build of the kernel",
        ),
    ];
    for (refusal, line) in lines {
        assert_eq!(refusal.to_string(), line);
    }
}

#[test]
fn whatever_byte_is_changed_while_nodes_meet_they_are_not_linked() {
    let whole = linked(identity(1), identity(0));
    // All that is said up to the hellos.
    let hello = 2 + 25 + 81 + 16;
    let handshake = 2 + 48;
    assert!(whole.from_caller.len() > handshake + hello);
    for place in 0..handshake + hello {
        for is_callers in [true, false] {
            let mut pair = Pair::new(identity(1), identity(0));
            pair.connect();
            let (mut called, mut answered) = (0, 0);
            for _ in 0..4 {
                let mut bytes = pair.caller.output(usize::MAX, 1);
                if is_callers {
                    flip(&mut bytes, called, place);
                }
                called += bytes.len();
                pair.answerer.take(&bytes, 1);
                let mut bytes = pair.answerer.output(usize::MAX, 1);
                if !is_callers {
                    flip(&mut bytes, answered, place);
                }
                answered += bytes.len();
                pair.caller.take(&bytes, 1);
            }
            assert!(!pair.are_open(), "byte {place}");
            let reasons = [pair.caller.refusal, pair.answerer.refusal];
            let is_known = reasons.into_iter().flatten().all(|refusal| {
                let reason = refusal.reason();
                matches!(
                    reason,
                    Reason::WrongKey
                        | Reason::NotALink { .. }
                        | Reason::Length { .. }
                        | Reason::Forged { after: 0 }
                )
            });
            assert!(is_known, "byte {place}: {reasons:?}");
            // A length may have become one that is only waited for.
            let is_length = [0, 1, handshake, handshake + 1].contains(&place);
            let is_noticed = reasons.iter().any(Option::is_some);
            assert!(is_length || is_noticed, "byte {place}");
        }
    }
}

/// Changes the byte at `place` of a stream of which `bytes` begin at `start`.
fn flip(bytes: &mut [u8], start: usize, place: usize) {
    let index = place.checked_sub(start);
    if let Some(byte) = index.and_then(|index| bytes.get_mut(index)) {
        *byte ^= 0x10;
    }
}
