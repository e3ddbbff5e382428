//! What an episode is made with: the cluster, the work, the network.

use crate::chance::{Chance, Stream};
use crate::fault::Faults;
use crate::op::MOST_TOUCHED;
use crate::time::{MICROSECOND, MILLISECOND};
use darner_coherence::{Adaptation, AgentLimits, HomeLimits, LONGEST_RUN, locks, parking};
use std::ops::Range;

/// Everything that is known of an episode before it begins.
///
/// Two episodes with the same plan are the same, step by step.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What all chance comes from.
    pub seed: u64,
    /// How many nodes.
    pub nodes: u16,
    /// One more than the highest number of a node that the nodes are prepared for. Above 64 they
    /// know sharers by group.
    pub numbers: u16,
    /// How many pages of memory.
    pub pages: u64,
    /// How many threads each node has.
    pub threads: u16,
    /// Sizes of each home.
    pub home: HomeLimits,
    /// Sizes and times of each agent.
    pub agent: AgentLimits,
    /// How far nodes go by how pages were used.
    pub adaptation: Adaptation,
    /// Sizes of each node's range locks.
    pub locks: locks::Limits,
    /// How many nodes, from the first on, have objects that are locked.
    pub locked_homes: u16,
    /// How many objects each of them has.
    pub objects: u32,
    /// Sizes of each node's waiting places.
    pub parking: parking::Limits,
    /// How many words threads wait for, and how many barriers there are.
    pub words: u16,
    /// Who says who is a member.
    pub agreement: Agreement,
    /// What the threads do.
    pub workload: Workload,
    /// How the network behaves.
    pub network: Network,
    /// The longest time, in nanoseconds, that a node's CPUs take to give up rights; 0 for at once.
    pub shootdown: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// After how many steps nothing is begun any more.
    pub steps: u64,
}

/// Who says who is a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The simulator, at once, and always right.
    Given,
    /// The nodes themselves, by their membership protocol.
    Theirs,
}

/// How often what is done, as weights.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    /// Instructions that touch a page.
    pub single: u32,
    /// Instructions that touch several pages.
    pub several: u32,
    /// A page read, then written.
    pub update: u32,
    /// Pages one after another.
    pub stream: u32,
    /// Ranges freed.
    pub discard: u32,
    /// Ranges of bytes locked.
    pub lock: u32,
    /// Words put to and taken from.
    pub word: u32,
    /// Barriers come to.
    pub meet: u32,
    /// Transactions with other nodes; only of nodes that agree on views themselves.
    pub talk: u32,
    /// Ports asked, and moved; only by such nodes.
    pub call: u32,
    /// Accesses to the node's own slice.
    pub own: u32,
    /// Accesses to the slices of the nodes before and after it.
    pub neighbours: u32,
    /// Accesses to a few pages that all use.
    pub hot: u32,
    /// Accesses to any page.
    pub any: u32,
    /// How many pages all use.
    pub hot_pages: u64,
    /// How many accesses in a hundred are writes.
    pub writes: u32,
    /// The longest time between two instructions, in nanoseconds.
    pub think: u64,
}

/// How long packets take, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Network {
    /// The least.
    pub least: u64,
    /// The most, as a rule.
    pub most: u64,
    /// How many packets in a hundred take longer.
    pub late: u32,
    /// The most for those.
    pub latest: u64,
}

/// What the command line fixes, whatever the seed says.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// How many nodes.
    pub nodes: Option<u16>,
    /// What goes wrong.
    pub faults: Option<Faults>,
    /// Who says who is a member.
    pub agreement: Option<Agreement>,
    /// What the threads do.
    pub work: Option<Work>,
}

/// What threads do, if it is not drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Little but transactions and requests to ports, so that there are more of these in as many steps.
    Talk,
}

impl Plan {
    /// A plan drawn from a seed. Different seeds have very different ones, so that what one
    /// kind of work or network hides, another shows.
    #[must_use]
    pub fn drawn(seed: u64, steps: u64, wishes: &Wishes) -> Self {
        let mut chance = Chance::new(seed, Stream::Plan);
        let nodes = chance.one_of(&[2, 3, 3, 3, 4, 5, 5, 6, 8, 12]);
        let faults = Faults::drawn(&mut chance);
        let nodes = wishes.nodes.unwrap_or(nodes).max(1);
        let threads = chance.one_of(&[1, 2, 3]);
        let records = chance.one_of(&[8, 12, 32, 1024]);
        let workload = Workload::drawn(&mut chance);
        let workload = match wishes.work {
            None => workload,
            Some(Work::Talk) => Workload::TALK,
        };
        let pages: u64 = chance.one_of(&[2, 6, 16, 40, 120]);
        let agreement = chance.one_of(&[Agreement::Given, Agreement::Given, Agreement::Theirs]);
        let agreement = wishes.agreement.unwrap_or(agreement);
        Self {
            seed,
            nodes,
            numbers: chance.one_of(&[nodes, nodes, nodes, 200]).max(nodes),
            pages: pages.next_multiple_of(nodes.into()),
            agreement,
            adaptation: chance.one_of(&[
                Adaptation::Off,
                Adaptation::Off,
                Adaptation::Careful,
                Adaptation::Eager,
            ]),
            locks: lock_limits(&mut chance),
            locked_homes: chance.one_of(&[1, 2, nodes]).min(nodes),
            objects: chance.one_of(&[1, 1, 2, 60]),
            parking: waiting_limits(&mut chance),
            words: chance.one_of(&[2, 4, 8]),
            threads,
            home: HomeLimits {
                records,
                moved: chance.one_of(&[1, 8, 256]),
            },
            agent: AgentLimits {
                hold: chance.one_of(&[10, 30, 200]),
                run: chance.one_of(&[1, 1, 4, 16]),
                moved: chance.one_of(&[0, 4, 256]),
            },
            workload: workload.fitting(records, nodes * threads).of(agreement),
            network: Network::drawn(&mut chance),
            shootdown: chance.one_of(&[0, 0, 3 * MICROSECOND, 40 * MICROSECOND]),
            faults: wishes.faults.clone().unwrap_or(faults),
            steps,
        }
    }

