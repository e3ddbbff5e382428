//! Any bytes: they are refused, or are exactly what the message that they are is encoded as.
//!
//! Half of the inputs are packets with something changed, the rest random bytes, most of them
//! behind a beginning that gets them past the first rules.

mod common;

use common::{cluster, kinds, locks, packet_of, parking};
use darner_coherence::Packet;
use darner_wire::{
    LONGEST_HEADER, LONGEST_PACKET, PAGE_BYTES, Refusal, Said, VERSION, encode, encode_cluster,
    encode_locks, encode_parking, parse,
};
use fastrand::Rng;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::time::Instant;

/// Many, where the code is optimised.
const INPUTS: u64 = if cfg!(debug_assertions) {
    300_000
} else {
    10_000_000
};

const OF_EACH_KIND: usize = 40;

/// Valid headers of each kind, and the bytes of pages that belong to them.
fn corpus() -> Vec<(Vec<u8>, usize)> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[6; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut headers = Vec::new();
    for kind in 0..kinds().len() {
        let packets = packet_of(kind);
        for _ in 0..OF_EACH_KIND {
            let packet: Packet = packets.new_tree(&mut runner).expect("a packet").current();
            let header = encode(&packet).expect("a message that nodes say");
            headers.push((header.bytes().to_vec(), header.page_bytes()));
        }
    }
    for kind in 0..cluster::kinds().len() {
        let packets = cluster::packet_of(kind);
        for _ in 0..OF_EACH_KIND {
            let packet = packets.new_tree(&mut runner).expect("a packet").current();
            let whole = encode_cluster(&packet).expect("a message that nodes say");
            headers.push((whole.bytes().to_vec(), 0));
        }
    }
    for kind in 0..locks::kinds().len() {
        let packets = locks::packet_of(kind);
        for _ in 0..OF_EACH_KIND {
            let packet = packets.new_tree(&mut runner).expect("a packet").current();
            headers.push((encode_locks(&packet).bytes().to_vec(), 0));
        }
    }
    for kind in 0..parking::kinds().len() {
        let packets = parking::packet_of(kind);
        for _ in 0..OF_EACH_KIND {
            let packet = packets.new_tree(&mut runner).expect("a packet").current();
            headers.push((encode_parking(&packet).bytes().to_vec(), 0));
        }
    }
    headers
}

/// What was found out.
#[derive(Default)]
struct Tally {
    accepted: BTreeMap<u8, u64>,
    refused: BTreeMap<&'static str, u64>,
}

fn name(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoHeader { .. } => "no header",
        Refusal::Version { .. } => "version",
        Refusal::UnknownKind { .. } => "unknown kind",
        Refusal::Length { .. } => "length",
        Refusal::ReservedSet => "reserved set",
        Refusal::Meaningless { field } => field,
        Refusal::PageOutOfRange => "page out of range",
        Refusal::Run { .. } => "run",
        Refusal::FirstPageLeftOut => "first page left out",
        Refusal::PageMissing => "page missing",
        Refusal::EmptyRange => "empty range",
        Refusal::TooManySlots { .. } => "too many slots",
        _ => "a rule that no bytes can break",
    }
}

/// All that bytes can be refused for.
const REASONS: [&str; 24] = [
    "abort reason",
    "answer",
    "content",
    "empty range",
    "first page left out",
    "join refusal",
    "left",
    "length",
    "no header",
    "outcome",
    "page missing",
    "page out of range",
    "purpose",
    "reserved set",
    "rest",
    "run",
    "standing",
    "tickets",
    "tie break",
    "too many slots",
    "unknown kind",
    "version",
    "wish",
    "written",
];

