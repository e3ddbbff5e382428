//! Any message about range locks.

use darner_coherence::locks::{Answer, Extent, Message, Mode, Packet, Want};
use darner_coherence::ranges::{ObjectId, Span};
use darner_coherence::{Epoch, NodeId, RequestId};
use darner_wire::LockKind;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn id() -> impl Strategy<Value = RequestId> {
    any::<u32>().prop_map(RequestId)
}

fn node() -> impl Strategy<Value = NodeId> {
    any::<u16>().prop_map(NodeId)
}

fn bounds() -> impl Strategy<Value = (u64, u64)> {
    any::<(u64, u64)>().prop_map(|(one, other)| {
        let start = one.min(other).min(u64::MAX - 1);
        (start, one.max(other).max(start + 1))
    })
}

fn span() -> impl Strategy<Value = Span> {
    (node(), any::<u32>(), bounds()).prop_map(|(home, number, (start, end))| {
        Span::new(ObjectId { home, number }, start, end).expect("a byte at least")
    })
}

fn want() -> impl Strategy<Value = Want> {
    let mode = select(vec![Mode::Shared, Mode::Exclusive]);
    (span(), mode).prop_map(|(span, mode)| mode.of(span))
}

fn answer() -> impl Strategy<Value = Answer> {
    select(vec![Answer::WhenFree, Answer::AtOnce])
}

fn recall() -> impl Strategy<Value = Message> {
    (want(), node(), id(), any::<u16>(), id(), answer()).prop_map(
        |(want, to, id, acks, seen, answer)| Message::Recall {
            want,
            to,
            id,
            acks,
            seen,
            answer,
        },
    )
}

/// Each kind of message, and any message of that kind.
pub fn kinds() -> Vec<(LockKind, BoxedStrategy<Message>)> {
    let ask =
        (id(), want(), any::<u8>(), answer()).prop_map(|(id, want, left, answer)| Message::Ask {
            id,
            want,
            left,
            answer,
        });
    let extent = option::of(bounds().prop_map(|(start, end)| Extent { start, end }));
    let grant = (id(), extent).prop_map(|(id, extent)| Message::Grant { id, extent });
    let cede = (node(), id(), any::<u16>());
    let busy = (node(), id());
    vec![
        (LockKind::Ask, ask.boxed()),
        (
            LockKind::Return,
            span().prop_map(|span| Message::Return { span }).boxed(),
        ),
        (
            LockKind::InUse,
            span().prop_map(|span| Message::InUse { span }).boxed(),
        ),
        (
            LockKind::Report,
            want().prop_map(|want| Message::Report { want }).boxed(),
        ),
        (LockKind::ReportsEnd, Just(Message::ReportsEnd).boxed()),
        (LockKind::Grant, grant.boxed()),
        (
            LockKind::Deny,
            id().prop_map(|id| Message::Deny { id }).boxed(),
        ),
        (LockKind::Recall, recall().boxed()),
        (
            LockKind::Trim,
            span().prop_map(|span| Message::Trim { span }).boxed(),
        ),
        (
            LockKind::Cede,
            cede.prop_map(|(home, id, acks)| Message::Cede { home, id, acks })
                .boxed(),
        ),
        (
            LockKind::Busy,
            busy.prop_map(|(home, id)| Message::Busy { home, id })
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