    /// How many pages nodes may come to have: those that come along with a run may lie
    /// behind the last that is used.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.pages + u64::from(LONGEST_RUN)
    }

    /// The pages of a node's slice.
    #[must_use]
    pub fn slice_of(&self, node: u16) -> Range<u64> {
        let (nodes, node) = (u64::from(self.nodes), u64::from(node));
        self.pages * node / nodes..self.pages * (node + 1) / nodes
    }
}

impl Workload {
    const TALK: Self = Self {
        single: 1,
        several: 0,
        update: 0,
        stream: 0,
        discard: 0,
        lock: 0,
        word: 0,
        meet: 0,
        talk: 20,
        call: 20,
        own: 0,
        neighbours: 0,
        hot: 0,
        any: 1,
        hot_pages: 1,
        writes: 30,
        think: 5 * MICROSECOND,
    };

    /// Only such instructions as can complete: one that needs several pages needs them at once, so
    /// each home must have room for what all threads need at once.
    fn fitting(self, records: usize, threads: u16) -> Self {
        let entries = usize::from(threads) * MOST_TOUCHED * 2;
        let several = if records < entries { 0 } else { self.several };
        Self { several, ..self }
    }

    /// Only what nodes can do that agree on views in this way.
    fn of(self, agreement: Agreement) -> Self {
        let (talk, call) = match agreement {
            Agreement::Given => (0, 0),
            Agreement::Theirs => (self.talk, self.call),
        };
        Self { talk, call, ..self }
    }

    fn drawn(chance: &mut Chance) -> Self {
        Self {
            single: 10,
            several: chance.one_of(&[0, 1, 5]),
            update: chance.one_of(&[0, 2, 20]),
            stream: chance.one_of(&[0, 0, 1, 4]),
            discard: chance.one_of(&[0, 1, 2]),
            lock: chance.one_of(&[0, 0, 3, 20]),
            word: chance.one_of(&[0, 0, 3, 20]),
            meet: chance.one_of(&[0, 0, 1, 5]),
            talk: chance.one_of(&[0, 3, 20]),
            call: chance.one_of(&[0, 3, 20]),
            own: chance.one_of(&[0, 1, 10]),
            neighbours: chance.one_of(&[0, 1, 5]),
            hot: chance.one_of(&[0, 1, 10]),
            any: 1,
            hot_pages: chance.one_of(&[1, 2, 3]),
            writes: chance.one_of(&[5, 30, 60]),
            think: chance.one_of(&[100, 5 * MICROSECOND, 200 * MICROSECOND]),
        }
    }
}

fn lock_limits(chance: &mut Chance) -> locks::Limits {
    locks::Limits {
        records: chance.one_of(&[32, 256]),
        parked: chance.one_of(&[2, 64]),
        leases: chance.one_of(&[8, 256]),
        locks: chance.one_of(&[2, 64]),
    }
}

fn waiting_limits(chance: &mut Chance) -> parking::Limits {
    parking::Limits {
        waiters: chance.one_of(&[4, 256]),
        generations: chance.one_of(&[1, 16]),
        threads: chance.one_of(&[2, 64]),
        known: chance.one_of(&[1, 16]),
    }
}

impl Network {
    fn drawn(chance: &mut Chance) -> Self {
        let least = chance.one_of(&[500, 10 * MICROSECOND]);
        Self {
            least,
            most: least + chance.one_of(&[500, 20 * MICROSECOND, 300 * MICROSECOND]),
            late: chance.one_of(&[0, 1, 5]),
            latest: 5 * MILLISECOND,
        }
    }

    /// How long a packet takes.
    pub fn delay(&self, chance: &mut Chance) -> u64 {
        let most = match self.late > 0 && chance.percent(self.late) {
            true => self.latest,
            false => self.most,
        };
        chance.within(self.least..most.max(self.least) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_the_memory() {
        for seed in 0..200 {
            let plan = Plan::drawn(seed, 1, &Wishes::default());
            let mut end = 0;
            for node in 0..plan.nodes {
                let slice = plan.slice_of(node);
                assert_eq!(slice.start, end);
                assert!(!slice.is_empty(), "{plan:?}");
                end = slice.end;
            }
            assert_eq!(end, plan.pages);
        }
    }
}