impl Tally {
    fn look_at(&mut self, bytes: &[u8]) {
        match parse(bytes) {
            Err(refusal) => *self.refused.entry(name(refusal)).or_default() += 1,
            Ok(Said::Cluster(packet)) => {
                let whole = encode_cluster(&packet).expect("what was parsed can be said");
                assert_eq!(bytes, whole.bytes(), "another spelling of {packet:?}");
                *self.accepted.entry(bytes[1]).or_default() += 1;
            }
            Ok(Said::Locks(packet)) => {
                let whole = encode_locks(&packet);
                assert_eq!(bytes, whole.bytes(), "another spelling of {packet:?}");
                *self.accepted.entry(bytes[1]).or_default() += 1;
            }
            Ok(Said::Parking(packet)) => {
                let whole = encode_parking(&packet);
                assert_eq!(bytes, whole.bytes(), "another spelling of {packet:?}");
                *self.accepted.entry(bytes[1]).or_default() += 1;
            }
            Ok(Said::Coherence(parsed)) => {
                let header = encode(&parsed.packet).expect("what was parsed can be said");
                let (head, pages) = bytes.split_at(header.bytes().len());
                assert_eq!(
                    head,
                    header.bytes(),
                    "another spelling of {:?}",
                    parsed.packet
                );
                assert_eq!(pages.len(), header.page_bytes());
                assert_eq!(pages.as_ptr_range(), parsed.pages.as_ptr_range());
                *self.accepted.entry(head[1]).or_default() += 1;
            }
        }
    }
}

/// A buffer of the longest packet, of which inputs are the beginnings.
struct Inputs {
    rng: Rng,
    corpus: Vec<(Vec<u8>, usize)>,
    buffer: Vec<u8>,
}

impl Inputs {
    fn next(&mut self) -> &[u8] {
        let length = match self.rng.u8(..4) {
            0 | 1 => self.changed(),
            2 => self.begun(),
            _ => self.random(),
        };
        &self.buffer[..length.min(LONGEST_PACKET)]
    }

    /// A packet with up to four changes.
    fn changed(&mut self) -> usize {
        let (header, pages) = &self.corpus[self.rng.usize(..self.corpus.len())];
        self.buffer[..header.len()].copy_from_slice(header);
        let mut length = header.len() + pages;
        for _ in 0..self.rng.u8(..5) {
            let at = self.rng.usize(..header.len());
            match self.rng.u8(..6) {
                0 | 1 => self.buffer[at] ^= 1 << self.rng.u8(..8),
                2 => self.buffer[at] = [0, 1, 0x7f, 0x80, 0xff][self.rng.usize(..5)],
                3 => self.buffer[at] = self.rng.u8(..),
                4 => length = other_length(&mut self.rng, length),
                _ => {
                    let (other, _) = &self.corpus[self.rng.usize(..self.corpus.len())];
                    let end = other.len().min(header.len());
                    let start = at.min(end);
                    self.buffer[start..end].copy_from_slice(&other[start..end]);
                }
            }
        }
        length
    }

    /// Random bytes behind a version and a kind.
    fn begun(&mut self) -> usize {
        let length = self.random();
        let kinds = self.corpus.len() / OF_EACH_KIND;
        self.buffer[0] = VERSION << 4 | self.rng.u8(..16);
        self.buffer[1] = self.corpus[self.rng.usize(..kinds) * OF_EACH_KIND].0[1];
        length
    }

    fn random(&mut self) -> usize {
        self.rng.fill(&mut self.buffer[..LONGEST_HEADER + 8]);
        self.rng.usize(..LONGEST_HEADER + 8)
    }
}

fn other_length(rng: &mut Rng, length: usize) -> usize {
    match rng.u8(..4) {
        0 => rng.usize(..=length),
        1 => length + 1,
        2 => length + PAGE_BYTES,
        _ => length.saturating_sub(PAGE_BYTES),
    }
}

#[test]
fn any_bytes_are_refused_or_are_what_they_are_parsed_as() {
    let start = Instant::now();
    let mut inputs = Inputs {
        rng: Rng::with_seed(0x6e61_7272_6564),
        corpus: corpus(),
        buffer: vec![0x3c; LONGEST_PACKET],
    };
    let mut tally = Tally::default();
    for _ in 0..INPUTS {
        tally.look_at(inputs.next());
    }
    println!(
        "{INPUTS} inputs in {:.1} s; accepted, by kind: {:?}; refused: {:?}",
        start.elapsed().as_secs_f64(),
        tally.accepted,
        tally.refused
    );
    assert!(tally.refused.keys().eq(&REASONS), "{:?}", tally.refused);
    let parts = cluster::kinds().len() + locks::kinds().len() + parking::kinds().len();
    let known = kinds().len() + parts;
    assert_eq!(tally.accepted.len(), known, "{:?}", tally.accepted);
}
