//! Members that say anything: nothing panics, and tables stay within their limits.

use darner_coherence::locks::{self, Answer, Extent, Locks, Mode, Patience, Want, Wants};
use darner_coherence::parking::{self, Parking, Place, Refusal, Ticket, Tickets};
use darner_coherence::ranges::{ObjectId, Span};
use darner_coherence::{Epoch, NodeId, PageIndex, RequestId, Slices, Time, Token, View};
use proptest::prelude::*;

fn view(epoch: u32) -> View {
    let slices = vec![(PageIndex(0), NodeId(0)), (PageIndex(1), NodeId(1))];
    View {
        epoch: Epoch(epoch),
        members: (0..3).map(NodeId).collect(),
        slices: Slices::new(slices).expect("in order"),
    }
}

fn span() -> impl Strategy<Value = Span> {
    let end = prop_oneof![1..20_u64, Just(u64::MAX)];
    (0..4_u16, 0..3_u32, 0..20_u64, end).prop_map(|(home, number, start, length)| {
        let home = NodeId(home);
        let end = start.saturating_add(length);
        Span::new(ObjectId { home, number }, start, end).expect("a byte")
    })
}

fn want() -> impl Strategy<Value = Want> {
    let mode = prop_oneof![Just(Mode::Shared), Just(Mode::Exclusive)];
    (span(), mode).prop_map(|(span, mode)| mode.of(span))
}

fn id() -> impl Strategy<Value = RequestId> {
    prop_oneof![0..6_u32, Just(u32::MAX)].prop_map(RequestId)
}

fn node() -> impl Strategy<Value = NodeId> {
    prop_oneof![0..4_u16, Just(u16::MAX)].prop_map(NodeId)
}

fn of_locks() -> impl Strategy<Value = locks::Message> {
    use locks::Message;
    let answer = prop_oneof![Just(Answer::WhenFree), Just(Answer::AtOnce)];
    let extent = (any::<u64>(), any::<u64>()).prop_map(|(start, end)| Extent { start, end });
    let recall = (want(), node(), id(), any::<u16>(), id(), answer.clone());
    let asks_most =
        (id(), want(), 0..3_u8, answer).prop_map(|(id, want, left, answer)| Message::Ask {
            id,
            want,
            left,
            answer,
        });
    let others = prop_oneof![
        span().prop_map(|span| Message::Return { span }),
        span().prop_map(|span| Message::InUse { span }),
        want().prop_map(|want| Message::Report { want }),
        Just(Message::ReportsEnd),
        (id(), proptest::option::of(extent)).prop_map(|(id, extent)| Message::Grant { id, extent }),
        id().prop_map(|id| Message::Deny { id }),
        recall.prop_map(|(want, to, id, acks, seen, answer)| Message::Recall {
            want,
            to,
            id,
            acks,
            seen,
            answer,
        }),
        span().prop_map(|span| Message::Trim { span }),
        (node(), id(), any::<u16>()).prop_map(|(home, id, acks)| Message::Cede { home, id, acks }),
        (node(), id()).prop_map(|(home, id)| Message::Busy { home, id }),
    ];
    prop_oneof![1 => asks_most, 3 => others]
}

