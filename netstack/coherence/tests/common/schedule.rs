//! Random schedules: who goes next, in any order that links and time allow.

use super::build::Plan;
use super::threads::Op;
use super::{Shootdown, Step, World};
use darner_coherence::{Access, Adaptation, Event, NodeId, PageIndex, Time};
use proptest::prelude::*;

/// How many schedules to try.
pub fn cases() -> u32 {
    std::env::var("COHERENCE_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(20_000)
}

/// What happens to a node from outside.
#[derive(Clone, Copy, Debug)]
pub enum Outside {
    Evict {
        node: u16,
        page: u64,
    },
    Pressure {
        node: u16,
        pages: usize,
    },
    /// A thread of the node lets others go on.
    Release {
        node: u16,
    },
    MoveHome {
        page: u64,
        pages: u64,
        to: u16,
    },
    /// The node dies; the others learn of it, each when its turn comes.
    Kill {
        node: u16,
    },
}

/// A cluster, what it is to do, and in which order.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub plan: Plan,
    pub threads: Vec<(u16, Vec<Op>)>,
    pub outside: Vec<Outside>,
    pub order: Vec<u16>,
}

/// How many pages are used, across the slices of two homes.
pub const PAGES: u64 = 6;

fn access() -> impl Strategy<Value = Access> + Clone {
    prop_oneof![Just(Access::Read), Just(Access::Write)]
}

fn op() -> impl Strategy<Value = Op> {
    let touch = (0..PAGES, access());
    prop_oneof![
        6 => touch.clone().prop_map(|(page, access)| Op::Touch(vec![(PageIndex(page), access)])),
        2 => (touch.clone(), touch).prop_map(|((one, a), (other, b))| {
            Op::Touch(vec![(PageIndex(one), a), (PageIndex(other), b)])
        }),
        1 => (0..PAGES, 1..4_u64).prop_map(|(first, pages)| Op::Discard(PageIndex(first), pages)),
    ]
}

