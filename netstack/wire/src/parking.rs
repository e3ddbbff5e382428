//! What is said about threads that wait, as bytes.

use crate::parts::{Head, Reader, Whole, Writer};
use crate::refusal::Refusal;
use darner_coherence::parking::{self, Message, Packet, Place, Ticket, Tickets};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes, Unaligned};

/// Which message a packet is of that is about waiting places: 0x90 to 0x9f.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(u8)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the message of its name")]
pub enum ParkingKind {
    Wait = 0x90,
    Withdraw = 0x91,
    Wake = 0x92,
    Requeue = 0x93,
    Arrive = 0x94,
    Recheck = 0x95,
    Woken = 0x96,
    Withdrawn = 0x97,
    Refuse = 0x98,
    Woke = 0x99,
    Entered = 0x9a,
}

/// Flags: how many wake-ups there had been is known; somebody wants to know how many were woken; the barrier is
/// one of others, not of too many threads.
const KNOWN: u8 = 0;
const TOLD: u8 = 0;
const MISMATCH: u8 = 0;

/// A packet about waiting places, as bytes.
#[must_use]
pub fn encode_parking(packet: &Packet) -> Whole {
    let begin = |kind: ParkingKind, flags, count| {
        let mut writer = Writer::new(kind as u8, flags);
        writer.put(&Head::new(count, packet.epoch));
        writer
    };
    let plain = |kind| begin(kind, 0, 0);
    let mut writer;
    match packet.message {
        Message::Wait {
            place,
            ticket,
            generation,
        } => {
            let flags = u8::from(generation.is_some()) << KNOWN;
            writer = begin(ParkingKind::Wait, flags, 0);
            put_place(&mut writer, place);
            put_ticket(&mut writer, ticket);
            if let Some(generation) = generation {
                writer.put(&U64::new(generation));
            }
        }
        Message::Withdraw { place, ticket } => {
            writer = plain(ParkingKind::Withdraw);
            put_place(&mut writer, place);
            put_ticket(&mut writer, ticket);
        }
        Message::Wake {
            place,
            count,
            ticket,
        } => {
            writer = begin(ParkingKind::Wake, told(ticket), 0);
            put_place(&mut writer, place);
            writer.put(&U32::new(count));
            put_told(&mut writer, ticket);
        }
        Message::Requeue {
            place,
            count,
            moved,
            to,
            ticket,
        } => {
            writer = begin(ParkingKind::Requeue, told(ticket), count);
            put_place(&mut writer, place);
            writer.put(&U32::new(moved));
            put_place(&mut writer, to);
            put_told(&mut writer, ticket);
        }
        Message::Arrive {
            place,
            ticket,
            parties,
        } => {
            writer = plain(ParkingKind::Arrive);
            put_place(&mut writer, place);
            put_ticket(&mut writer, ticket);
            writer.put(&U32::new(parties));
        }
        Message::Recheck {
            place,
            tickets,
            generation,
        } => {
            writer = plain(ParkingKind::Recheck);
            put_tickets(&mut writer, place, tickets, generation);
        }
        Message::Woken {
            place,
            tickets,
            generation,
        } => {
            writer = plain(ParkingKind::Woken);
            put_tickets(&mut writer, place, tickets, generation);
        }
        Message::Withdrawn { ticket } => {
            writer = plain(ParkingKind::Withdrawn);
            put_ticket(&mut writer, ticket);
        }
        Message::Refuse { ticket, why } => {
            let mismatch = why == parking::Refusal::Mismatch;
            writer = begin(ParkingKind::Refuse, u8::from(mismatch) << MISMATCH, 0);
            put_ticket(&mut writer, ticket);
        }
        Message::Woke { ticket, count } => {
            writer = plain(ParkingKind::Woke);
            put_ticket(&mut writer, ticket);
            writer.put(&U32::new(count));
        }
        Message::Entered => writer = plain(ParkingKind::Entered),
    }
    writer.end()
}

