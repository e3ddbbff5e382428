//! Any message that nodes say, kind by kind.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod cluster;
pub mod locks;
pub mod parking;

use darner_coherence::{
    Access, Advice, Backing, Collector, Content, Epoch, Grant, Message, NodeId, Outcome, Packet,
    PageIndex, Purpose, Reported, RequestId, Rights, Serial, Used, Written,
};
use darner_wire::{Kind, PAGES};
use proptest::prelude::*;
use proptest::sample::select;

fn page() -> impl Strategy<Value = PageIndex> {
    let last = PAGES - 1;
    prop_oneof![0..=last, last - 70..=last, 0..70_u64].prop_map(PageIndex)
}

/// A page that so many more follow.
fn page_before(more: u64) -> impl Strategy<Value = PageIndex> {
    page().prop_map(move |page| PageIndex(page.0.min(PAGES - 1 - more)))
}

fn node() -> impl Strategy<Value = NodeId> {
    any::<u16>().prop_map(NodeId)
}

fn id() -> impl Strategy<Value = RequestId> {
    any::<u32>().prop_map(RequestId)
}

fn serial() -> impl Strategy<Value = Serial> {
    any::<u64>().prop_map(Serial)
}

fn access() -> impl Strategy<Value = Access> {
    select(vec![Access::Read, Access::Write])
}

fn rights() -> impl Strategy<Value = Rights> {
    select(vec![Rights::Read, Rights::Write])
}

fn backing() -> impl Strategy<Value = Backing> {
    select(vec![Backing::Current, Backing::Older])
}

fn content() -> impl Strategy<Value = Content> {
    select(vec![Content::Nothing, Content::Zero, Content::Bytes])
}

fn brought() -> impl Strategy<Value = Content> {
    select(vec![Content::Zero, Content::Bytes])
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let written = select(vec![Written::Never, Written::Before, Written::Here]);
    prop_oneof![
        written
            .clone()
            .prop_map(|written| Outcome::Shared { written }),
        written.prop_map(|written| Outcome::Gave { written }),
        Just(Outcome::NotHeld),
    ]
}

fn get() -> impl Strategy<Value = Message> {
    (
        page_before(15),
        1..=16_u8,
        access(),
        proptest::option::of(serial()),
        id(),
    )
        .prop_map(|(page, run, access, have, id)| Message::Get {
            page,
            run,
            access,
            have,
            id,
        })
}

fn forward() -> impl Strategy<Value = Message> {
    let advice = select(vec![Advice::Share, Advice::Migrate]);
    let numbers = (id(), serial(), any::<u16>(), id());
    (page(), access(), node(), advice, numbers).prop_map(
        |(page, access, requester, advice, (id, serial, acks, seen))| Message::Forward {
            page,
            access,
            requester,
            id,
            serial,
            acks,
            advice,
            seen,
        },
    )
}

fn grant() -> impl Strategy<Value = Message> {
    let what = (1..=u16::MAX, rights(), backing(), content());
    (page_before(15), what, id(), serial(), any::<u16>()).prop_map(
        |(page, (mask, rights, backing, content), id, serial, acks)| {
            let mask = if content == Content::Nothing {
                1
            } else {
                mask | 1
            };
            Message::Grant(Grant {
                page,
                mask,
                id,
                rights,
                serial,
                acks,
                backing,
                content,
            })
        },
    )
}

fn of_page_and_id(message: fn(PageIndex, RequestId) -> Message) -> BoxedStrategy<Message> {
    (page(), id())
        .prop_map(move |(page, id)| message(page, id))
        .boxed()
}

fn of_page(message: fn(PageIndex) -> Message) -> BoxedStrategy<Message> {
    page().prop_map(message).boxed()
}