fn outside(nodes: u16) -> impl Strategy<Value = Outside> {
    prop_oneof![
        4 => (0..nodes, 0..PAGES).prop_map(|(node, page)| Outside::Evict { node, page }),
        1 => (0..nodes, 1..4_usize).prop_map(|(node, pages)| Outside::Pressure { node, pages }),
        2 => (0..PAGES, 1..3_u64, 0..nodes).prop_map(|(page, pages, to)| Outside::MoveHome { page, pages, to }),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let records = prop_oneof![Just(8_usize), Just(1024)];
    let numbers = prop_oneof![Just(0_u16), Just(200)];
    let shootdown = prop_oneof![Just(Shootdown::AtOnce), Just(Shootdown::Later)];
    (
        2..5_u16,
        prop_oneof![Just(1_u8), Just(4)],
        records,
        numbers,
        shootdown,
    )
        .prop_map(|(nodes, run, records, numbers, shootdown)| Plan {
            nodes,
            slice: PAGES / 2,
            records,
            run,
            numbers,
            shootdown,
            hold: 1,
            adaptation: Adaptation::Off,
        })
}

/// Any scenario.
pub fn scenario() -> impl Strategy<Value = Scenario> {
    plan().prop_flat_map(|plan| {
        let nodes = plan.nodes;
        let threads = prop::collection::vec((0..nodes, prop::collection::vec(op(), 1..6)), 1..7);
        let outside = prop::collection::vec(outside(nodes), 0..12);
        let order = prop::collection::vec(any::<u16>(), 0..400);
        (Just(plan), threads, outside, order).prop_map(|(plan, threads, outside, order)| Scenario {
            plan,
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
        scenario.plan.nodes = scenario.plan.nodes.max(3);
        for (at, node) in deaths {
            let at = at.index(scenario.outside.len() + 1);
            scenario.outside.insert(
                at,
                Outside::Kill {
                    node: node % scenario.plan.nodes,
                },
            );
        }
        scenario
    })
}

/// One thing that can happen.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Thread(usize),
    Step(Step),
    Outside,
    View(NodeId),
}

impl World {
    /// What time allows: a timer does not go off before a woken thread has had its instruction.
    pub fn ready_in_time(&self) -> Vec<Step> {
        let in_time = |step: &Step| match *step {
            Step::TimeOver(node, _) => !self.holds_for_thread(node),
            _ => true,
        };
        self.ready().into_iter().filter(in_time).collect()
    }

    /// Has something happen when all holds are over, if no thread is to have its instruction before.
    fn later(&mut self, node: NodeId, event: Event) {
        if !self.holds_for_thread(node) {
            let now = self.now;
            self.now = Time(1 << 40);
            self.event(node, event);
            self.now = now;
        }
    }

    pub fn outside(&mut self, what: Outside) {
        match what {
            Outside::Evict { node, page } => self.later(
                NodeId(node),
                Event::Evict {
                    page: PageIndex(page),
                },
            ),
            Outside::Pressure { node, pages } => {
                self.later(NodeId(node), Event::Pressure { pages })
            }
            Outside::Release { node } => self.event(NodeId(node), Event::Release),
            Outside::MoveHome { page, pages, to } => {
                let page = PageIndex(page);
                let home = self
                    .nodes
                    .iter()
                    .find(|node| !self.dead(node.id()) && node.home().owns(page))
                    .map(|node| node.id());
                // A page that is between homes when the view changes may be lost.
                self.lost
                    .extend((0..pages).map(|distance| page.plus(distance)));
                if let Some(home) = home {
                    self.event(
                        home,
                        Event::MoveHome {
                            first: page,
                            pages,
                            to: NodeId(to),
                        },
                    );
                }
            }
            Outside::Kill { node } => self.kill_and_tell(NodeId(node)),
        }
    }
}

/// Runs a scenario to its end; what was wrong, if anything was.
pub fn play(scenario: &Scenario) -> Result<World, String> {
    play_logged(scenario, None)
}

/// The last steps of a scenario that fails, and what was wrong.
pub fn explain(scenario: &Scenario) -> String {
    let mut log = Vec::new();
    let wrong = play_logged(scenario, Some(&mut log)).err();
    let tail = log.len().saturating_sub(60);
    format!("{}\n{wrong:?}", log[tail..].join("\n"))
}

fn play_logged(scenario: &Scenario, mut log: Option<&mut Vec<String>>) -> Result<World, String> {
    let mut world = scenario.plan.build();
    if scenario.plan.adaptation != Adaptation::Off {
        // Any page may be between homes when a node dies.
        world.lost.extend((0..PAGES).map(PageIndex));
    }
    for (node, ops) in &scenario.threads {
        world.spawn(NodeId(*node), ops.clone());
    }
    let mut outside = scenario.outside.iter().copied();
    let mut left = outside.len();
    let mut order = scenario.order.iter().copied();
    for step in 0.. {
        let mut choices: Vec<Choice> = world.runnable().into_iter().map(Choice::Thread).collect();
        choices.extend(world.ready_in_time().into_iter().map(Choice::Step));
        choices.extend(world.untold.keys().map(|&node| Choice::View(node)));
        if left > 0 {
            choices.push(Choice::Outside);
        }
        if choices.is_empty() {
            break;
        }
        let pick = order.next().map_or(step, usize::from) % choices.len();
        if let Some(log) = &mut log {
            let message = match choices[pick] {
                Choice::Step(Step::Deliver(from, to)) => world
                    .links
                    .get(&(from, to))
                    .map(|link| &link[0].packet.message),
                _ => None,
            };
            log.push(format!("{:?} {message:?}", choices[pick]));
        }
        match choices[pick] {
            Choice::Thread(thread) => world.execute(thread),
            Choice::Step(step) => world.step(step),
            Choice::View(node) => world.tell(node),
            Choice::Outside => {
                left -= 1;
                if let Some(what) = outside.next() {
                    world.outside(what);
                }
            }
        }
        world.check();
        if let Some(wrong) = world.wrong.take() {
            return Err(wrong);
        }
        if step > 5_000 {
            return Err("it does not come to an end".into());
        }
    }
    world.check_end();
    if let (Some(log), Some(_)) = (&mut log, &world.wrong) {
        log.extend(world.nodes.iter().map(|node| format!("{node:?}")));
    }
    match world.wrong.take() {
        Some(wrong) => Err(wrong),
        None => Ok(world),
    }
}
