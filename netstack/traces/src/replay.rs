//! What a real cluster's nodes asked of the protocol, asked again of the same protocol in a simulated one.
//!
//! A trace of machines that ran a program says when which node's threads wanted which pages, freed them, or asked for them ahead
//! (`xtask cluster --trace`). Here the state machines of `darner-coherence` get the same at the same times, with a network
//! between them on which every message takes equally long. How many messages that takes is what the program should have cost:
//! more, and the machines have said what the protocol does not need.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use darner_coherence::{
    Access, Action, AgentLimits, Config, Dirt, Epoch, Event, HomeLimits, Node, NodeId, Packet,
    PageIndex, Slices, Time, Token, View,
};

/// How long a message takes, in ns: about what it does between emulated machines.
const WAY: u64 = 250_000;
/// How long a page that has just arrived stays, in µs: as in the kernel.
const HOLD: u64 = 300;
/// The most pages that one request names: as in the kernel.
const RUN: u8 = 16;
/// More than any trace has.
const RECORDS: usize = 1 << 20;

/// What a node did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Want(Access),
    Ahead(Access),
    Discard,
    Protected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Done {
    at: u64,
    node: u16,
    what: What,
    page: PageIndex,
    pages: u64,
}

/// What a trace says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    nodes: u16,
    slices: BTreeMap<u64, u16>,
    replicated: BTreeMap<u64, u64>,
    done: Vec<Done>,
}

/// Messages, by their names.
pub type Messages = BTreeMap<String, u64>;

impl Recorded {
    /// Reads a trace: on each line when (ns), which node, what, the first page and how many.
    ///
    /// # Errors
    /// A line says something else, or the trace does not say where the nodes' memory is.
    pub fn parse(nodes: u16, text: &str) -> Result<Self, String> {
        let mut recorded = Self {
            nodes,
            ..Self::default()
        };
        for (number, line) in (1..).zip(text.lines()) {
            recorded.take(line).ok_or_else(|| {
                format!("found `{line}` in line {number}, expected TIME NODE WHAT PAGE PAGES of {nodes} nodes")
            })?;
        }
        if recorded.slices.len() != usize::from(nodes) || !recorded.slices.contains_key(&0) {
            return Err(format!(
                "found slices of {} nodes, expected {nodes}, the first one's from page 0 on",
                recorded.slices.len()
            ));
        }
        recorded.done.sort_by_key(|done| done.at);
        Ok(recorded)
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_whitespace();
        let at = words.next()?.parse().ok()?;
        let node = words
            .next()?
            .parse()
            .ok()
            .filter(|&node| node < self.nodes)?;
        let what = words.next()?;
        let page = words.next()?.parse().ok()?;
        let pages = words.next()?.parse().ok()?;
        let what = match what {
            "read" => What::Want(Access::Read),
            "write" => What::Want(Access::Write),
            "read_ahead" => What::Ahead(Access::Read),
            "write_ahead" => What::Ahead(Access::Write),
            "discarded" => What::Discard,
            "protected" => What::Protected,
            "replicated" => {
                self.replicated.insert(page, pages);
                return Some(());
            }
            "slice" => {
                let owner = u16::try_from(pages)
                    .ok()
                    .filter(|&owner| owner < self.nodes)?;
                self.slices.insert(page, owner);
                return Some(());
            }
            _ => return None,
        };
        self.done.push(Done {
            at,
            node,
            what,
            page: PageIndex(page),
            pages,
        });
        Some(())
    }

    /// Has it done again.
    #[must_use]
    pub fn replay(&self) -> Messages {
        let mut world = World::new(self);
        for done in &self.done {
            world.run(done.at);
            world.does(done);
        }
        world.run(u64::MAX);
        world.messages
    }
}

/// Something that is to come: when, in which order, to whom.
type Coming = Reverse<(u64, u64, u16)>;

struct World {
    nodes: Vec<Node>,
    now: u64,
    /// What is on its way, by its number.
    flying: BTreeMap<u64, Event>,
    queue: BinaryHeap<Coming>,
    number: u64,
    /// Whether a page had been written when rights to it were taken, the first time first.
    dirt: BTreeMap<(u16, PageIndex), VecDeque<Dirt>>,
    messages: Messages,
}

