//! Making clusters.

use super::{Shootdown, World};
use darner_coherence::{
    Adaptation, AgentLimits, Config, Epoch, HomeLimits, Node, NodeId, PageIndex, Slices, View,
};

/// What a cluster is made with.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub nodes: u16,
    /// Pages of each node's slice.
    pub slice: u64,
    pub records: usize,
    pub run: u8,
    /// One more than the highest number of a node, as far as the nodes know.
    pub numbers: u16,
    pub shootdown: Shootdown,
    pub hold: u64,
    /// Pages from the first on of which all nodes have the same bytes to begin with.
    pub replicated: u64,
    pub adaptation: Adaptation,
    /// Of how many pages whose homes have moved each agent remembers where they are.
    pub known: usize,
}

/// What replicated pages hold.
pub const REPLICATED: u64 = 0x7e57;

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: 3,
            slice: 64,
            records: 1024,
            run: 1,
            numbers: 0,
            shootdown: Shootdown::AtOnce,
            hold: 1,
            replicated: 0,
            adaptation: Adaptation::Off,
            known: 256,
        }
    }
}

impl Plan {
    pub fn slices(&self) -> Slices {
        let starts =
            (0..self.nodes).map(|node| (PageIndex(u64::from(node) * self.slice), NodeId(node)));
        Slices::new(starts.collect()).expect("slices in order")
    }

    pub fn view(&self) -> View {
        View {
            epoch: Epoch(1),
            members: (0..self.nodes).map(NodeId).collect(),
            slices: self.slices(),
        }
    }

    /// A node that knows nothing, and takes itself to be in this view.
    pub fn node(&self, me: NodeId, view: View) -> Node {
        let mut node = Node::new(Config {
            me,
            nodes: self.numbers.max(self.nodes),
            view,
            home: HomeLimits {
                records: self.records,
                moved: 256,
            },
            agent: AgentLimits {
                hold: self.hold,
                run: self.run,
                moved: self.known,
            },
        });
        node.set_adaptation(self.adaptation);
        node
    }

    pub fn build(&self) -> World {
        let nodes = (0..self.nodes).map(|me| self.node(NodeId(me), self.view()));
        let mut world = World::from_nodes(nodes.collect(), self.shootdown);
        world.latest = Some(self.view());
        for page in (0..self.replicated).map(PageIndex) {
            world.fill(page, REPLICATED);
        }
        world.replicate(PageIndex(0), self.replicated);
        world
    }
}
