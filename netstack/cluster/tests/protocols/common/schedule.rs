//! Random schedules: who goes next, what breaks, and what users do; and then all heals.

use super::users::Use;
use super::world::{Plan, World};
use darner_cluster::{EndReason, Event, Limits, Nanos, Rest, TieBreak, Times};
use proptest::prelude::*;

/// How many schedules to try.
pub fn cases() -> u32 {
    darner_checking::cases("CLUSTER_CASES", 3_000)
}

/// Short spans, so that much happens.
pub const TIMES: Times = Times {
    heartbeat: Nanos(1_000),
    suspect: Nanos(6_000),
    lease: Nanos(4_000),
    drift: Nanos(100),
    retry: Nanos(1_500),
    patience: Nanos(2_000),
    partial: Nanos(20_000),
    give_up: Nanos(150_000),
};

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Messages arrive and time passes, in an order that follows from `seed`.
    Run {
        seed: u32,
        steps: u8,
    },
    /// Everything is orderly for a while.
    Calm {
        heartbeats: u8,
    },
    Join {
        node: u16,
        offset: u64,
    },
    Crash {
        node: u16,
        told: bool,
    },
    Pause {
        node: u16,
        span: u64,
    },
    /// There can be no link between the two.
    Cut {
        a: u16,
        b: u16,
    },
    /// Nothing arrives between the two, and they are not told.
    Stall {
        a: u16,
        b: u16,
    },
    /// The link between the two is lost, and can be made again.
    Lose {
        a: u16,
        b: u16,
    },
    /// The nodes below are parted from the others.
    Part {
        below: u16,
        told: bool,
    },
    Heal,
    Drain {
        node: u16,
    },
    Leave {
        node: u16,
    },
    Use(Use),
}

/// A world, and what happens in it.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub plan: Plan,
    /// How many of eight steps deliver something.
    pub haste: u32,
    pub steps: Vec<Step>,
}

fn span() -> impl Strategy<Value = Option<u64>> + Clone {
    prop_oneof![2 => Just(None), 1 => (1..20_000_u64).prop_map(Some)]
}

fn rest() -> impl Strategy<Value = Rest> + Clone {
    prop_oneof![Just(Rest::More), Just(Rest::Last)]
}

fn usage(nodes: u16) -> impl Strategy<Value = Use> {
    let node = 0..nodes;
    let which = any::<u16>();
    prop_oneof![
        4 => (node.clone(), 0..nodes, any::<bool>(), rest(), span())
            .prop_map(|(node, peer, part, rest, span)| Use::Begin { node, peer, part, rest, span }),
        4 => (node.clone(), which, rest()).prop_map(|(node, which, rest)| Use::Tell { node, which, rest }),
        2 => (node.clone(), which).prop_map(|(node, which)| Use::Abort { node, which }),
        2 => (node.clone(), 0..2_u16).prop_map(|(node, port)| Use::OpenPort { node, port }),
        6 => (node.clone(), 0..2_u16, span()).prop_map(|(node, port, span)| Use::Put { node, port, span }),
        3 => node.clone().prop_map(|node| Use::Work { node }),
        3 => (node.clone(), which).prop_map(|(node, which)| Use::Reply { node, which }),
        2 => (0..2_u16, node).prop_map(|(port, to)| Use::MovePort { port, to }),
    ]
}

fn step(nodes: u16) -> impl Strategy<Value = Step> {
    let node = 0..nodes;
    prop_oneof![
        12 => (any::<u32>(), 1..60_u8).prop_map(|(seed, steps)| Step::Run { seed, steps }),
        4 => (1..20_u8).prop_map(|heartbeats| Step::Calm { heartbeats }),
        4 => (node.clone(), 0..1_000_000_u64).prop_map(|(node, offset)| Step::Join { node, offset }),
        2 => (node.clone(), any::<bool>()).prop_map(|(node, told)| Step::Crash { node, told }),
        1 => (node.clone(), 1..30_000_u64).prop_map(|(node, span)| Step::Pause { node, span }),
        1 => (node.clone(), 0..nodes).prop_map(|(a, b)| Step::Cut { a, b }),
        1 => (node.clone(), 0..nodes).prop_map(|(a, b)| Step::Stall { a, b }),
        2 => (node.clone(), 0..nodes).prop_map(|(a, b)| Step::Lose { a, b }),
        1 => (node.clone(), any::<bool>()).prop_map(|(below, told)| Step::Part { below, told }),
        2 => Just(Step::Heal),
        1 => node.clone().prop_map(|node| Step::Drain { node }),
        1 => node.prop_map(|node| Step::Leave { node }),
        14 => usage(nodes).prop_map(Step::Use),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let tie_break = prop_oneof![Just(TieBreak::Lowest), Just(TieBreak::Strict)];
    let limit = prop_oneof![Just(3_usize), Just(100)];
    let rates = prop::collection::vec(990..1011_u64, 6);
    (2..6_u16, tie_break, limit, rates).prop_map(|(nodes, tie_break, limit, rates)| Plan {
        nodes,
        tie_break,
        times: TIMES,
        limits: Limits {
            transactions: limit,
            requests: limit,
            places: 1,
        },
        rates,
    })
}

/// Any scenario. All nodes start at the beginning, most of them in peace.
pub fn scenario() -> impl Strategy<Value = Scenario> {
    (plan(), 2..8_u32, any::<bool>()).prop_flat_map(|(plan, haste, peace)| {
        let nodes = plan.nodes;
        let steps = prop::collection::vec(step(nodes), 1..60);
        (Just(plan), steps).prop_map(move |(plan, mut steps)| {
            let start = (1..nodes).map(|node| Step::Join {
                node,
                offset: u64::from(node) * 1_234_567,
            });
            let calm = peace.then_some(Step::Calm { heartbeats: 10 });
            steps.splice(0..0, start.chain(calm));
            Scenario { plan, haste, steps }
        })
    })
}

struct Random(u32);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % bound
    }
}

