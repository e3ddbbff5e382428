//! What is said about range locks, as bytes.

use crate::parts::{Head, Reader, Whole, Writer};
use crate::refusal::Refusal;
use darner_coherence::locks::{Answer, Extent, Message, Mode, Packet, Want};
use darner_coherence::ranges::{ObjectId, Span};
use darner_coherence::{NodeId, RequestId};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes, Unaligned};

/// Which message a packet is of that is about range locks: 0x80 to 0x8f.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(u8)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the message of its name")]
pub enum LockKind {
    Ask = 0x80,
    Return = 0x81,
    InUse = 0x82,
    Report = 0x83,
    ReportsEnd = 0x84,
    Grant = 0x85,
    Deny = 0x86,
    Recall = 0x87,
    Trim = 0x88,
    Cede = 0x89,
    Busy = 0x8a,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SpanPart {
    home: U16,
    number: U32,
    start: U64,
    end: U64,
}

/// Flags: the range is wanted exclusively; a lock in the way is answered at once. Or: more than was
/// asked for is granted.
const EXCLUSIVE: u8 = 0;
const AT_ONCE: u8 = 1;
const EXTENT: u8 = 0;

/// A packet about range locks, as bytes.
#[must_use]
pub fn encode_locks(packet: &Packet) -> Whole {
    let begin = |kind: LockKind, flags, count| {
        let mut writer = Writer::new(kind as u8, flags);
        writer.put(&Head::new(count, packet.epoch));
        writer
    };
    let of_span = |kind, span| {
        let mut writer = begin(kind, 0, 0);
        put_span(&mut writer, span);
        writer
    };
    let mut writer;
    match packet.message {
        Message::Ask {
            id,
            want,
            left,
            answer,
        } => {
            let flags = exclusive(want) | at_once(answer);
            writer = begin(LockKind::Ask, flags, left.into());
            put_span(&mut writer, want.span);
            writer.put(&U32::new(id.0));
        }
        Message::Return { span } => writer = of_span(LockKind::Return, span),
        Message::InUse { span } => writer = of_span(LockKind::InUse, span),
        Message::Trim { span } => writer = of_span(LockKind::Trim, span),
        Message::Report { want } => {
            writer = begin(LockKind::Report, exclusive(want), 0);
            put_span(&mut writer, want.span);
        }
        Message::ReportsEnd => writer = begin(LockKind::ReportsEnd, 0, 0),
        Message::Grant { id, extent } => {
            writer = begin(LockKind::Grant, u8::from(extent.is_some()) << EXTENT, 0);
            writer.put(&U32::new(id.0));
            if let Some(Extent { start, end }) = extent {
                writer.put(&[U64::new(start), U64::new(end)]);
            }
        }
        Message::Deny { id } => {
            writer = begin(LockKind::Deny, 0, 0);
            writer.put(&U32::new(id.0));
        }
        Message::Recall {
            want,
            to,
            id,
            acks,
            seen,
            answer,
        } => {
            writer = begin(LockKind::Recall, exclusive(want) | at_once(answer), acks);
            put_span(&mut writer, want.span);
            writer.put(&U16::new(to.0));
            writer.put(&[U32::new(id.0), U32::new(seen.0)]);
        }
        Message::Cede { home, id, acks } => {
            writer = begin(LockKind::Cede, 0, acks);
            writer.put(&U16::new(home.0)).put(&U32::new(id.0));
        }
        Message::Busy { home, id } => {
            writer = begin(LockKind::Busy, 0, 0);
            writer.put(&U16::new(home.0)).put(&U32::new(id.0));
        }
    }
    writer.end()
}

/// What a packet about range locks says.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn parse_locks(bytes: &[u8]) -> Result<Packet, Refusal> {
    let (mut reader, found) = Reader::new(bytes)?;
    let kind =
        LockKind::try_read_from_bytes(&[found]).map_err(|_| Refusal::UnknownKind { found })?;
    let head: &Head = reader.take()?;
    let mut count = head.count();
    let message = message(kind, &mut reader, &mut count)?;
    if count != 0 {
        return Err(Refusal::ReservedSet);
    }
    reader.end()?;
    let epoch = head.epoch();
    Ok(Packet { epoch, message })
}

