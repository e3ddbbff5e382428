extern crate std;

use std::format;
use std::vec::Vec;

use proptest::prelude::*;

use super::{BadSample, HEADER, HotPage, MAGIC, MOST_BYTES, MOST_CPUS, MOST_PAGES, Place, Sample};
use crate::cluster::WORDS;

fn body_of(sample: &Sample) -> Vec<u8> {
    let mut bytes = [0xff; MOST_BYTES];
    let length = sample.encode(&mut bytes);
    let header = bytes[..HEADER].try_into().unwrap();
    assert_eq!(Sample::length(header), Ok(length - HEADER));
    bytes[HEADER..length].to_vec()
}

fn place() -> impl Strategy<Value = Place> {
    let kind_and_value = (0..8_u64, prop_oneof![0..2_u64, any::<u64>()]);
    kind_and_value.prop_filter_map("a place", |(kind, value)| Place::of(kind, value))
}

fn page() -> impl Strategy<Value = HotPage> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u16>());
    (numbers, place()).prop_map(|((address, faults, error, node), place)| HotPage {
        address,
        faults,
        error,
        node,
        place,
    })
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..1000_u64, any::<u64>()]
}

fn sample() -> impl Strategy<Value = Sample> {
    let singles = proptest::array::uniform6(number());
    let cpus = proptest::collection::vec(number(), 0..=MOST_CPUS);
    let words = proptest::collection::vec(number(), WORDS);
    let pages = proptest::collection::vec(page(), 0..=MOST_PAGES);
    (singles, cpus, words, pages).prop_map(|(singles, cpus, words, pages)| {
        let mut sample = Sample::default();
        let places = sample.singles_mut().into_iter();
        places.zip(singles).for_each(|(place, one)| *place = one);
        sample.set_idle_ns(cpus);
        sample.counted.words_mut().copy_from_slice(&words);
        sample.set_hot(pages);
        sample
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(sample in sample()) {
        prop_assert_eq!(Sample::decode(&body_of(&sample)), Ok(sample));
    }

    #[test]
    fn what_is_cut_off_is_refused(sample in sample(), keep in any::<prop::sample::Index>()) {
        let body = body_of(&sample);
        let kept = &body[..keep.index(body.len())];
        prop_assert_eq!(Sample::decode(kept), Err(BadSample::Cut));
    }

    /// There is one way to write a sample: what is read is written the same.
    #[test]
    fn damage_is_refused_or_another_sample(
        sample in sample(),
        at in any::<prop::sample::Index>(),
        with in 1..=255_u8,
    ) {
        let mut body = body_of(&sample);
        let at = at.index(body.len());
        body[at] ^= with;
        if let Ok(read) = Sample::decode(&body) {
            prop_assert_ne!(&read, &sample);
            prop_assert_eq!(body_of(&read), body);
        }
    }

    #[test]
    fn anything_is_refused_or_a_sample(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(read) = Sample::decode(&body) {
            prop_assert_eq!(body_of(&read), body);
        }
    }
}

#[test]
fn the_largest_sample_fits() {
    let mut sample = Sample::default();
    for single in sample.singles_mut() {
        *single = u64::MAX;
    }
    sample.set_idle_ns([u64::MAX; MOST_CPUS + 1]);
    sample.counted.words_mut().fill(u64::MAX);
    let page = HotPage {
        address: u64::MAX,
        faults: u64::MAX,
        error: u64::MAX,
        node: u16::MAX,
        place: Place::Variable(u64::MAX),
    };
    sample.set_hot([page; MOST_PAGES + 1]);
    assert_eq!(sample.idle_ns().len(), MOST_CPUS);
    assert_eq!(sample.hot().len(), MOST_PAGES);
    assert_eq!(Sample::decode(&body_of(&sample)), Ok(sample));
}

#[test]
fn headers_are_looked_at() {
    let header = |magic: [u8; 4], length: u16| {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&magic);
        header[4..].copy_from_slice(&length.to_le_bytes());
        Sample::length(header)
    };
    let most = MOST_BYTES - HEADER;
    assert_eq!(header(MAGIC, most as u16), Ok(most));
    assert_eq!(
        header(MAGIC, most as u16 + 1),
        Err(BadSample::TooLong(most + 1))
    );
    assert_eq!(header(*b"DRNT", 1), Err(BadSample::NoMagic(*b"DRNT")));
}

/// The numbers before those of CPUs, and what is behind them.
fn with(rest: &[u8]) -> Result<Sample, BadSample> {
    Sample::decode(&[&[1; 6], rest].concat())
}

#[test]
fn errors_say_what_is_wrong() {
    assert!(with(&[0, 0, 0]).is_ok());
    for (rest, expected) in [
        (&[][..], BadSample::Cut),
        (&[0, 0, 0, 9], BadSample::Left(1)),
        (&[65], BadSample::TooMany("CPUs", 65)),
        (&[0x80, 0], BadSample::BadNumber),
        (
            &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            BadSample::BadNumber,
        ),
        (
            &[
                1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81,
            ],
            BadSample::BadNumber,
        ),
        // The same place twice, a number that is 0, a place that is not there.
        (
            &[0, 2, 3, 1, 0, 1, 0],
            BadSample::Counted { behind: 0, word: 1 },
        ),
        (&[0, 1, 3, 0, 0], BadSample::Counted { behind: 3, word: 0 }),
        (
            &[0, 1, 0xff, 0x7f, 1, 0],
            BadSample::Counted {
                behind: 0x3fff,
                word: 1,
            },
        ),
        (&[0, 0, 17], BadSample::TooMany("pages", 17)),
        (
            &[0, 0, 1, 1, 1, 0, 0x80, 0x80, 4, 0, 0],
            BadSample::Node(0x1_0000),
        ),
        (&[0, 0, 1, 1, 1, 0, 0, 8, 0], BadSample::Place(8, 0)),
        (&[0, 0, 1, 1, 1, 0, 0, 4, 1], BadSample::Place(4, 1)),
        (
            &[0, 0, 1, 1, 1, 0, 0, 5, 0x80, 0x80, 0x80, 0x80, 0x10],
            BadSample::Place(5, 1 << 32),
        ),
    ] {
        assert_eq!(with(rest), Err(expected), "{rest:x?}");
        assert!(format!("{expected}").starts_with("found "));
    }
}