impl World {
    /// Time passes, at most so much, and not past a timer.
    fn pass_some(&mut self, most: u64) {
        let until = self.now + most;
        self.pass(self.next_timer().map_or(until, |timer| timer.min(until)));
    }

    fn run(&mut self, seed: u32, steps: u8, haste: u32) -> Result<(), String> {
        let mut random = Random(seed | 1);
        for _ in 0..steps {
            let ready = self.deliverable();
            if !ready.is_empty() && random.below(8) < haste as usize {
                self.deliver(ready[random.below(ready.len())]);
            } else {
                self.pass_some(1 + random.below(300) as u64);
            }
            self.check()?;
        }
        Ok(())
    }

    /// Everything arrives at once, until then.
    pub fn calm(&mut self, until: u64) -> Result<(), String> {
        while self.now < until {
            self.deliver_all()?;
            self.pass_some(until - self.now);
            self.check()?;
        }
        Ok(())
    }

    fn deliver_all(&mut self) -> Result<(), String> {
        for _ in 0..1_000 {
            let ready = self.deliverable();
            if ready.is_empty() {
                return Ok(());
            }
            for key in ready {
                self.deliver(key);
                self.check()?;
            }
        }
        let ready = self.deliverable();
        let items: Vec<_> = ready
            .iter()
            .map(|&key| (key, self.links.front(key)))
            .collect();
        Err(format!("messages without end: {items:?}"))
    }

    fn step(&mut self, step: Step, haste: u32) -> Result<(), String> {
        let runs = |world: &Self, node: u16| world.hosts[usize::from(node)].node.is_some();
        match step {
            Step::Run { seed, steps } => self.run(seed, steps, haste)?,
            Step::Calm { heartbeats } => {
                self.calm(self.now + u64::from(heartbeats) * TIMES.heartbeat.0)?;
            }
            Step::Join { node, offset } => self.join(node, offset),
            Step::Crash { node, told } => self.crash(node, told),
            Step::Pause { node, span } => {
                self.hosts[usize::from(node)].paused_until = self.now + span;
            }
            Step::Cut { a, b } => self.part(a, b, true),
            Step::Stall { a, b } => self.part(a, b, false),
            Step::Lose { a, b } => self.links.lose(a, b),
            Step::Part { below, told } => {
                for a in 0..below {
                    for b in below..self.plan.nodes {
                        self.part(a, b, told);
                    }
                }
            }
            Step::Heal => self.heal(),
            Step::Drain { node } if runs(self, node) => self.handle(node, Event::Drain),
            Step::Leave { node } if runs(self, node) => self.handle(node, Event::Leave),
            Step::Drain { .. } | Step::Leave { .. } => {}
            Step::Use(action) => self.apply(action),
        }
        self.check()
    }

    pub fn part(&mut self, a: u16, b: u16, told: bool) {
        let key = super::links::pair(a, b);
        if told {
            self.links.cut.insert(key);
            self.links.lose(a, b);
        } else {
            self.links.stalled.insert(key);
        }
    }

    pub fn heal(&mut self) {
        self.links.cut.clear();
        self.links.stalled.clear();
    }

    /// Everything heals, users end what they have begun, and much time passes.
    fn settle(&mut self) -> Result<(), String> {
        self.heal();
        for host in &mut self.hosts {
            host.paused_until = self.now;
        }
        // A node that has died may yet be taken in, if it had asked; and then it counts.
        self.calm(self.now + 3 * TIMES.suspect.0)?;
        let goes_on = self.can_go_on();
        self.links.notice_deaths();
        let end = self.now + 2 * TIMES.give_up.0;
        while self.now < end && (self.is_settled().is_err() || self.is_finished().is_err()) {
            self.deliver_all()?;
            self.finish_all();
            self.deliver_all()?;
            self.pass_some(TIMES.give_up.0);
            self.check()?;
        }
        self.is_settled()?;
        self.is_finished()?;
        let left = |node: &u16| self.hosts[usize::from(*node)].ended == Some(EndReason::Left);
        let running = self.running();
        let serves = running.iter().any(|&node| self.serves(node));
        if goes_on && !serves && !running.iter().any(left) {
            let views = self.views.iter().map(|(epoch, view)| (epoch, view.nodes()));
            let views: Vec<_> = views.collect();
            let hosts: Vec<_> = self
                .hosts
                .iter()
                .map(|host| (host.incarnation, host.ended))
                .collect();
            return Err(format!(
                "a quorum lived, and nobody serves: {views:?} {hosts:?}"
            ));
        }
        Ok(())
    }
}

/// Plays a scenario.
pub fn play(scenario: &Scenario) -> Result<(), String> {
    let mut world = World::new(scenario.plan.clone());
    for &step in &scenario.steps {
        world.step(step, scenario.haste)?;
    }
    world.settle()
}

/// What goes wrong, with what was done at each time.
pub fn explain(scenario: &Scenario) -> String {
    let mut world = World::new(scenario.plan.clone());
    for (index, &step) in scenario.steps.iter().enumerate() {
        if let Err(wrong) = world.step(step, scenario.haste) {
            let done = &scenario.steps[..=index];
            return format!("at {}, after {done:?}: {wrong}", world.now);
        }
    }
    match world.settle() {
        Ok(()) => "nothing is wrong".into(),
        Err(wrong) => {
            let done = &scenario.steps;
            format!(
                "at {}, when all has healed after {done:?}: {wrong}",
                world.now
            )
        }
    }
}