/// The message; `count` is zero afterwards if it may be something else.
fn message(kind: LockKind, reader: &mut Reader, count: &mut u16) -> Result<Message, Refusal> {
    Ok(match kind {
        LockKind::Ask => Message::Ask {
            want: take_want(reader)?,
            id: take_id(reader)?,
            left: u8::try_from(core::mem::take(count))
                .map_err(|_| Refusal::Meaningless { field: "left" })?,
            answer: take_answer(reader),
        },
        LockKind::Return => Message::Return {
            span: take_span(reader)?,
        },
        LockKind::InUse => Message::InUse {
            span: take_span(reader)?,
        },
        LockKind::Report => Message::Report {
            want: take_want(reader)?,
        },
        LockKind::ReportsEnd => Message::ReportsEnd,
        LockKind::Grant => Message::Grant {
            id: take_id(reader)?,
            extent: take_extent(reader)?,
        },
        LockKind::Deny => Message::Deny {
            id: take_id(reader)?,
        },
        LockKind::Recall => Message::Recall {
            want: take_want(reader)?,
            to: take_node(reader)?,
            id: take_id(reader)?,
            acks: core::mem::take(count),
            seen: take_id(reader)?,
            answer: take_answer(reader),
        },
        LockKind::Trim => Message::Trim {
            span: take_span(reader)?,
        },
        LockKind::Cede => Message::Cede {
            home: take_node(reader)?,
            id: take_id(reader)?,
            acks: core::mem::take(count),
        },
        LockKind::Busy => Message::Busy {
            home: take_node(reader)?,
            id: take_id(reader)?,
        },
    })
}

fn exclusive(want: Want) -> u8 {
    u8::from(want.mode == Mode::Exclusive) << EXCLUSIVE
}

fn at_once(answer: Answer) -> u8 {
    u8::from(answer == Answer::AtOnce) << AT_ONCE
}

fn put_span(writer: &mut Writer, span: Span) {
    writer.put(&SpanPart {
        home: U16::new(span.object().home.0),
        number: U32::new(span.object().number),
        start: U64::new(span.start()),
        end: U64::new(span.end()),
    });
}

fn take_span(reader: &mut Reader) -> Result<Span, Refusal> {
    let part: &SpanPart = reader.take()?;
    let object = ObjectId {
        home: NodeId(part.home.get()),
        number: part.number.get(),
    };
    Span::new(object, part.start.get(), part.end.get()).ok_or(Refusal::EmptyRange)
}

fn take_want(reader: &mut Reader) -> Result<Want, Refusal> {
    let mode = match reader.flag(EXCLUSIVE) {
        0 => Mode::Shared,
        _ => Mode::Exclusive,
    };
    Ok(mode.of(take_span(reader)?))
}

fn take_answer(reader: &mut Reader) -> Answer {
    match reader.flag(AT_ONCE) {
        0 => Answer::WhenFree,
        _ => Answer::AtOnce,
    }
}

fn take_extent(reader: &mut Reader) -> Result<Option<Extent>, Refusal> {
    if reader.flag(EXTENT) == 0 {
        return Ok(None);
    }
    let &[start, end] = reader.take::<[U64; 2]>()?;
    let (start, end) = (start.get(), end.get());
    if start < end {
        Ok(Some(Extent { start, end }))
    } else {
        Err(Refusal::EmptyRange)
    }
}

fn take_node(reader: &mut Reader) -> Result<NodeId, Refusal> {
    Ok(NodeId(reader.take::<U16>()?.get()))
}

fn take_id(reader: &mut Reader) -> Result<RequestId, Refusal> {
    Ok(RequestId(reader.take::<U32>()?.get()))
}
