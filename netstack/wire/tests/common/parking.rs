//! Any message about waiting places.

use darner_coherence::Epoch;
use darner_coherence::parking::{Message, Packet, Place, Refusal, Ticket, Tickets};
use darner_wire::ParkingKind;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn place() -> impl Strategy<Value = Place> {
    any::<u64>().prop_map(Place)
}

fn ticket() -> impl Strategy<Value = Ticket> {
    any::<u32>().prop_map(Ticket)
}

fn tickets() -> impl Strategy<Value = Tickets> {
    (ticket(), any::<u32>()).prop_map(|(first, others)| Tickets {
        first,
        mask: others | 1,
    })
}

fn told() -> impl Strategy<Value = Option<Ticket>> {
    option::of(ticket())
}

fn requeue() -> impl Strategy<Value = Message> {
    (place(), any::<u16>(), any::<u32>(), place(), told()).prop_map(
        |(place, count, moved, to, ticket)| Message::Requeue {
            place,
            count,
            moved,
            to,
            ticket,
        },
    )
}

/// Each kind of message, and any message of that kind.
pub fn kinds() -> Vec<(ParkingKind, BoxedStrategy<Message>)> {
    let wait =
        (place(), ticket(), option::of(any::<u64>())).prop_map(|(place, ticket, generation)| {
            Message::Wait {
                place,
                ticket,
                generation,
            }
        });
    let withdraw =
        (place(), ticket()).prop_map(|(place, ticket)| Message::Withdraw { place, ticket });
    let wake = (place(), any::<u32>(), told()).prop_map(|(place, count, ticket)| Message::Wake {
        place,
        count,
        ticket,
    });
    let arrive =
        (place(), ticket(), any::<u32>()).prop_map(|(place, ticket, parties)| Message::Arrive {
            place,
            ticket,
            parties,
        });
    let recheck = (place(), tickets(), any::<u64>()).prop_map(|(place, tickets, generation)| {
        Message::Recheck {
            place,
            tickets,
            generation,
        }
    });
    let woken = (place(), tickets(), any::<u64>()).prop_map(|(place, tickets, generation)| {
        Message::Woken {
            place,
            tickets,
            generation,
        }
    });
    let why = select(vec![Refusal::NoRoom, Refusal::Mismatch]);
    let refuse = (ticket(), why).prop_map(|(ticket, why)| Message::Refuse { ticket, why });
    let woke = (ticket(), any::<u32>()).prop_map(|(ticket, count)| Message::Woke { ticket, count });
    vec![
        (ParkingKind::Wait, wait.boxed()),
        (ParkingKind::Withdraw, withdraw.boxed()),
        (ParkingKind::Wake, wake.boxed()),
        (ParkingKind::Requeue, requeue().boxed()),
        (ParkingKind::Arrive, arrive.boxed()),
        (ParkingKind::Recheck, recheck.boxed()),
        (ParkingKind::Woken, woken.boxed()),
        (
            ParkingKind::Withdrawn,
            ticket()
                .prop_map(|ticket| Message::Withdrawn { ticket })
                .boxed(),
        ),
        (ParkingKind::Refuse, refuse.boxed()),
        (ParkingKind::Woke, woke.boxed()),
        (ParkingKind::Entered, Just(Message::Entered).boxed()),
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
