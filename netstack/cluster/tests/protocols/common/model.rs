//! Membership as a model: three nodes, all orders of messages and timers, crashes, restarts and partitions.

use super::links::{Item, pair};
use super::world::{Plan, World};
use darner_cluster::{Limits, MembershipMessage, Message, Nanos, TieBreak, Times};
use stateright::{Model, Property};

/// A bounded part of all that can happen.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// What has happened before.
    pub start: Start,
    pub tie_break: TieBreak,
    /// How many nodes may die.
    pub crashes: u8,
    /// How many may start again.
    pub restarts: u8,
    /// How often a pair may be parted, and nobody told.
    pub partings: u8,
    /// How long it may go on, in timers.
    pub ticks: u8,
    /// Whether heartbeats take time.
    pub heartbeats: Heartbeats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heartbeats {
    /// They arrive as soon as they are next.
    AtOnce,
    /// They take any time.
    Slow,
}

/// Where the model begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// All are members.
    Together,
    /// The founder is alone, and the others ask to join.
    Apart,
}

/// A state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub world: World,
    crashes: u8,
    restarts: u8,
    partings: u8,
    ticks: u8,
}

/// A transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Deliver(u16, u16),
    Tick,
    Crash(u16),
    Restart(u16),
    Part(u16, u16),
    Heal,
}

/// Few, so that much happens in few timers.
const TIMES: Times = Times {
    heartbeat: Nanos(10),
    suspect: Nanos(20),
    lease: Nanos(20),
    drift: Nanos(0),
    retry: Nanos(10),
    patience: Nanos(10),
    partial: Nanos(1_000),
    give_up: Nanos(10_000),
};

const NODES: u16 = 3;

impl Cluster {
    /// Three members, one of which may die and one pair of which may be parted.
    pub const fn small() -> Self {
        Self {
            start: Start::Together,
            tie_break: TieBreak::Lowest,
            crashes: 1,
            restarts: 0,
            partings: 1,
            ticks: 3,
            heartbeats: Heartbeats::AtOnce,
        }
    }

    fn beginning(&self) -> World {
        let mut world = World::new(Plan {
            nodes: NODES,
            tie_break: self.tie_break,
            times: TIMES,
            limits: Limits::default(),
            rates: Vec::new(),
        });
        for node in 1..NODES {
            world.join(node, 0);
        }
        if self.start == Start::Together {
            while world.now < 40 {
                while let Some(&key) = world.deliverable().first() {
                    world.deliver(key);
                }
                let next = world.next_timer().expect("a heartbeat");
                world.pass(next);
            }
            while let Some(&key) = world.deliverable().first() {
                world.deliver(key);
            }
            assert!(world.is_settled().is_ok(), "{:?}", world.is_settled());
        }
        world
    }

    /// Delivers what takes no time.
    fn rush(&self, world: &mut World) {
        if self.heartbeats == Heartbeats::Slow {
            return;
        }
        for _ in 0..1_000 {
            let quick = |&key: &(u16, u16)| match world.links.front(key) {
                Some(Item::Packet(packet)) => matches!(
                    packet.message,
                    Message::Membership(MembershipMessage::Heartbeat { .. })
                ),
                Some(_) => true,
                None => false,
            };
            let ready = world.deliverable();
            match ready.into_iter().find(quick) {
                Some(key) => world.deliver(key),
                None => return,
            }
        }
        world.wrong.get_or_insert("heartbeats without end".into());
    }
}

impl State {
    /// Whether nothing more happens to it from outside, and time has run out.
    fn is_over(&self, model: &Cluster) -> bool {
        self.ticks >= model.ticks && self.world.deliverable().is_empty()
    }

    /// Lets all heal and much time pass, in order: what must come of any state.
    fn settles(&self) -> Result<(), String> {
        let mut world = self.world.clone();
        world.links.stalled.clear();
        let goes_on = |world: &World| world.can_go_on();
        let mut could = false;
        for step in 0..400 {
            for _ in 0..1_000 {
                let Some(&key) = world.deliverable().first() else {
                    break;
                };
                world.deliver(key);
            }
            world.check()?;
            // Those who have died and may yet be taken in have been by now, and count.
            could |= step == 20 && goes_on(&world);
            if step > 20 && world.is_settled().is_ok() {
                break;
            }
            match world.next_timer() {
                Some(next) => world.pass(next),
                None => break,
            }
        }
        let serves = world.running().iter().any(|&node| world.serves(node));
        if could && !serves {
            return Err("a quorum lived, and nobody serves".into());
        }
        if could { world.is_settled() } else { Ok(()) }
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            world: self.beginning(),
            crashes: 0,
            restarts: 0,
            partings: 0,
            ticks: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let world = &state.world;
        if world.wrong.is_some() {
            return;
        }
        let ready = world.deliverable();
        actions.extend(
            ready
                .into_iter()
                .map(|(from, to)| Action::Deliver(from, to)),
        );
        if state.ticks < self.ticks {
            actions.push(Action::Tick);
        }
        let running = world.running();
        if state.crashes < self.crashes {
            actions.extend(running.iter().map(|&node| Action::Crash(node)));
        }
        if state.restarts < self.restarts {
            let dead = (0..NODES).filter(|node| !running.contains(node));
            actions.extend(dead.map(Action::Restart));
        }
        if state.partings < self.partings {
            for a in 0..NODES {
                actions.extend((a + 1..NODES).map(|b| Action::Part(a, b)));
            }
        }
        if !world.links.stalled.is_empty() {
            actions.push(Action::Heal);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let world = &mut state.world;
        match action {
            Action::Deliver(from, to) => world.deliver((from, to)),
            Action::Tick => {
                state.ticks += 1;
                world.pass(world.next_timer()?);
            }
            Action::Crash(node) => {
                state.crashes += 1;
                world.crash(node, false);
            }
            Action::Restart(node) => {
                state.restarts += 1;
                world.join(node, 0);
            }
            Action::Part(a, b) => {
                state.partings += 1;
                if !world.links.stalled.insert(pair(a, b)) {
                    return None;
                }
            }
            Action::Heal => world.links.stalled.clear(),
        }
        self.rush(world);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("at most one view for each epoch", |_, state: &State| {
                state.world.wrong.is_none()
            }),
            Property::always("nobody serves who was left out", |_, state: &State| {
                state.world.only_members_serve().is_ok()
            }),
            Property::always("lives are told apart", |_, state: &State| {
                state.world.lives_are_told_apart().is_ok()
            }),
            Property::always(
                "with a majority a view is agreed on",
                |model: &Self, state: &State| !state.is_over(model) || state.settles().is_ok(),
            ),
            Property::sometimes("another view", |_, state: &State| {
                state.world.views.len() > 3
            }),
            Property::sometimes("two serve", |_, state: &State| {
                (0..NODES).filter(|&node| state.world.serves(node)).count() == 2
            }),
        ]
    }
}
