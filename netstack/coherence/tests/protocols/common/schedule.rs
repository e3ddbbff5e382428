//! Random schedules: who goes next, in any order that links and time allow.

use super::build::Plan;
use super::threads::Op;
use super::{Shootdown, Step, World};
use darner_coherence::{Access, Adaptation, Event, NodeId, PageIndex, Time};
use proptest::prelude::*;

/// How many schedules to try.
pub fn cases() -> u32 {
    darner_checking::cases("COHERENCE_CASES", 10_000)
}

/// So many schedules of a kind.
pub fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 3_000,
        ..ProptestConfig::default()
    }
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
    /// The node is told what its threads will touch.
    Prefetch {
        node: u16,
        page: u64,
        pages: u64,
        access: Access,
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
    /// The node's slices become others'; all learn of it, each when its turn comes.
    Cede {
        node: u16,
    },
    /// The node gives everything up, as it is to leave.
    Depart {
        node: u16,
    },
    /// It leaves, if it has nothing and no thread.
    Leave {
        node: u16,
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
        2 => (0..nodes, 0..PAGES, 1..4_u64, access()).prop_map(|(node, page, pages, access)| {
            Outside::Prefetch { node, page, pages, access }
        }),
        2 => (0..PAGES, 1..3_u64, 0..nodes).prop_map(|(page, pages, to)| Outside::MoveHome { page, pages, to }),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let records = prop_oneof![Just(8_usize), Just(1024)];
    let numbers = prop_oneof![Just(0_u16), Just(200)];
    let shootdown = prop_oneof![Just(Shootdown::AtOnce), Just(Shootdown::Later)];
    let run = prop_oneof![Just(1_u8), Just(4)];
    (2..5_u16, run, records, numbers, shootdown).prop_map(
        |(nodes, run, records, numbers, shootdown)| Plan {
            nodes,
            slice: PAGES / 2,
            records,
            run,
            numbers,
            shootdown,
            hold: 1,
            replicated: 0,
            adaptation: Adaptation::Off,
            known: if numbers == 0 { 256 } else { 0 },
        },
    )
}

/// Any scenario.
pub fn scenario() -> impl Strategy<Value = Scenario> {
    scenario_on(plan(), 1..7)
}

/// Any scenario that begins with pages that are the same everywhere.
pub fn replicas() -> impl Strategy<Value = Scenario> {
    let plans = (plan(), 1..=PAGES).prop_map(|(plan, replicated)| Plan { replicated, ..plan });
    scenario_on(plans, 1..7)
}

/// Any scenario that begins with pages that are the same everywhere, and in which nodes die.
pub fn replicas_with_deaths() -> impl Strategy<Value = Scenario> {
    with_deaths(replicas())
}

/// Any scenario of more nodes than a directory tells apart.
pub fn crowd() -> impl Strategy<Value = Scenario> {
    let plans = (plan(), 65..90_u16).prop_map(|(plan, nodes)| Plan { nodes, ..plan });
    scenario_on(plans, 6..16)
}

fn scenario_on(
    plans: impl Strategy<Value = Plan>,
    threads: std::ops::Range<usize>,
) -> impl Strategy<Value = Scenario> {
    plans.prop_flat_map(move |plan| {
        let nodes = plan.nodes;
        let ops = prop::collection::vec(op(), 1..6);
        let threads = prop::collection::vec((0..nodes, ops), threads.clone());
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
    with_deaths(scenario())
}

/// Any scenario in which a node is drained, while another may die.
pub fn scenario_with_drains() -> impl Strategy<Value = Scenario> {
    let drains = prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize), 1..8);
    (with_deaths(replicas()), drains, any::<bool>()).prop_map(|(mut scenario, drains, deaths)| {
        if !deaths {
            let kills = |outside: &Outside| matches!(outside, Outside::Kill { .. });
            scenario.outside.retain(|outside| !kills(outside));
        }
        let node = 1;
        let steps = [
            Outside::Cede { node },
            Outside::Cede { node: 0 },
            Outside::Depart { node },
            Outside::Depart { node },
            Outside::Leave { node },
            Outside::Leave { node },
        ];
        for (at, step) in drains {
            let at = at.index(scenario.outside.len() + 1);
            scenario.outside.insert(at, steps[step]);
        }
        scenario
    })
}

/// Any scenario of many nodes, of which some die.
pub fn crowd_with_deaths() -> impl Strategy<Value = Scenario> {
    with_deaths(crowd())
}

fn with_deaths(scenarios: impl Strategy<Value = Scenario>) -> impl Strategy<Value = Scenario> {
    let deaths = prop::collection::vec((any::<prop::sample::Index>(), 0..4_u16), 1..3);
    (scenarios, deaths).prop_map(|(mut scenario, deaths)| {
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
pub enum Choice {
    Thread(usize),
    Step(Step),
    Outside(Outside),
    View(NodeId),
}

impl World {
    /// All that can happen next; from outside, that.
    pub fn choices(&self, outside: Option<Outside>) -> Vec<Choice> {
        let mut choices: Vec<Choice> = self.runnable().into_iter().map(Choice::Thread).collect();
        choices.extend(self.ready_in_time().into_iter().map(Choice::Step));
        choices.extend(self.untold.keys().map(|&node| Choice::View(node)));
        choices.extend(outside.map(Choice::Outside));
        choices
    }

    pub fn choose(&mut self, choice: Choice) {
        match choice {
            Choice::Thread(thread) => self.execute(thread),
            Choice::Step(step) => self.step(step),
            Choice::View(node) => self.tell(node),
            Choice::Outside(what) => self.outside(what),
        }
    }

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
            Outside::Prefetch {
                node,
                page,
                pages,
                access,
            } => self.event(
                NodeId(node),
                Event::Prefetch {
                    first: PageIndex(page),
                    pages,
                    access,
                },
            ),
            Outside::Release { node } => self.event(NodeId(node), Event::Release),
            Outside::MoveHome { page, pages, to } => {
                let page = PageIndex(page);
                let home = self
                    .nodes
                    .iter()
                    .find(|node| !self.dead(node.id()) && node.home().owns(page))
                    .map(|node| node.id());
                let moved = (0..pages).map(|distance| page.plus(distance));
                self.moved.extend(moved.clone());
                if self.is_changing_twice() {
                    self.lost.extend(moved);
                }
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
            Outside::Cede { node } => self.cede_and_tell(NodeId(node)),
            Outside::Depart { node } => {
                let pages = usize::MAX;
                self.later(NodeId(node), Event::Depart { pages });
            }
            Outside::Leave { node } => {
                if self
                    .threads
                    .iter()
                    .all(|thread| thread.node != NodeId(node))
                {
                    self.leave_and_tell(NodeId(node));
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

/// A number for a step. Numbers one after the other would leave the same things undone for ever where how many can be done
/// goes up and down.
fn scattered(step: usize) -> usize {
    (step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> 32
}

fn play_logged(scenario: &Scenario, mut log: Option<&mut Vec<String>>) -> Result<World, String> {
    let mut world = scenario.plan.build();
    let longest = 5_000 + 10 * usize::from(scenario.plan.nodes).pow(2);
    if scenario.plan.adaptation != Adaptation::Off {
        // Any page may be between homes when a node dies.
        world.lost.extend((0..PAGES).map(PageIndex));
    }
    for (node, ops) in &scenario.threads {
        world.spawn(NodeId(*node), ops.clone());
    }
    let mut outside = scenario.outside.iter().copied().peekable();
    let mut order = scenario.order.iter().copied();
    for step in 0.. {
        let choices = world.choices(outside.peek().copied());
        if choices.is_empty() {
            break;
        }
        let pick = order.next().map_or(scattered(step), usize::from) % choices.len();
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
        if let Choice::Outside(_) = choices[pick] {
            outside.next();
        }
        world.choose(choices[pick]);
        world.check();
        if let Some(wrong) = world.wrong.take() {
            return Err(wrong);
        }
        if step > longest {
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