/// Each kind of message, and any message of that kind.
pub fn kinds() -> Vec<(Kind, BoxedStrategy<Message>)> {
    let purpose = select(vec![Purpose::Return, Purpose::Drop, Purpose::Share]);
    vec![
        (Kind::Get, get().boxed()),
        (
            Kind::Note,
            (page(), outcome())
                .prop_map(|(page, outcome)| Message::Note { page, outcome })
                .boxed(),
        ),
        (
            Kind::WriteBack,
            (page(), brought())
                .prop_map(|(page, content)| Message::WriteBack { page, content })
                .boxed(),
        ),
        (
            Kind::Discard,
            (page_before(63), 1..=64_u8, id())
                .prop_map(|(page, run, id)| Message::Discard { page, run, id })
                .boxed(),
        ),
        (
            Kind::Recalled,
            (page(), content())
                .prop_map(|(page, content)| Message::Recalled { page, content })
                .boxed(),
        ),
        (Kind::Forward, forward().boxed()),
        (
            Kind::Invalidate,
            (page(), node(), id(), id())
                .prop_map(|(page, node, id, seen)| Message::Invalidate {
                    page,
                    collector: Collector { node, id },
                    seen,
                })
                .boxed(),
        ),
        (
            Kind::Recall,
            (page(), purpose, id())
                .prop_map(|(page, purpose, seen)| Message::Recall {
                    page,
                    purpose,
                    seen,
                })
                .boxed(),
        ),
        (
            Kind::WrittenBack,
            of_page(|page| Message::WrittenBack { page }),
        ),
        (
            Kind::Discarded,
            (page_before(63), any::<u64>(), id())
                .prop_map(|(page, mask, id)| Message::Discarded { page, mask, id })
                .boxed(),
        ),
        (
            Kind::Redirect,
            (page(), node(), any::<u64>(), proptest::option::of(id()))
                .prop_map(|(page, home, mask, id)| Message::Redirect {
                    page,
                    home,
                    mask,
                    id,
                })
                .boxed(),
        ),
        (
            Kind::Parked,
            of_page_and_id(|page, id| Message::Parked { page, id }),
        ),
        (
            Kind::Lost,
            of_page_and_id(|page, id| Message::Lost { page, id }),
        ),
        (Kind::Grant, grant().boxed()),
        (
            Kind::Acked,
            of_page_and_id(|page, id| Message::Acked { page, id }),
        ),
        (
            Kind::Adopt,
            (page(), serial(), serial(), brought())
                .prop_map(|(page, serial, clock, content)| Message::Adopt {
                    page,
                    serial,
                    clock,
                    content,
                })
                .boxed(),
        ),
        (Kind::Adopted, of_page(|page| Message::Adopted { page })),
        (
            Kind::Moved,
            (page(), node(), serial())
                .prop_map(|(page, to, stamp)| Message::Moved { page, to, stamp })
                .boxed(),
        ),
        (
            Kind::MovedKnown,
            of_page(|page| Message::MovedKnown { page }),
        ),
        (
            Kind::Report,
            (page(), rights(), serial(), backing())
                .prop_map(|(page, rights, serial, backing)| Message::Report {
                    page,
                    copy: Reported {
                        rights,
                        serial,
                        backing,
                    },
                })
                .boxed(),
        ),
        (
            Kind::Unserved,
            (page(), node(), id())
                .prop_map(|(page, asked, id)| Message::Unserved { page, asked, id })
                .boxed(),
        ),
        (Kind::Drained, Just(Message::Drained).boxed()),
        (Kind::ReportsEnd, Just(Message::ReportsEnd).boxed()),
        (
            Kind::Keep,
            (page(), serial())
                .prop_map(|(page, serial)| Message::Keep { page, serial })
                .boxed(),
        ),
        (Kind::Resume, Just(Message::Resume).boxed()),
        (Kind::Yours, of_page(|page| Message::Yours { page })),
        (
            Kind::Claim,
            (page(), node(), id())
                .prop_map(|(page, owner, granted)| Message::Claim {
                    page,
                    owner,
                    granted,
                })
                .boxed(),
        ),
        (
            Kind::Push,
            (page(), serial(), brought())
                .prop_map(|(page, serial, content)| Message::Push {
                    page,
                    serial,
                    content,
                })
                .boxed(),
        ),
        (
            Kind::Dropped,
            (
                page(),
                serial(),
                id(),
                prop_oneof![Just(Used::Yes), Just(Used::No)],
            )
                .prop_map(|(page, serial, seen, used)| Message::Dropped {
                    page,
                    serial,
                    seen,
                    used,
                })
                .boxed(),
        ),
        (
            Kind::Blank,
            (page(), 1..=u64::MAX)
                .prop_map(|(page, pages)| Message::Blank { page, pages })
                .boxed(),
        ),
    ]
}

/// Any packet with a message of the `kind`-th kind.
pub fn packet_of(kind: usize) -> impl Strategy<Value = Packet> {
    let (_, message) = kinds().swap_remove(kind);
    (any::<u32>(), message).prop_map(|(epoch, message)| Packet {
        epoch: Epoch(epoch),
        message,
    })
}

/// Any packet.
pub fn packet() -> impl Strategy<Value = Packet> {
    (0..kinds().len()).prop_flat_map(packet_of)
}
