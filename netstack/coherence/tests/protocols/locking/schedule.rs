//! Random schedules: who goes next, in any order that links allow.

use super::{Op, Step, World, object};
use darner_coherence::NodeId;
use darner_coherence::Time;
use darner_coherence::locks::{Limits, Mode, Patience, Want, Wants};
use darner_coherence::ranges::{ObjectId, Span};
use proptest::prelude::*;

/// What happens from outside.
#[derive(Clone, Copy, Debug)]
pub enum Outside {
    Cancel(usize),
    Kill(u16),
}

/// A cluster, what it is to do, and in which order.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub nodes: u16,
    pub numbers: u16,
    pub limits: Limits,
    pub threads: Vec<(u16, Vec<Op>)>,
    pub outside: Vec<Outside>,
    pub order: Vec<u16>,
}

const BYTES: u64 = 12;

fn want(home: u16) -> impl Strategy<Value = Want> {
    let mode = prop_oneof![Just(Mode::Shared), Just(Mode::Exclusive)];
    (0..BYTES, 1..6_u64, mode, 0..3_u32).prop_map(move |(start, length, mode, number)| {
        // Mostly one object.
        let object = ObjectId {
            number: number / 2,
            ..object(home)
        };
        let span = Span::new(object, start, start + length).expect("a byte");
        Want { span, mode }
    })
}

fn op() -> impl Strategy<Value = Op> {
    let wants = (0..2_u16).prop_flat_map(|home| prop::collection::vec(want(home), 1..4));
    let patience = prop_oneof![
        6 => Just(Patience::Forever),
        1 => Just(Patience::Try),
        1 => (1..50_u64).prop_map(|at| Patience::Until(Time(at))),
    ];
    (wants, patience).prop_map(|(wants, patience)| {
        let wants = Wants::new(&wants).unwrap_or_else(|_| Wants::one(wants[0].span, wants[0].mode));
        Op { wants, patience }
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let roomy = Limits {
        records: 64,
        parked: 64,
        leases: 64,
        locks: 64,
    };
    let tight = Limits {
        records: 0,
        leases: 0,
        ..roomy
    };
    prop_oneof![Just(roomy), Just(tight)]
}

/// Any scenario without deaths.
pub fn scenario() -> impl Strategy<Value = Scenario> {
    let numbers = prop_oneof![4 => Just(0_u16), 1 => Just(200)];
    (2..5_u16, numbers, limits()).prop_flat_map(|(nodes, numbers, limits)| {
        let threads = prop::collection::vec((0..nodes, prop::collection::vec(op(), 1..5)), 1..8);
        let outside = prop::collection::vec((0..8_usize).prop_map(Outside::Cancel), 0..3);
        let order = prop::collection::vec(any::<u16>(), 0..200);
        (threads, outside, order).prop_map(move |(threads, outside, order)| Scenario {
            nodes,
            numbers,
            limits,
            threads,
            outside,
            order,
        })
    })
}

/// Any scenario in which nodes die, at least two remaining.
pub fn scenario_with_deaths() -> impl Strategy<Value = Scenario> {
    let deaths = prop::collection::vec((any::<prop::sample::Index>(), 0..4_u16), 1..3);
    (scenario(), deaths).prop_map(|(mut scenario, deaths)| {
        scenario.nodes = scenario.nodes.max(3);
        for (at, node) in deaths {
            let at = at.index(scenario.outside.len() + 1);
            let node = node % scenario.nodes;
            scenario.outside.insert(at, Outside::Kill(node));
        }
        scenario
    })
}

/// Many objects, so that the home has to throw records away.
pub fn scenario_short_of_records() -> impl Strategy<Value = Scenario> {
    let op = (
        0..80_u32,
        prop_oneof![Just(Mode::Shared), Just(Mode::Exclusive)],
    )
        .prop_map(|(number, mode)| {
            let object = ObjectId {
                number,
                ..object(0)
            };
            let span = Span::new(object, 3, 5).expect("a byte");
            super::op(span, mode)
        });
    let numbers = prop_oneof![4 => Just(0_u16), 1 => Just(200)];
    let threads = prop::collection::vec((0..3_u16, prop::collection::vec(op, 10..40)), 3..6);
    let order = prop::collection::vec(any::<u16>(), 0..400);
    (threads, order, numbers).prop_map(|(threads, order, numbers)| Scenario {
        nodes: 3,
        numbers,
        limits: Limits {
            records: 0,
            parked: 64,
            leases: 64,
            locks: 64,
        },
        threads,
        outside: Vec::new(),
        order,
    })
}

/// Runs a scenario to its end; what was wrong, if anything was.
pub fn play(scenario: &Scenario) -> Result<World, String> {
    play_logged(scenario, &mut Vec::new())
}

/// The last steps of a scenario that fails, and what was wrong.
pub fn explain(scenario: &Scenario) -> String {
    let mut log = Vec::new();
    let wrong = play_logged(scenario, &mut log).err();
    let tail = log.len().saturating_sub(60);
    format!("{}\n{wrong:?}", log[tail..].join("\n"))
}

fn play_logged(scenario: &Scenario, log: &mut Vec<String>) -> Result<World, String> {
    let mut world = World::numbered(scenario.nodes, scenario.numbers, scenario.limits);
    for (node, ops) in &scenario.threads {
        world.spawn(*node, ops.clone());
    }
    let mut outside = scenario.outside.iter().copied().peekable();
    let mut order = scenario.order.iter().copied();
    for number in 0..20_000 {
        let ready = world.ready();
        let choices = ready.len() + usize::from(outside.peek().is_some());
        if choices == 0 {
            break;
        }
        let pick = order.next().map_or(number, usize::from) % choices;
        match ready.get(pick) {
            Some(&step) => {
                log.push(describe(&world, step));
                world.step(step);
            }
            None => {
                let what = outside.next();
                log.push(format!("{what:?}"));
                match what {
                    Some(Outside::Cancel(thread)) if thread < world.threads.len() => {
                        world.cancel(thread);
                    }
                    Some(Outside::Kill(node)) => world.kill(NodeId(node)),
                    _ => {}
                }
            }
        }
        world.check();
        if let Some(wrong) = world.wrong.take() {
            return Err(wrong);
        }
    }
    world.check_end();
    match world.wrong.take() {
        Some(wrong) => Err(wrong),
        None => Ok(world),
    }
}

fn describe(world: &World, step: Step) -> String {
    match step {
        Step::Deliver(from, to) => {
            format!("{step:?} {:?}", world.around.links[&(from, to)][0].message)
        }
        Step::Execute(thread) => format!("{step:?} {:?}", world.threads[thread]),
        _ => format!("{step:?}"),
    }
}
