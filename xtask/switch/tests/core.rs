//! What must hold of the switch whatever is sent through it.

use std::collections::HashMap;
use std::time::Duration;

use darner_switch::{
    Change, Core, Counters, Fate, Faults, Link, MAX_FRAME, Partition, Plan, PortId, Probability,
    Rate, Time, Wires,
};
use proptest::prelude::*;

const PORTS: u16 = 4;

/// Keeps what leaves.
#[derive(Default)]
struct Kept(Vec<(PortId, Vec<u8>)>);

impl Wires for Kept {
    fn send(&mut self, port: PortId, frame: &[u8]) -> bool {
        self.0.push((port, frame.to_vec()));
        true
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send {
        port: u16,
        from: u8,
        to: u8,
        length: usize,
    },
    Garbage {
        port: u16,
        bytes: Vec<u8>,
    },
    Wait(u64),
    Plug(u16),
    Unplug(u16),
    Link(u16, bool),
    Partition(Vec<u16>),
    Faults(u16, Faults),
}

fn share() -> impl Strategy<Value = Probability> {
    prop_oneof![Just(0.0), Just(0.1), Just(0.5), Just(1.0)]
        .prop_map(|value| Probability::new(value).unwrap())
}

fn faults() -> impl Strategy<Value = Faults> {
    let rate = prop_oneof![Just(None), (1_000_u64..100_000_000).prop_map(Rate::new)];
    (
        share(),
        share(),
        share(),
        share(),
        share(),
        0_u64..5_000,
        0_u64..5_000,
        rate,
    )
        .prop_map(
            |(loss, reorder, duplicate, corrupt, reset, delay, jitter, rate)| Faults {
                loss,
                reorder,
                duplicate,
                corrupt,
                reset,
                delay: Duration::from_micros(delay),
                jitter: Duration::from_micros(jitter.min(delay)),
                rate,
                queue: 20_000,
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let port = 0..PORTS;
    prop_oneof![
        12 => (port.clone(), 0_u8..6, 0_u8..8, 14_usize..=MAX_FRAME)
            .prop_map(|(port, from, to, length)| Step::Send { port, from, to, length }),
        1 => (port.clone(), proptest::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(port, bytes)| Step::Garbage { port, bytes }),
        4 => (0_u64..20_000).prop_map(Step::Wait),
        1 => port.clone().prop_map(Step::Plug),
        1 => port.clone().prop_map(Step::Unplug),
        1 => (port.clone(), any::<bool>()).prop_map(|(port, up)| Step::Link(port, up)),
        1 => proptest::collection::vec(0_u16..3, usize::from(PORTS)).prop_map(Step::Partition),
        1 => (port, faults()).prop_map(|(port, faults)| Step::Faults(port, faults)),
    ]
}

/// Station 7 is everyone.
fn station(number: u8) -> [u8; 6] {
    match number {
        7 => [0xff; 6],
        number => [2, 0, 0, 0, 0, number],
    }
}

fn frame(from: u8, to: u8, length: usize) -> Vec<u8> {
    let mut frame = vec![0; length];
    frame[..6].copy_from_slice(&station(to));
    frame[6..12].copy_from_slice(&station(from));
    frame
}

fn sets(of_ports: &[u16]) -> Vec<Vec<PortId>> {
    (0..3)
        .map(|set| {
            let members = (0..PORTS).filter(|port| of_ports[usize::from(*port)] == set);
            members.map(PortId).collect()
        })
        .collect()
}

fn assert_conserved(counters: &Counters) {
    let mut copies = 0;
    for port in &counters.ports {
        let (of, to) = (&port.ingress, &port.egress);
        assert_eq!(
            of.received + of.duplicated,
            of.malformed + of.refused + of.lost + of.in_line + of.forwarded,
            "{port:?}"
        );
        copies += to.queued + to.overflowed + to.discarded + to.sent;
    }
    assert_eq!(counters.copies, copies);
}

fn plugged(plan: Plan, seed: u64) -> Core {
    let ports = plan.ports.len();
    let mut core = Core::new(plan, seed);
    for port in 0..ports {
        core.plug(PortId(port as u16));
    }
    core
}

/// Everything that was sent, and where, and the counters.
fn play(steps: &[Step], seed: u64) -> (Vec<(PortId, Vec<u8>)>, Counters) {
    let mut core = plugged(Plan::none(PORTS.into()), seed);
    let (mut wires, mut now) = (Kept::default(), Time::ZERO);
    for step in steps {
        match step.clone() {
            Step::Send {
                port,
                from,
                to,
                length,
            } => {
                core.receive(now, PortId(port), &frame(from, to, length), &mut wires);
            }
            Step::Garbage { port, bytes } => {
                core.receive(now, PortId(port), &bytes, &mut wires);
            }
            Step::Wait(micros) => {
                now += Duration::from_micros(micros);
                core.expire(now, &mut wires);
                assert!(core.next_due().is_none_or(|due| due > now));
            }
            Step::Plug(port) => core.plug(PortId(port)),
            Step::Unplug(port) => core.unplug(PortId(port)),
            Step::Link(port, true) => core.change(Change::Link(PortId(port), Link::Up)),
            Step::Link(port, false) => core.change(Change::Link(PortId(port), Link::Down)),
            Step::Partition(of_ports) => {
                let partition = Partition::of(PORTS.into(), &sets(&of_ports)).unwrap();
                core.change(Change::Partition(partition));
            }
            Step::Faults(port, faults) => core.change(Change::Faults(PortId(port), faults)),
        }
        assert_conserved(&core.counters());
    }
    // All that is under way arrives in the end.
    while let Some(due) = core.next_due() {
        core.expire(due, &mut wires);
    }
    let counters = core.counters();
    assert_conserved(&counters);
    for port in &counters.ports {
        assert_eq!((port.ingress.in_line, port.egress.queued), (0, 0));
    }
    (wires.0, counters)
}

proptest! {
    #[test]
    fn no_frame_is_lost_sight_of(
        steps in proptest::collection::vec(step(), 0..200), seed: u64
    ) {
        let (sent, counters) = play(&steps, seed);
        let counted: u64 = counters.ports.iter().map(|port| port.egress.sent).sum();
        prop_assert_eq!(counted, sent.len() as u64);
    }

    #[test]
    fn the_same_seed_does_the_same(
        steps in proptest::collection::vec(step(), 0..100), seed: u64
    ) {
        prop_assert_eq!(play(&steps, seed), play(&steps, seed));
    }

    /// A station is at one port here, so what it gets is for it or for all, and nothing
    /// that it sent itself.
    #[test]
    fn a_frame_arrives_where_its_station_is(
        sends in proptest::collection::vec((0_u8..4, 0_u8..4, any::<bool>()), 1..200)
    ) {
        let mut core = plugged(Plan::none(PORTS.into()), 0);
        let mut is_known = [false; 4];
        for (from, to, to_all) in sends {
            let mut wires = Kept::default();
            let to = if to_all { 7 } else { to };
            core.receive(Time::ZERO, PortId(from.into()), &frame(from, to, 60), &mut wires);
            is_known[usize::from(from)] = true;
            let reached: Vec<u16> = wires.0.iter().map(|(port, _)| port.0).collect();
            let expected: Vec<u16> = match to {
                to if to == from => vec![],
                to if to < 4 && is_known[usize::from(to)] => vec![to.into()],
                _ => (0..PORTS).filter(|port| *port != u16::from(from)).collect(),
            };
            prop_assert_eq!(reached, expected);
        }
    }

    #[test]
    fn a_partition_lets_nothing_through(
        of_ports in proptest::collection::vec(0_u16..3, usize::from(PORTS)),
        sends in proptest::collection::vec((0_u8..4, 0_u8..8), 1..100),
    ) {
        let mut core = plugged(Plan::none(PORTS.into()), 0);
        let partition = Partition::of(PORTS.into(), &sets(&of_ports)).unwrap();
        core.change(Change::Partition(partition));
        for (from, to) in sends {
            let mut wires = Kept::default();
            core.receive(Time::ZERO, PortId(from.into()), &frame(from, to, 60), &mut wires);
            for (port, _) in wires.0 {
                prop_assert_eq!(of_ports[usize::from(port.0)], of_ports[usize::from(from)]);
            }
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z0-9=,|@.%±+-]{0,40}") {
        // Whether it orders something does not matter here.
        let _ = Plan::parse(&text, 3);
        let _ = Plan::parse_toml(&text, 3);
    }
}

/// The losses of one port do not depend on what others do, nor on when.
#[test]
fn the_fate_of_a_frame_depends_on_seed_port_and_number_alone() {
    let fates = |seed: u64, others: bool, gap: u64| {
        let plan = Plan::parse("loss=10%,reorder=5%,dup=5%", 3).unwrap();
        let (mut core, mut wires) = (plugged(plan, seed), Kept::default());
        let mut fates = Vec::new();
        for number in 0..1000 {
            let now = Duration::from_micros(number * gap);
            core.expire(now, &mut wires);
            if others {
                core.receive(now, PortId(1), &frame(1, 7, 100), &mut wires);
            }
            fates.push(core.receive(now, PortId(0), &frame(0, 7, 60), &mut wires));
        }
        fates
    };
    assert_eq!(fates(5, false, 0), fates(5, true, 333));
    assert_ne!(fates(5, false, 0), fates(6, false, 0));
    assert!(fates(5, false, 0).contains(&Fate::Held));
}

#[test]
fn the_schedule_is_kept() {
    let plan = Plan::parse("partition=0|1@1s..2s,down=1@3s..4s", 2).unwrap();
    let mut core = plugged(plan, 0);
    for (millis, arrives) in [
        (0, true),
        (999, true),
        (1000, false),
        (1999, false),
        (2000, true),
        (2999, true),
        (3000, false),
        (3999, false),
        (4000, true),
    ] {
        let (now, mut wires) = (Duration::from_millis(millis), Kept::default());
        core.expire(now, &mut wires);
        core.receive(now, PortId(0), &frame(0, 7, 60), &mut wires);
        assert_eq!(!wires.0.is_empty(), arrives, "at {millis} ms");
    }
    assert_eq!(core.next_due(), None);
}

/// Its times count from when it begins, and beginning again changes nothing.
#[test]
fn a_schedule_that_is_held_back_waits() {
    let plan = Plan::parse("down=1@1s..2s", 2).unwrap();
    let mut core = Core::held_back(plan, 0);
    let (mut wires, at) = (Kept::default(), Duration::from_secs);
    core.plug(PortId(0));
    core.plug(PortId(1));
    let mut arrives = |core: &mut Core, now| {
        core.expire(now, &mut wires);
        wires.0.clear();
        core.receive(now, PortId(0), &frame(0, 7, 60), &mut wires);
        !wires.0.is_empty()
    };
    assert!(arrives(&mut core, at(1)) && core.next_due().is_none());
    core.begin(at(10));
    core.begin(at(11));
    assert_eq!(core.next_due(), Some(at(11)));
    assert!(!arrives(&mut core, at(11)));
    assert!(arrives(&mut core, at(12)) && core.next_due().is_none());
}

#[test]
fn bandwidth_is_kept_and_shared() {
    // 100 frames of 1250 bytes at 10 Mbit/s, from two ports to one: 100 ms.
    let plan = Plan::parse("n2.rate=10Mbit,n2.queue=1MiB", 3).unwrap();
    let (mut core, mut wires) = (plugged(plan, 0), Kept::default());
    core.receive(Time::ZERO, PortId(2), &frame(2, 7, 60), &mut wires);
    wires.0.clear();
    for _ in 0..50 {
        for port in 0..2 {
            core.receive(
                Time::ZERO,
                PortId(port),
                &frame(port as u8, 2, 1250),
                &mut wires,
            );
        }
    }
    core.expire(Duration::from_millis(50), &mut wires);
    assert_eq!(wires.0.len(), 50);
    core.expire(Duration::from_millis(100), &mut wires);
    let mut by_length: HashMap<usize, usize> = HashMap::new();
    for (port, frame) in &wires.0 {
        assert_eq!(*port, PortId(2));
        *by_length.entry(frame.len()).or_default() += 1;
    }
    assert_eq!(by_length, HashMap::from([(1250, 100)]));
}
