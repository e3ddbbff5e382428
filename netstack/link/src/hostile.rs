//! Tests: an end that has the key and says what it likes, and any bytes at all after decryption.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

use fastrand::Rng;

use crate::envelope::{HEADER_BYTES, Header, Kind};
use crate::greeting::{self, HELLO_BYTES};
use crate::noise::{Handshake, TAG_BYTES, Transport};
use crate::outbox::GOES_ON;
use crate::welcome::Welcome;
use crate::{
    Channel, ClusterKey, CpuFeatures, Identity, LONGEST_MESSAGE, Limits, Link, Part, Reason,
    Refusal, Role, Seed, Session,
};

const KEY: [u8; 32] = [3; 32];
const CALLS: Role = Role::Calls {
    node: 0,
    channel: Channel::Bulk,
};
/// Many, where the code is optimised.
const INPUTS: u64 = if cfg!(debug_assertions) {
    50_000
} else {
    500_000
};

fn identity(node: u16) -> Identity {
    Identity {
        node,
        incarnation: u64::from(node) + 9,
        cluster_size: 2,
        cpus: 1,
        image: [4; 32],
        features: CpuFeatures::default(),
    }
}

/// A node that calls with bytes of the test's own.
struct Caller {
    transport: Transport,
    sealed: Vec<u8>,
}

impl Caller {
    /// Has the handshake behind it.
    fn new(answering: &mut Link) -> Self {
        let key = ClusterKey::new(KEY);
        let (handshake, call) = Handshake::call(&key, Seed::new([1; 32]));
        let mut bytes = Vec::from((call.len() as u16).to_le_bytes());
        bytes.extend(call);
        answering
            .receive(&mut &bytes[..], 0)
            .expect("it has the key");
        let answer = answering.output()[2..].first_chunk().expect("an answer");
        let transport = handshake.finish(answer).expect("it has the key");
        let sealed = Vec::new();
        Self { transport, sealed }
    }

    fn seal(&mut self, plain: &[u8]) {
        let length = plain.len() + TAG_BYTES;
        self.sealed.extend((length as u16).to_le_bytes());
        let start = self.sealed.len();
        self.sealed.resize(start + length, 0);
        self.transport.seal(plain, &mut self.sealed[start..]);
    }

    fn say(&mut self, kind: Kind, sequence: u64, acknowledged: u64, body: &[u8]) {
        let header = Header {
            kind,
            sequence,
            acknowledged,
            time: 0,
        };
        self.seal(&[&header.encode(), body].concat());
    }
}

fn answering() -> Link {
    let key = ClusterKey::new(KEY);
    Link::new(identity(0), Role::Answers, &key, Seed::new([2; 32]), 0)
}

/// What a node does that has heard `say`, before it knows who speaks.
fn greeted_with(say: impl FnOnce(&mut Caller)) -> Reason {
    let mut link = answering();
    let mut caller = Caller::new(&mut link);
    say(&mut caller);
    match link.receive(&mut &caller.sealed[..], 0) {
        Err(Refusal::Here(reason)) => reason,
        other => panic!("it is not refused: {other:?}"),
    }
}

/// A link at whose other end is a node of the cluster.
fn met_again() -> (Box<Link>, Caller) {
    let mut link = answering();
    let mut caller = Caller::new(&mut link);
    caller.say(Kind::Hello, 0, 0, &greeting::hello(&identity(1), CALLS));
    let peer = link.receive(&mut &caller.sealed[..], 0);
    assert!(peer.is_ok_and(|peer| peer.is_some()));
    caller.sealed.clear();
    (Box::new(link), caller)
}

fn met() -> (Session, Caller) {
    let (link, caller) = met_again();
    let peer = link.peer().expect("they have met");
    let mut session = Session::new(peer, Limits::default());
    session.attach(link, 0).ok().expect("the same");
    (session, caller)
}

