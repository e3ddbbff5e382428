//! Each rule, broken.

use darner_coherence::{
    Access, Backing, Content, Epoch, Grant, Message, Outcome, Packet, PageIndex, Reported,
    RequestId, Rights, Serial,
};
use darner_wire::{LONGEST_PACKET, PAGE_BYTES, PAGES, Refusal, encode, parse_coherence as parse};

const LAST: PageIndex = PageIndex(PAGES - 1);

fn packet(message: Message) -> Packet {
    Packet {
        epoch: Epoch(7),
        message,
    }
}

fn encoded(message: Message) -> Vec<u8> {
    let header = encode(&packet(message)).expect("a message that nodes say");
    let mut bytes = header.bytes().to_vec();
    bytes.resize(bytes.len() + header.page_bytes(), 0xa5);
    bytes
}

fn get(page: PageIndex, run: u8) -> Message {
    Message::Get {
        page,
        run,
        access: Access::Read,
        have: None,
        id: RequestId(1),
    }
}

fn grant(mask: u16, rights: Rights, content: Content) -> Message {
    Message::Grant(Grant {
        page: PageIndex(3),
        mask,
        id: RequestId(1),
        rights,
        serial: Serial(1),
        acks: 0,
        backing: Backing::Current,
        content,
    })
}

/// A packet with some bytes changed.
fn with(message: Message, changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = encoded(message);
    for &(at, byte) in changes {
        bytes[at] = byte;
    }
    bytes
}

fn refused(bytes: &[u8]) -> Refusal {
    parse(bytes).expect_err("it breaks a rule")
}

#[test]
fn fewer_bytes_than_any_header() {
    assert_eq!(refused(&[]), Refusal::NoHeader { found: 0 });
    assert_eq!(refused(&[0x10; 7]), Refusal::NoHeader { found: 7 });
}

#[test]
fn another_version() {
    let bytes = with(Message::Drained, &[(0, 0x20)]);
    assert_eq!(refused(&bytes), Refusal::Version { found: 2 });
}

#[test]
fn no_such_kind() {
    let bytes = with(Message::Drained, &[(1, 0xff)]);
    assert_eq!(refused(&bytes), Refusal::UnknownKind { found: 0xff });
}

#[test]
fn too_many_bytes_or_too_few() {
    let bytes = encoded(grant(0b11, Rights::Read, Content::Bytes));
    let expected = 28 + 2 * PAGE_BYTES;
    for found in (8..28).chain([28, 28 + PAGE_BYTES, expected - 1]) {
        let header_only = found < 28;
        let expected = if header_only { 28 } else { expected };
        assert_eq!(
            refused(&bytes[..found]),
            Refusal::Length { found, expected }
        );
    }
    let longer = [&bytes[..], &[0]].concat();
    let found = expected + 1;
    assert_eq!(refused(&longer), Refusal::Length { found, expected });
}

#[test]
fn a_bit_that_has_no_meaning() {
    let id_without_its_flag = with(
        Message::Redirect {
            page: LAST,
            home: darner_coherence::NodeId(1),
            id: Some(RequestId(5)),
        },
        &[(0, 0x10)],
    );
    let written_of_a_page_not_held = with(
        Message::Note {
            page: LAST,
            outcome: Outcome::NotHeld,
        },
        &[(0, 0x16)],
    );
    let count_of_what_has_none = with(Message::Resume, &[(2, 1)]);
    let flag_of_what_has_none = with(Message::Resume, &[(0, 0x11)]);
    for bytes in [
        id_without_its_flag,
        written_of_a_page_not_held,
        count_of_what_has_none,
        flag_of_what_has_none,
    ] {
        assert_eq!(refused(&bytes), Refusal::ReservedSet, "{bytes:x?}");
    }
}

#[test]
fn values_without_meaning() {
    let note = Message::Note {
        page: LAST,
        outcome: Outcome::NotHeld,
    };
    let outcome = refused(&with(note.clone(), &[(0, 0x13)]));
    assert_eq!(outcome, Refusal::Meaningless { field: "outcome" });
    let written = refused(&with(note, &[(0, 0x1c)]));
    assert_eq!(written, Refusal::Meaningless { field: "written" });
    let recalled = Message::Recalled {
        page: LAST,
        content: Content::Zero,
    };
    let content = refused(&with(recalled, &[(0, 0x1c)]));
    assert_eq!(content, Refusal::Meaningless { field: "content" });
}

#[test]
fn pages_beyond_the_end() {
    let beyond = with(Message::Adopted { page: LAST }, &[(13, 1)]);
    assert_eq!(refused(&beyond), Refusal::PageOutOfRange);
    let one_too_many = with(get(LAST, 1), &[(2, 2)]);
    assert_eq!(refused(&one_too_many), Refusal::PageOutOfRange);
    for page in [PAGES, 1 << 48, u64::MAX].map(PageIndex) {
        let packet = packet(Message::Adopted { page });
        assert_eq!(encode(&packet), Err(Refusal::PageOutOfRange));
    }
    let mask = 0b11;
    let id = RequestId(1);
    let discarded = packet(Message::Discarded {
        page: LAST,
        mask,
        id,
    });
    assert_eq!(encode(&discarded), Err(Refusal::PageOutOfRange));
}

#[test]
fn runs_of_no_pages_or_too_many() {
    for (low, high, found) in [(0, 0, 0), (17, 0, 17), (1, 1, 0x101)] {
        let bytes = with(get(PageIndex(0), 1), &[(2, low), (3, high)]);
        assert_eq!(refused(&bytes), Refusal::Run { found, most: 16 });
    }
    let id = RequestId(1);
    let discard = packet(Message::Discard {
        page: PageIndex(0),
        run: 65,
        id,
    });
    let run = Refusal::Run {
        found: 65,
        most: 64,
    };
    assert_eq!(encode(&discard), Err(run));
}

#[test]
fn a_run_without_its_first_page() {
    let bytes = with(grant(1, Rights::Read, Content::Zero), &[(14, 2)]);
    assert_eq!(refused(&bytes), Refusal::FirstPageLeftOut);
}

#[test]
fn pages_that_do_not_come() {
    let write_back = Message::WriteBack {
        page: LAST,
        content: Content::Zero,
    };
    assert_eq!(
        refused(&with(write_back, &[(0, 0x10)])),
        Refusal::PageMissing
    );
    let run = with(grant(1, Rights::Read, Content::Nothing), &[(14, 3)]);
    assert_eq!(refused(&run), Refusal::PageMissing);
}

#[test]
fn copies_without_rights() {
    let copy = Reported {
        rights: Rights::None,
        serial: Serial(0),
        backing: Backing::Current,
    };
    let report = packet(Message::Report { page: LAST, copy });
    assert_eq!(encode(&report), Err(Refusal::NoRights));
    let grant = packet(grant(1, Rights::None, Content::Zero));
    assert_eq!(encode(&grant), Err(Refusal::NoRights));
}

#[test]
fn refusals_tell_what_was_found_and_expected() {
    let version = Refusal::Version { found: 3 }.to_string();
    assert!(
        version.contains('3') && version.contains("expected 1"),
        "{version}"
    );
    let long = Refusal::FrameTooLong { found: 99_999 }.to_string();
    assert!(
        long.contains("99999") && long.contains(&LONGEST_PACKET.to_string()),
        "{long}"
    );
}