impl World {
    fn new(recorded: &Recorded) -> Self {
        let slices = recorded.slices.iter();
        let slices = slices.map(|(&first, &node)| (PageIndex(first), NodeId(node)));
        let view = View {
            epoch: Epoch(1),
            members: (0..recorded.nodes).map(NodeId).collect(),
            slices: Slices::new(slices.collect()).expect("a map is in order"),
        };
        let node = |me| {
            Node::new(Config {
                me: NodeId(me),
                nodes: recorded.nodes,
                view: view.clone(),
                home: HomeLimits {
                    records: RECORDS,
                    moved: RECORDS,
                },
                agent: AgentLimits {
                    hold: HOLD,
                    run: RUN,
                    moved: RECORDS,
                },
            })
        };
        let mut dirt: BTreeMap<_, VecDeque<Dirt>> = BTreeMap::new();
        for done in recorded
            .done
            .iter()
            .filter(|done| done.what == What::Protected)
        {
            let state = if done.pages > 0 {
                Dirt::Dirty
            } else {
                Dirt::Clean
            };
            dirt.entry((done.node, done.page))
                .or_default()
                .push_back(state);
        }
        let mut world = Self {
            nodes: (0..recorded.nodes).map(node).collect(),
            now: 0,
            flying: BTreeMap::new(),
            queue: BinaryHeap::new(),
            number: 0,
            dirt,
            messages: Messages::new(),
        };
        for me in 0..recorded.nodes {
            for (&first, &pages) in &recorded.replicated {
                let mut actions = Vec::new();
                world.nodes[usize::from(me)].replicate(PageIndex(first), pages, &mut actions);
            }
        }
        world
    }

    /// Has all come that is to come before `until`.
    fn run(&mut self, until: u64) {
        while let Some(&Reverse((at, number, node))) = self.queue.peek()
            && at < until
        {
            self.queue.pop();
            self.now = at;
            if let Some(event) = self.flying.remove(&number) {
                self.happens(node, event);
            }
        }
        if until != u64::MAX {
            self.now = until;
        }
    }

    fn does(&mut self, done: &Done) {
        self.number += 1;
        // Nobody is told apart here by a token: each waits for one thing.
        let token = Token(self.number);
        let (page, pages) = (done.page, done.pages);
        let event = match done.what {
            What::Want(access) => Event::Fault {
                token,
                page,
                access,
            },
            What::Ahead(access) => Event::Prefetch {
                first: page,
                pages,
                access,
            },
            What::Discard => Event::Discard {
                token,
                first: page,
                pages,
            },
            What::Protected => return,
        };
        self.happens(done.node, event);
    }

    fn happens(&mut self, node: u16, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut actions = Vec::new();
            self.nodes[usize::from(node)].handle(Time(self.now / 1000), event, &mut actions);
            for action in actions {
                match action {
                    Action::Send { to, packet } | Action::Hint { to, packet } => {
                        self.sends(node, to, packet)
                    }
                    Action::Protect { page, .. } => {
                        let known = self
                            .dirt
                            .get_mut(&(node, page))
                            .and_then(VecDeque::pop_front);
                        let dirt = known.unwrap_or(Dirt::Dirty);
                        events.push_back(Event::Protected { page, dirt });
                    }
                    Action::SetTimer { page, at } => {
                        let at = at.0.saturating_mul(1000).max(self.now);
                        self.comes(at, node, Event::TimeOver { page });
                    }
                    _ => {}
                }
            }
        }
    }

    fn sends(&mut self, from: u16, to: NodeId, packet: Packet) {
        let name = format!("{:?}", packet.message);
        let name = name
            .split([' ', '(', '{'])
            .next()
            .unwrap_or_default()
            .to_owned();
        *self.messages.entry(name).or_default() += 1;
        let from = NodeId(from);
        self.comes(self.now + WAY, to.0, Event::Received { from, packet });
    }

    fn comes(&mut self, at: u64, node: u16, event: Event) {
        self.number += 1;
        self.flying.insert(self.number, event);
        self.queue.push(Reverse((at, self.number, node)));
    }
}

#[cfg(test)]
mod tests {
    use super::Recorded;

    const PLACES: &str = "0 0 slice 0 0\n0 0 slice 1000 1\n0 0 replicated 10 4\n";

    fn messages(text: &str) -> u64 {
        let recorded = Recorded::parse(2, &format!("{PLACES}{text}")).unwrap();
        recorded.replay().values().sum()
    }

    #[test]
    fn what_nobody_shares_takes_no_messages() {
        assert_eq!(
            messages("5 1 write 1000 1\n6 1 write 1001 1\n7 1 discarded 1000 2\n"),
            0
        );
        assert_eq!(messages("5 1 read 12 1\n"), 0);
    }

    #[test]
    fn a_page_from_elsewhere_takes_a_request_and_an_answer() {
        assert_eq!(messages("5 0 write 20 1\n2000000 1 read 20 1\n"), 2);
        assert_eq!(
            messages("5 0 write 20 1\n2000000 1 read_ahead 20 1\n9000000 1 read 20 1\n"),
            2
        );
    }

    #[test]
    fn to_write_what_all_have_is_heard_by_all() {
        assert_eq!(messages("5 0 write 10 1\n"), 2);
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        let of = |text: &str| Recorded::parse(2, &format!("{PLACES}{text}")).unwrap_err();
        assert!(of("5 2 read 1 1\n").contains("line 4"));
        assert!(of("5 1 reads 1 1\n").contains("reads"));
        assert!(of("5 1 read 1\n").contains("expected"));
        assert!(
            Recorded::parse(2, "")
                .unwrap_err()
                .contains("slices of 0 nodes")
        );
        assert!(Recorded::parse(2, "0 0 slice 7 0\n0 0 slice 9 1\n").is_err());
    }
}
