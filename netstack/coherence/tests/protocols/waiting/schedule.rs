//! Random schedules: who goes next, in any order that links allow.

use super::{Op, World, word};
use darner_coherence::parking::{Limits, Place};
use darner_coherence::{NodeId, Time};
use proptest::prelude::*;

/// A cluster, what it is to do, and in which order.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub nodes: u16,
    pub limits: Limits,
    pub threads: Vec<(u16, Vec<Op>)>,
    pub deaths: Vec<u16>,
    pub order: Vec<u16>,
}

fn place() -> impl Strategy<Value = Place> {
    (0..2_u16, 0..2_u64).prop_map(|(home, number)| word(home, number))
}

fn op() -> impl Strategy<Value = Op> {
    // Threads that are moved wait at places of their own, of the same home or of two.
    let via = |home: u16| (word(0, 8), word(home, 9));
    prop_oneof![
        3 => place().prop_map(Op::Take),
        2 => (place(), 1..40_u64).prop_map(|(place, at)| Op::TakeUntil(place, Time(at))),
        4 => place().prop_map(Op::Put),
        1 => (place(), 1..4_u64).prop_map(|(place, count)| Op::PutAll(place, count)),
        1 => Just(Op::TakeVia(via(0).0, via(0).1)),
        1 => Just(Op::Move(via(0).0, via(0).1)),
    ]
}

/// Any scenario, with so many deaths at most.
pub fn scenario(deaths: usize) -> impl Strategy<Value = Scenario> {
    let generations = prop_oneof![Just(1_usize), Just(16)];
    (3..5_u16, generations).prop_flat_map(move |(nodes, generations)| {
        let threads = prop::collection::vec((0..nodes, prop::collection::vec(op(), 1..6)), 2..9);
        let deaths = prop::collection::vec(0..nodes, deaths.min(1)..=deaths);
        let order = prop::collection::vec(any::<u16>(), 0..250);
        (threads, deaths, order).prop_map(move |(threads, deaths, order)| Scenario {
            nodes,
            limits: Limits {
                waiters: 16,
                generations,
                threads: 16,
                known: 4,
            },
            threads,
            deaths,
            order,
        })
    })
}

/// Runs a scenario until nothing can happen any more; what was wrong, if anything was.
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
    let mut world = World::new(scenario.nodes, scenario.limits);
    for (node, ops) in &scenario.threads {
        world.spawn(*node, ops.clone());
    }
    let mut deaths = scenario.deaths.iter().copied().peekable();
    let mut order = scenario.order.iter().copied();
    for number in 0..20_000 {
        let ready = world.ready();
        let choices = ready.len() + usize::from(deaths.peek().is_some());
        if choices == 0 {
            break;
        }
        let pick = order.next().map_or(number, usize::from) % choices;
        match ready.get(pick) {
            Some(&step) => {
                log.push(format!("{step:?}"));
                world.step(step);
            }
            None => {
                let node = deaths.next();
                log.push(format!("{node:?} dies"));
                world.kill(NodeId(node.unwrap_or(0)));
            }
        }
        if let Some(wrong) = world.wrong.take() {
            return Err(wrong);
        }
    }
    if !world.ready().is_empty() {
        return Err("it does not come to an end".into());
    }
    world.nobody_waits_in_vain()?;
    Ok(world)
}