/// What a packet about waiting places says.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn parse_parking(bytes: &[u8]) -> Result<Packet, Refusal> {
    let (mut reader, found) = Reader::new(bytes)?;
    let kind =
        ParkingKind::try_read_from_bytes(&[found]).map_err(|_| Refusal::UnknownKind { found })?;
    let head: &Head = reader.take()?;
    if head.count() != 0 && kind != ParkingKind::Requeue {
        return Err(Refusal::ReservedSet);
    }
    let message = message(kind, &mut reader, head.count())?;
    reader.end()?;
    let epoch = head.epoch();
    Ok(Packet { epoch, message })
}

fn message(kind: ParkingKind, reader: &mut Reader, count: u16) -> Result<Message, Refusal> {
    Ok(match kind {
        ParkingKind::Wait => Message::Wait {
            place: take_place(reader)?,
            ticket: take_ticket(reader)?,
            generation: match reader.flag(KNOWN) {
                0 => None,
                _ => Some(take_u64(reader)?),
            },
        },
        ParkingKind::Withdraw => Message::Withdraw {
            place: take_place(reader)?,
            ticket: take_ticket(reader)?,
        },
        ParkingKind::Wake => Message::Wake {
            place: take_place(reader)?,
            count: take_u32(reader)?,
            ticket: take_told(reader)?,
        },
        ParkingKind::Requeue => Message::Requeue {
            place: take_place(reader)?,
            count,
            moved: take_u32(reader)?,
            to: take_place(reader)?,
            ticket: take_told(reader)?,
        },
        ParkingKind::Arrive => Message::Arrive {
            place: take_place(reader)?,
            ticket: take_ticket(reader)?,
            parties: take_u32(reader)?,
        },
        ParkingKind::Recheck => Message::Recheck {
            place: take_place(reader)?,
            tickets: take_tickets(reader)?,
            generation: take_u64(reader)?,
        },
        ParkingKind::Woken => Message::Woken {
            place: take_place(reader)?,
            tickets: take_tickets(reader)?,
            generation: take_u64(reader)?,
        },
        ParkingKind::Withdrawn => Message::Withdrawn {
            ticket: take_ticket(reader)?,
        },
        ParkingKind::Refuse => Message::Refuse {
            ticket: take_ticket(reader)?,
            why: match reader.flag(MISMATCH) {
                0 => parking::Refusal::NoRoom,
                _ => parking::Refusal::Mismatch,
            },
        },
        ParkingKind::Woke => Message::Woke {
            ticket: take_ticket(reader)?,
            count: take_u32(reader)?,
        },
        ParkingKind::Entered => Message::Entered,
    })
}

fn put_place(writer: &mut Writer, place: Place) {
    writer.put(&U64::new(place.0));
}

fn put_ticket(writer: &mut Writer, ticket: Ticket) {
    writer.put(&U32::new(ticket.0));
}

fn told(ticket: Option<Ticket>) -> u8 {
    u8::from(ticket.is_some()) << TOLD
}

fn put_told(writer: &mut Writer, ticket: Option<Ticket>) {
    if let Some(ticket) = ticket {
        put_ticket(writer, ticket);
    }
}

fn put_tickets(writer: &mut Writer, place: Place, tickets: Tickets, generation: u64) {
    put_place(writer, place);
    put_ticket(writer, tickets.first);
    writer
        .put(&U32::new(tickets.mask))
        .put(&U64::new(generation));
}

fn take_place(reader: &mut Reader) -> Result<Place, Refusal> {
    Ok(Place(take_u64(reader)?))
}

fn take_ticket(reader: &mut Reader) -> Result<Ticket, Refusal> {
    Ok(Ticket(take_u32(reader)?))
}

fn take_told(reader: &mut Reader) -> Result<Option<Ticket>, Refusal> {
    match reader.flag(TOLD) {
        0 => Ok(None),
        _ => take_ticket(reader).map(Some),
    }
}

/// The first is always one of them: the same threads are named in one way only.
fn take_tickets(reader: &mut Reader) -> Result<Tickets, Refusal> {
    let first = take_ticket(reader)?;
    let mask = take_u32(reader)?;
    if mask & 1 == 0 {
        return Err(Refusal::Meaningless { field: "tickets" });
    }
    Ok(Tickets { first, mask })
}

fn take_u32(reader: &mut Reader) -> Result<u32, Refusal> {
    Ok(reader.take::<U32>()?.get())
}

fn take_u64(reader: &mut Reader) -> Result<u64, Refusal> {
    Ok(reader.take::<U64>()?.get())
}