fn of_parking() -> impl Strategy<Value = parking::Message> {
    use parking::Message;
    let place = || prop_oneof![0..8_u64, 4096..4100_u64, Just(u64::MAX)].prop_map(Place);
    let ticket = || prop_oneof![0..6_u32, Just(u32::MAX)].prop_map(Ticket);
    let tickets = || (ticket(), any::<u32>()).prop_map(|(first, mask)| Tickets { first, mask });
    let asks = || proptest::option::of(ticket());
    let refusal = prop_oneof![Just(Refusal::NoRoom), Just(Refusal::Mismatch)];
    let asks_most = (place(), ticket(), proptest::option::of(0..3_u64)).prop_map(
        |(place, ticket, generation)| Message::Wait {
            place,
            ticket,
            generation,
        },
    );
    let others = prop_oneof![
        (place(), ticket()).prop_map(|(place, ticket)| Message::Withdraw { place, ticket }),
        (place(), any::<u32>(), asks()).prop_map(|(place, count, ticket)| Message::Wake {
            place,
            count,
            ticket
        }),
        (place(), any::<u16>(), any::<u32>(), place(), asks()).prop_map(
            |(place, count, moved, to, ticket)| Message::Requeue {
                place,
                count,
                moved,
                to,
                ticket,
            }
        ),
        (place(), ticket(), prop_oneof![0..4_u32, Just(u32::MAX)]).prop_map(
            |(place, ticket, parties)| Message::Arrive {
                place,
                ticket,
                parties
            }
        ),
        (place(), tickets(), any::<u64>()).prop_map(|(place, tickets, generation)| {
            Message::Recheck {
                place,
                tickets,
                generation,
            }
        }),
        (place(), tickets(), any::<u64>()).prop_map(|(place, tickets, generation)| {
            Message::Woken {
                place,
                tickets,
                generation,
            }
        }),
        ticket().prop_map(|ticket| Message::Withdrawn { ticket }),
        (ticket(), refusal).prop_map(|(ticket, why)| Message::Refuse { ticket, why }),
        (ticket(), any::<u32>()).prop_map(|(ticket, count)| Message::Woke { ticket, count }),
        Just(Message::Entered),
    ];
    prop_oneof![1 => asks_most, 3 => others]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn locks_take_anything(said in proptest::collection::vec((node(), 0..3_u32, of_locks(), want()), 1..60)) {
        let limits = locks::Limits { records: 0, parked: 4, leases: 0, locks: 4 };
        let mut locks = Locks::new(locks::Config { me: NodeId(0), nodes: 3, view: view(0), limits });
        let mut actions = Vec::new();
        for (number, (from, epoch, message, want)) in said.into_iter().enumerate() {
            let token = Token(number as u64 % 7);
            let wants = Wants::one(want.span, want.mode);
            let own = match number % 5 {
                0 => locks::Event::Lock { token, wants, patience: Patience::Until(Time(9)) },
                1 => locks::Event::Unlock { token },
                2 => locks::Event::Cancel { token },
                3 => locks::Event::TimeOver,
                _ => locks::Event::View(view(number as u32 / 20)),
            };
            let packet = locks::Packet { epoch: Epoch(epoch), message };
            let received = locks::Event::Received { from, packet };
            locks.handle(Time(number as u64), own, &mut actions);
            locks.handle(Time(number as u64), received, &mut actions);
            prop_assert!(locks.agent().leases().len() <= locks.agent().leases().capacity());
        }
    }

    #[test]
    fn waiting_places_take_anything(said in proptest::collection::vec((node(), 0..3_u32, of_parking()), 1..60)) {
        let limits = parking::Limits { waiters: 4, generations: 2, threads: 3, known: 2 };
        let mut parking = Parking::new(parking::Config { me: NodeId(0), view: view(0), limits });
        let mut actions = Vec::new();
        for (number, (from, epoch, message)) in said.into_iter().enumerate() {
            let now = Time(number as u64);
            let token = Token(number as u64 % 7);
            let place = Place(number as u64 % 5 * 1024);
            let deadline = Some(Time(number as u64 + 3));
            let generation = parking.agent().generation(place);
            let own = match number % 6 {
                0 => parking::Event::Wait { token, place, generation, deadline },
                1 => parking::Event::Arrive { token, place, parties: number as u32 % 4, deadline },
                2 => parking::Event::Withdraw { token, why: parking::Reason::Cancelled },
                3 => parking::Event::Wake { place, count: 1, token: Some(token) },
                4 => parking::Event::TimeOver,
                _ => parking::Event::View(view(number as u32 / 20)),
            };
            let packet = parking::Packet { epoch: Epoch(epoch), message };
            let received = parking::Event::Received { from, packet };
            parking.handle(now, own, &mut actions);
            parking.handle(now, received, &mut actions);
        }
    }
}
