//! What is in the messages between nodes: behind the first byte, which says what, a packet of the
//! protocol of coherence, or a record.

use alloc::vec::Vec;

use darner_link::Refusal;

use crate::cluster::record::Record;
use crate::layout::PAGE;

/// The first byte of a message with a packet.
pub const PACKET: u8 = 0;
/// The first byte of a message with a record.
pub const RECORD: u8 = 1;
/// The first byte of a message with a record and a page behind it, which nobody reads.
pub const ECHO: u8 = 2;

/// What a link has brought.
#[derive(Clone, Copy, Debug)]
pub enum Came {
    /// A packet of the protocol, in the buffer that was given.
    Packet,
    /// A call or an answer.
    Record(Record),
    /// The node has ended, and says so.
    Gone,
    /// What it sends makes no sense.
    Garbage,
    /// It does not take what is sent to it, which was as much as is kept.
    Overrun,
    /// The nodes cannot be of one cluster: that is certain, since both have its key.
    Refused(Refusal),
}

/// What came as a message. A packet is put into `packet`.
pub fn decode(message: &[u8], packet: &mut Vec<u8>) -> Came {
    match message.split_first() {
        Some((&PACKET, bytes)) => {
            packet.clear();
            packet.extend_from_slice(bytes);
            Came::Packet
        }
        Some((&RECORD, bytes)) => record(bytes),
        Some((&ECHO, bytes)) => match bytes.split_last_chunk::<{ PAGE as usize }>() {
            Some((bytes, _)) => record(bytes),
            None => Came::Garbage,
        },
        _ => Came::Garbage,
    }
}

fn record(bytes: &[u8]) -> Came {
    let record = bytes.try_into().ok().and_then(Record::decode);
    record.map_or(Came::Garbage, Came::Record)
}
