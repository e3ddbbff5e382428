//! What is said about membership, transactions and ports, as bytes.

mod layout;
mod membership;
mod port;
mod transaction;

use crate::parts::{Reader, Whole, Writer};
use crate::refusal::Refusal;
use darner_cluster::{Epoch, Incarnation, Message, Nanos, Packet, Payload};
use layout::{Head, PayloadPart};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes, Unaligned};

/// Which message a packet is of that is about membership, transactions or ports: 0x40 to 0x7f.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    TryFromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(u8)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the message of its name")]
pub enum ClusterKind {
    Join = 0x40,
    JoinRefused = 0x41,
    Wish = 0x42,
    Heartbeat = 0x43,
    Prepare = 0x44,
    Promise = 0x45,
    Accept = 0x46,
    Accepted = 0x47,
    Outbid = 0x48,
    Decided = 0x49,
    Removed = 0x4a,
    Create = 0x50,
    Data = 0x51,
    End = 0x52,
    Abort = 0x53,
    Request = 0x58,
    Answer = 0x59,
    Cancel = 0x5a,
    Resume = 0x5b,
    Received = 0x5c,
}

/// A packet about membership, transactions or ports, as bytes.
///
/// # Errors
///
/// The rule that its message breaks: a view of more members or slots than there can be.
pub fn encode_cluster(packet: &Packet) -> Result<Whole, Refusal> {
    match &packet.message {
        Message::Membership(message) => membership::encode(packet, message),
        Message::Transaction(message) => Ok(transaction::encode(packet, message)),
        Message::Port(message) => Ok(port::encode(packet, message)),
    }
}

/// What a packet about membership, transactions or ports says.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn parse_cluster(bytes: &[u8]) -> Result<Packet, Refusal> {
    let (mut reader, found) = Reader::new(bytes)?;
    let kind =
        ClusterKind::try_read_from_bytes(&[found]).map_err(|_| Refusal::UnknownKind { found })?;
    let head: &Head = reader.take()?;
    if head.unused.get() != 0 {
        return Err(Refusal::ReservedSet);
    }
    let message = match kind {
        ClusterKind::Create | ClusterKind::Data | ClusterKind::End | ClusterKind::Abort => {
            Message::Transaction(transaction::parse(kind, &mut reader)?)
        }
        ClusterKind::Request
        | ClusterKind::Answer
        | ClusterKind::Cancel
        | ClusterKind::Resume
        | ClusterKind::Received => Message::Port(port::parse(kind, &mut reader)?),
        _ => Message::Membership(membership::parse(kind, &mut reader)?),
    };
    reader.end()?;
    Ok(Packet {
        sender: Incarnation(head.sender.get()),
        receiver: Incarnation(head.receiver.get()),
        epoch: Epoch(head.epoch.get()),
        message,
    })
}

/// Begins a packet.
fn begin(packet: &Packet, kind: ClusterKind, flags: u8) -> Writer {
    let mut writer = Writer::new(kind as u8, flags);
    writer.put(&Head {
        unused: Default::default(),
        epoch: U32::new(packet.epoch.0),
        sender: U64::new(packet.sender.0),
        receiver: U64::new(packet.receiver.0),
    });
    writer
}

fn put_span(writer: &mut Writer, span: Option<Nanos>) {
    if let Some(span) = span {
        writer.put(&U64::new(span.0));
    }
}

/// A span of time, if its flag is set.
fn take_span(reader: &mut Reader, flag: u8) -> Result<Option<Nanos>, Refusal> {
    match reader.flag(flag) {
        0 => Ok(None),
        _ => Ok(Some(Nanos(reader.take::<U64>()?.get()))),
    }
}

fn put_payload(writer: &mut Writer, payload: &Payload) {
    writer.put(&PayloadPart {
        command: U32::new(payload.command),
        words: payload.words.map(U64::new),
    });
}

fn take_payload(reader: &mut Reader) -> Result<Payload, Refusal> {
    let part: &PayloadPart = reader.take()?;
    Ok(Payload {
        command: part.command.get(),
        words: part.words.map(U64::get),
    })
}