/// What a node does that has heard `say`, once it has met its peer.
fn met_with(say: impl FnOnce(&mut Caller)) -> Reason {
    let (mut session, mut caller) = met();
    say(&mut caller);
    let mut input = &caller.sealed[..];
    let refusal = loop {
        match session.next(&mut input) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it is not refused"),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(session.next(&mut input), Err(refusal), "and stays so");
    match refusal {
        Refusal::Here(reason) => reason,
        Refusal::There(_) => panic!("it has said nothing of that kind"),
    }
}

fn welcome(caller: &mut Caller) {
    caller.say(Kind::Welcome, 0, 0, &Welcome::default().encode());
}

fn malformed(part: Part) -> Reason {
    Reason::Malformed { part }
}

#[test]
fn other_versions_are_refused_whatever_follows() {
    let reason = greeted_with(|caller| caller.say(Kind::Hello, 0, 0, &[2, 0, 99]));
    let (found, expected) = (2, 1);
    assert_eq!(reason, Reason::Version { found, expected });
}

#[test]
fn a_hello_is_as_long_as_it_has_to_be() {
    let hello = greeting::hello(&identity(1), CALLS);
    for length in 0..HELLO_BYTES {
        let reason = greeted_with(|caller| caller.say(Kind::Hello, 0, 0, &hello[..length]));
        assert_eq!(reason, malformed(Part::Hello), "{length} bytes");
    }
    let longer = [&hello[..], &[0]].concat();
    let reason = greeted_with(|caller| caller.say(Kind::Hello, 0, 0, &longer));
    assert_eq!(reason, malformed(Part::Hello));
}

#[test]
fn channels_that_are_not_there_are_refused() {
    let mut hello = greeting::hello(&identity(1), CALLS);
    for found in [0, 3] {
        hello[6] = found;
        let reason = greeted_with(|caller| caller.say(Kind::Hello, 0, 0, &hello));
        assert_eq!(reason, Reason::Channel { found });
    }
}

#[test]
fn what_comes_out_of_turn_is_refused() {
    let turn = malformed(Part::Turn);
    assert_eq!(greeted_with(welcome), turn);
    let data = |caller: &mut Caller| caller.say(Kind::Data, 1, 0, &[0; 4]);
    assert_eq!(greeted_with(data), turn);
    assert_eq!(met_with(data), turn, "before the welcome");
    let hello = greeting::hello(&identity(1), CALLS);
    let again = |caller: &mut Caller| caller.say(Kind::Hello, 0, 0, &hello);
    assert_eq!(met_with(again), turn);
    let twice = |caller: &mut Caller| {
        welcome(caller);
        welcome(caller);
    };
    assert_eq!(met_with(twice), turn);
}

#[test]
fn envelopes_have_a_kind_and_a_number_where_they_must() {
    let header = malformed(Part::Header);
    let unknown = |caller: &mut Caller| caller.seal(&[9; HEADER_BYTES]);
    assert_eq!(greeted_with(unknown), header);
    let numbered = |caller: &mut Caller| caller.say(Kind::Ack, 1, 0, &[]);
    assert_eq!(met_with(numbered), header);
    let unnumbered = |caller: &mut Caller| caller.say(Kind::Data, 0, 0, &[0; 4]);
    assert_eq!(met_with(unnumbered), header);
}

#[test]
fn envelopes_come_in_order() {
    for found in [2, u64::MAX] {
        let reason = met_with(|caller| {
            welcome(caller);
            caller.say(Kind::Data, found, 0, &[0; 4]);
        });
        let expected = 1;
        assert_eq!(reason, Reason::Sequence { found, expected });
    }
    let twice = met_with(|caller| {
        welcome(caller);
        caller.say(Kind::Data, 1, 0, &[0; 4]);
        caller.say(Kind::Data, 1, 0, &[0; 4]);
    });
    let (found, expected) = (1, 2);
    assert_eq!(twice, Reason::Sequence { found, expected });
}

#[test]
fn what_was_not_sent_cannot_be_acknowledged() {
    let (found, sent) = (7, 0);
    let wrong = Reason::Acknowledged { found, sent };
    for kind in [Kind::Ack, Kind::Data] {
        let reason = met_with(|caller| {
            welcome(caller);
            caller.say(kind, u64::from(kind == Kind::Data), found, &[0; 4]);
        });
        assert_eq!(reason, wrong);
    }
}

#[test]
fn a_session_that_never_was_is_refused() {
    let of_old = Welcome {
        session: 5,
        received: 7,
        acknowledged: 0,
    };
    let reason = met_with(|caller| caller.say(Kind::Welcome, 0, 0, &of_old.encode()));
    assert_eq!(reason, Reason::SessionLost);
    let reason = met_with(|caller| caller.say(Kind::Welcome, 0, 0, &[1, 2]));
    assert_eq!(reason, malformed(Part::Welcome));
}

#[test]
fn what_was_never_received_was_not_acknowledged_before() {
    let (mut session, mut caller) = met();
    welcome(&mut caller);
    caller.say(Kind::Data, 1, 0, &[0; 4]);
    let message = session.next(&mut &caller.sealed[..]);
    assert!(message.is_ok_and(|message| message.is_some()));
    for (acknowledged, expected) in [(1, Ok(None)), (2, Err(Refusal::Here(Reason::SessionLost)))] {
        let (link, mut caller) = met_again();
        session.attach(link, 0).ok().expect("the same");
        let theirs = Welcome {
            session: session.id(),
            received: 0,
            acknowledged,
        };
        caller.say(Kind::Welcome, 0, 0, &theirs.encode());
        assert_eq!(session.next(&mut &caller.sealed[..]), expected);
    }
}

#[test]
fn lengths_of_messages_are_those_of_the_envelope() {
    let length = |length: u32, flag: u32| (length | flag).to_le_bytes().to_vec();
    let wrong = [
        Vec::new(),
        length(1, 0),
        length(0, 0)[..3].to_vec(),
        length(0, GOES_ON),
        length(u32::MAX, GOES_ON),
        // It would have to go on only where the envelope ends.
        [length(1, GOES_ON), length(0, 0)].concat(),
    ];
    for body in wrong {
        let reason = met_with(|caller| {
            welcome(caller);
            caller.say(Kind::Data, 1, 0, &body);
        });
        assert_eq!(reason, malformed(Part::Data), "{body:?}");
    }
}

#[test]
fn messages_do_not_go_on_for_ever() {
    let piece = [7; 60_000];
    let body = [&(piece.len() as u32 | GOES_ON).to_le_bytes()[..], &piece].concat();
    let reason = met_with(|caller| {
        welcome(caller);
        for number in 1..=(LONGEST_MESSAGE / piece.len() + 1) as u64 {
            caller.say(Kind::Data, number, 0, &body);
        }
    });
    assert_eq!(reason, Reason::MessageTooLong);
}

#[test]
fn a_close_that_makes_no_sense_is_refused_and_one_of_a_later_version_is_not() {
    let empty = |caller: &mut Caller| caller.say(Kind::Close, 0, 0, &[]);
    assert_eq!(met_with(empty), malformed(Part::Close));
    let (mut session, mut caller) = met();
    caller.say(Kind::Close, 0, 0, &[200, 1, 2, 3]);
    let later = Refusal::There(Reason::Unknown { code: 200 });
    assert_eq!(session.next(&mut &caller.sealed[..]), Err(later));
}

fn some_reasons(rng: &mut Rng) -> Vec<Reason> {
    let (found, expected) = (rng.u16(..), rng.u16(..));
    let (a, b) = (rng.u64(..), rng.u64(..));
    let features = |word| CpuFeatures {
        xcr0: word,
        cpuid: [word ^ 1, word ^ 2, word ^ 3],
    };
    Vec::from([
        Reason::WrongKey,
        Reason::NotALink { found },
        Reason::TooSlow,
        Reason::Version { found, expected },
        Reason::ClusterSize { found, expected },
        Reason::NodeOutOfRange {
            node: found,
            size: expected,
        },
        Reason::NodeTaken { node: found },
        Reason::Itself { node: found },
        Reason::OtherNode { found, expected },
        Reason::Channel { found: 7 },
        Reason::Image {
            found: [found as u8; 32],
            expected: [expected as u8; 32],
        },
        Reason::Features {
            found: features(a),
            expected: features(b),
        },
        Reason::Forged { after: a },
        Reason::Length { found },
        malformed(Part::Turn),
        Reason::Sequence {
            found: a,
            expected: b,
        },
        Reason::Acknowledged { found: a, sent: b },
        Reason::MessageTooLong,
        Reason::SessionLost,
        Reason::Leaving,
        Reason::Unknown { code: 99 },
    ])
}

#[test]
fn every_reason_is_told_as_it_is_and_printed() {
    let mut rng = Rng::with_seed(5);
    for reason in some_reasons(&mut rng) {
        let bytes = reason.encode();
        assert_eq!(Reason::decode(&bytes), Some(reason));
        if !matches!(reason, Reason::Unknown { .. }) {
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(Reason::decode(&longer), None, "{reason}");
            assert_eq!(Reason::decode(&bytes[..bytes.len() - 1]), None, "{reason}");
        }
        let line = reason.to_string();
        assert!(line.len() > 40 && !line.contains('\n'), "{line}");
    }
}

/// Valid bodies of envelopes of all kinds, to be changed.
fn corpus(rng: &mut Rng) -> Vec<(Kind, Vec<u8>)> {
    let mut corpus = Vec::from([
        (Kind::Hello, greeting::hello(&identity(1), CALLS).to_vec()),
        (Kind::Welcome, Welcome::default().encode().to_vec()),
        (Kind::Ack, Vec::new()),
        (Kind::Data, [&5_u32.to_le_bytes()[..], &[1; 5]].concat()),
        (Kind::Data, [5 | GOES_ON, 0].map(u32::to_le_bytes).concat()),
        (
            Kind::Data,
            [&(5 | GOES_ON).to_le_bytes()[..], &[1; 5]].concat(),
        ),
    ]);
    let reasons = some_reasons(rng).into_iter();
    corpus.extend(reasons.map(|reason| (Kind::Close, reason.encode())));
    corpus
}

fn changed(rng: &mut Rng, bytes: &mut Vec<u8>) {
    match rng.u8(..8) {
        0..3 => {}
        3 => bytes.truncate(rng.usize(..=bytes.len())),
        4 => bytes.push(rng.u8(..)),
        5 => {
            bytes.resize(rng.usize(..200), 0);
            rng.fill(bytes);
        }
        _ if bytes.is_empty() => {}
        _ => {
            let place = rng.usize(..bytes.len());
            bytes[place] ^= 1 << rng.u8(..8);
        }
    }
}

#[test]
fn any_bytes_after_decryption_are_understood_or_refused() {
    let mut rng = Rng::with_seed(0x11c5);
    let corpus = corpus(&mut rng);
    let (mut session, _) = met();
    let mut tally = BTreeMap::<String, u64>::new();
    for input in 0..INPUTS {
        let (kind, mut body) = corpus[rng.usize(..corpus.len())].clone();
        changed(&mut rng, &mut body);
        let header = Header {
            kind,
            sequence: match (kind, rng.u8(..10)) {
                (_, 0) => rng.u64(..),
                (Kind::Data, _) => session_next(&session),
                _ => 0,
            },
            acknowledged: if rng.u8(..10) == 0 { rng.u64(..) } else { 0 },
            time: rng.u64(..),
        };
        let mut envelope = [&header.encode()[..], &body].concat();
        if rng.u8(..20) == 0 {
            changed(&mut rng, &mut envelope);
        }
        let outcome = understand(&mut session, &envelope);
        let name = match outcome {
            Ok(()) => "Ok".to_string(),
            Err(reason) => std::format!("{reason:?}"),
        };
        let name = name.split([' ', '(', '{']).next().unwrap_or_default();
        *tally.entry(name.into()).or_default() += 1;
        // One that broke a rule ends a session; here it goes on, with a new one now and then.
        if outcome.is_err() && input % 64 == 0 {
            session = met().0;
        }
    }
    let names: Vec<&str> = tally.keys().map(String::as_str).collect();
    let expected = ["Acknowledged", "Malformed", "Ok", "Sequence", "SessionLost"];
    for name in expected {
        assert!(names.contains(&name), "{name} is in none of {tally:?}");
    }
}

fn session_next(session: &Session) -> u64 {
    session.last_received() + 1
}

/// What a session and a link make of a decrypted envelope.
fn understand(session: &mut Session, envelope: &[u8]) -> Result<(), Reason> {
    let header = Header::decode(envelope).ok_or(malformed(Part::Header))?;
    let body = &envelope[HEADER_BYTES..];
    match header.kind {
        Kind::Hello => {
            greeting::admit(&identity(0), Role::Answers, body, header.time)?;
        }
        Kind::Close => {
            Reason::decode(body).ok_or(malformed(Part::Close))?;
        }
        _ => session.heard(envelope, header)?,
    }
    Ok(())
}
