//! Darner's coherence as a shared memory: its nodes, and what is hardware around them.

use crate::engine::{Memory, Touch};
use crate::net::{HEADER_BYTES, Net};
use crate::shared::{Layout, PAGE_BYTES, Page, zeros};
use crate::sync::{Do, Sync, Word};
use darner_coherence::{
    Access, Action, Adaptation, AgentLimits, Config, Content, Dirt, Epoch, Event, Grant,
    HomeLimits, Message, Node, NodeId, Packet, PageIndex, Rights, Slices, Time, Token, View,
};
use std::collections::BTreeMap;

/// For how many microseconds a page that has just arrived is held.
const HOLD: u64 = 20;

/// Where pages have their homes at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// All at node 0, as if its program had allocated them: nothing is known of them.
    Unknown,
    /// Where the program says.
    Named,
}

/// The bytes of a hint.
const HINT_BYTES: u64 = HEADER_BYTES;

/// A cluster.
pub struct Darner {
    nodes: Vec<Node>,
    machines: Vec<Machine>,
    sync: Sync,
}

/// What the hardware of a node has.
struct Machine {
    frames: BTreeMap<PageIndex, Box<Page>>,
    rights: Vec<Rights>,
    written: Vec<bool>,
    timers: BTreeMap<Time, Vec<PageIndex>>,
    /// Hints of this node, and of others, that go with the next word to the node that they are for, or to node 0.
    hints: Vec<Hint>,
}

/// What may come late, or not at all.
#[derive(Debug)]
struct Hint {
    from: usize,
    to: usize,
    packet: Packet,
}

/// What is said: messages to one node of one turn, or a word about a lock or barrier.
#[derive(Debug)]
pub enum Said {
    /// Of pages: all that one turn had to say.
    Pages(Vec<Letter>),
    /// Of locks and barriers.
    Sync(Synced),
}

/// A packet, and the bytes that go with it.
#[derive(Debug)]
pub struct Letter {
    packet: Packet,
    bytes: Came,
}

/// A word about a lock or a barrier, and the hints that go with it.
#[derive(Debug)]
pub struct Synced {
    word: Word,
    hints: Vec<Hint>,
}

/// The bytes of pages.
type Came = BTreeMap<PageIndex, Box<Page>>;

/// What a turn has to say, by whom it is for.
type Outgoing = BTreeMap<usize, Vec<Letter>>;

impl Darner {
    /// A cluster of `nodes` nodes whose memory holds `layout`.
    ///
    /// # Panics
    ///
    /// If there are more nodes than numbers for them.
    #[must_use]
    pub fn new(nodes: usize, layout: &Layout, placement: Placement) -> Self {
        let view = View {
            epoch: Epoch(1),
            members: (0..nodes).map(node_id).collect(),
            slices: slices(layout, placement),
        };
        let config = |me| Config {
            me: node_id(me),
            nodes: node_id(nodes).0,
            view: view.clone(),
            home: HomeLimits {
                records: 1 << 16,
                moved: 1 << 16,
            },
            agent: AgentLimits {
                hold: HOLD,
                run: darner_coherence::LONGEST_RUN,
                moved: 1 << 16,
            },
        };
        // What is asked for in advance may lie behind the last array.
        let mapped = layout.pages() + usize::from(darner_coherence::LONGEST_RUN);
        let machine = |_| Machine {
            frames: BTreeMap::new(),
            rights: vec![Rights::None; mapped],
            written: vec![false; mapped],
            timers: BTreeMap::new(),
            hints: Vec::new(),
        };
        Self {
            nodes: (0..nodes)
                .map(|me| {
                    let mut node = Node::new(config(me));
                    node.set_adaptation(Adaptation::Careful);
                    node
                })
                .collect(),
            machines: (0..nodes).map(machine).collect(),
            sync: Sync::new(nodes),
        }
    }

    /// Has things happen at a node, and all done that it wants done. What it says to one other node goes as
    /// one message; rights are taken for all of it together.
    fn turn(&mut self, net: &mut Net<Said>, node: usize, events: Vec<(Event, Came)>) {
        let mut events = events;
        let mut outgoing = Outgoing::new();
        while !events.is_empty() {
            let now = Time(net.now() / 1000);
            let mut protected = Vec::new();
            for (event, mut came) in events.drain(..) {
                let mut actions = Vec::new();
                self.nodes[node].handle(now, event, &mut actions);
                for action in actions {
                    let event = self.act(net, node, action, &mut came, &mut outgoing);
                    protected.extend(event.map(|event| (event, Came::new())));
                }
            }
            events = protected;
        }
        for (to, letters) in outgoing {
            for letters in in_messages(letters) {
                let pages = letters
                    .iter()
                    .map(|letter| letter.bytes.len())
                    .sum::<usize>();
                let payload = HEADER_BYTES * (letters.len() as u64 - 1);
                net.send(node, to, pages as u64, payload, Said::Pages(letters));
            }
        }
    }

    /// Does what a node wants done; what happens by that.
    fn act(
        &mut self,
        net: &mut Net<Said>,
        node: usize,
        action: Action,
        came: &mut Came,
        outgoing: &mut Outgoing,
    ) -> Option<Event> {
        let machine = &mut self.machines[node];
        match action {
            Action::Send { to, packet } => {
                let letter = machine.letter(packet);
                outgoing.entry(usize::from(to.0)).or_default().push(letter);
            }
            Action::Hint { to, packet } => {
                let (from, to) = (node, usize::from(to.0));
                machine.hints.push(Hint { from, to, packet });
            }
            Action::Store { page } => {
                let bytes = came.remove(&page).unwrap_or_else(zeros);
                machine.frames.insert(page, bytes);
            }
            Action::Zero { page } | Action::Free { page } => {
                machine.frames.remove(&page);
            }
            Action::Map { page, rights } => {
                machine.frames.entry(page).or_insert_with(zeros);
                machine.rights[at(page)] = rights;
                machine.written[at(page)] = false;
            }
            Action::Protect { page, rights } => {
                machine.rights[at(page)] = rights;
                let dirt = match std::mem::take(&mut machine.written[at(page)]) {
                    true => Dirt::Dirty,
                    false => Dirt::Clean,
                };
                return Some(Event::Protected { page, dirt });
            }
            Action::Wake { result, .. } => {
                assert_eq!(result, Ok(()), "no node dies");
                net.resume(node, 0);
            }
            Action::SetTimer { page, at } => {
                let pages = machine.timers.entry(at).or_default();
                if pages.is_empty() {
                    net.timer(node, at.0 * 1000);
                }
                pages.push(page);
            }
            Action::Refused { from, why } => panic!("{node} refused {why:?} of {from:?}"),
            Action::NotMoved { .. } => {}
        }
        None
    }

    /// Hints have come: those for others are kept until something is said to them.
    fn pass_on(&mut self, net: &mut Net<Said>, node: usize, hints: Vec<Hint>) {
        let (mine, others): (Vec<Hint>, Vec<Hint>) =
            hints.into_iter().partition(|hint| hint.to == node);
        self.machines[node].hints.extend(others);
        let event = |Hint { from, packet, .. }| {
            let from = node_id(from);
            (Event::Received { from, packet }, Came::new())
        };
        self.turn(net, node, mine.into_iter().map(event).collect());
    }

    fn synchronise(&mut self, net: &mut Net<Said>, todo: Vec<Do>) {
        for what in todo {
            match what {
                Do::Say { from, to, word } => {
                    let hints = self.machines[from].hints_for(to, word);
                    let payload = HINT_BYTES * hints.len() as u64;
                    net.synchronise(from, to, payload, Said::Sync(Synced { word, hints }));
                }
                Do::Wake { node } => net.resume(node, 0),
            }
        }
    }
}

impl Memory for Darner {
    type Message = Said;

    fn touch(&mut self, net: &mut Net<Said>, node: usize, page: u64, access: Access) -> Touch {
        let machine = &mut self.machines[node];
        let page = PageIndex(page);
        if machine.rights[at(page)] >= access.needs() {
            machine.written[at(page)] |= access == Access::Write;
            return Touch::Ready;
        }
        let token = Token(0);
        let fault = Event::Fault {
            token,
            page,
            access,
        };
        self.turn(net, node, vec![(fault, Came::new())]);
        Touch::Waits
    }

    fn frame(&mut self, node: usize, page: u64) -> &mut Page {
        self.machines[node]
            .frames
            .entry(PageIndex(page))
            .or_insert_with(zeros)
    }

    fn receive(&mut self, net: &mut Net<Said>, from: usize, to: usize, message: Said) {
        match message {
            Said::Pages(letters) => {
                let from = node_id(from);
                let event = |Letter { packet, bytes }| (Event::Received { from, packet }, bytes);
                self.turn(net, to, letters.into_iter().map(event).collect());
            }
            Said::Sync(Synced { word, hints }) => {
                self.pass_on(net, to, hints);
                let mut todo = Vec::new();
                self.sync.hear(from, to, word, &mut todo);
                self.synchronise(net, todo);
            }
        }
    }

    fn timer(&mut self, net: &mut Net<Said>, node: usize) {
        let timers = &mut self.machines[node].timers;
        let pages = timers.remove(&Time(net.now() / 1000)).unwrap_or_default();
        let over = |page| (Event::TimeOver { page }, Came::new());
        self.turn(net, node, pages.into_iter().map(over).collect());
    }

    fn lock(&mut self, net: &mut Net<Said>, node: usize, lock: usize) -> Touch {
        let mut todo = Vec::new();
        let here = self.sync.lock(node, lock, &mut todo);
        self.synchronise(net, todo);
        if here { Touch::Ready } else { Touch::Waits }
    }

    fn unlock(&mut self, net: &mut Net<Said>, node: usize, lock: usize) -> Touch {
        let mut todo = Vec::new();
        self.sync.unlock(node, lock, &mut todo);
        self.synchronise(net, todo);
        Touch::Ready
    }

    fn barrier(&mut self, net: &mut Net<Said>, node: usize) -> Touch {
        self.turn(net, node, vec![(Event::Release, Came::new())]);
        let mut todo = Vec::new();
        self.sync.barrier(node, &mut todo);
        self.synchronise(net, todo);
        Touch::Waits
    }
}

impl Machine {
    /// The hints that go with a word: all to node 0, which passes them on.
    fn hints_for(&mut self, to: usize, word: Word) -> Vec<Hint> {
        let goes = |hint: &mut Hint| hint.to == to || word == Word::Arrive;
        self.hints.extract_if(.., goes).collect()
    }

    /// A packet with its bytes, as they are now.
    fn letter(&self, mut packet: Packet) -> Letter {
        let bytes: Came = attached(&packet.message)
            .into_iter()
            .filter_map(|page| Some((page, self.frames.get(&page)?.clone())))
            .collect();
        if bytes.is_empty() {
            without_bytes(&mut packet.message);
        }
        Letter { packet, bytes }
    }
}

/// What is said to a node, by message: as many pages in each as a run may have.
fn in_messages(letters: Vec<Letter>) -> Vec<Vec<Letter>> {
    let mut messages: Vec<Vec<Letter>> = Vec::new();
    let mut pages = 0;
    for letter in letters {
        let more = letter.bytes.len();
        match messages.last_mut() {
            Some(message) if pages + more <= usize::from(darner_coherence::LONGEST_RUN) => {
                pages += more;
                message.push(letter);
            }
            _ => {
                pages = more;
                messages.push(vec![letter]);
            }
        }
    }
    messages
}

fn node_id(node: usize) -> NodeId {
    NodeId(u16::try_from(node).expect("fewer nodes than numbers"))
}

fn at(page: PageIndex) -> usize {
    page.0 as usize
}

/// The slices by which pages have their homes at first.
fn slices(layout: &Layout, placement: Placement) -> Slices {
    let mut slices = vec![(PageIndex(0), NodeId(0))];
    if placement == Placement::Named {
        slices.clear();
        for (page, &home) in (0..).zip(layout.homes()) {
            let home = node_id(home);
            if slices.last().is_none_or(|&(_, last)| last != home) {
                slices.push((PageIndex(page), home));
            }
        }
    }
    Slices::new(slices).expect("slices in order")
}

/// The pages whose bytes go with a message.
fn attached(message: &Message) -> Vec<PageIndex> {
    match message {
        Message::Grant(Grant {
            page,
            mask,
            content: Content::Bytes,
            ..
        }) => (0..16)
            .filter(|bit| mask >> bit & 1 == 1)
            .map(|bit| page.plus(bit))
            .collect(),
        Message::WriteBack {
            page,
            content: Content::Bytes,
        }
        | Message::Recalled {
            page,
            content: Content::Bytes,
        }
        | Message::Push {
            page,
            content: Content::Bytes,
            ..
        }
        | Message::Adopt {
            page,
            content: Content::Bytes,
            ..
        } => vec![*page],
        _ => Vec::new(),
    }
}

/// Says of a message that all its pages are zeros.
fn without_bytes(message: &mut Message) {
    match message {
        Message::Grant(Grant { content, .. })
        | Message::WriteBack { content, .. }
        | Message::Recalled { content, .. }
        | Message::Push { content, .. }
        | Message::Adopt { content, .. }
            if *content == Content::Bytes =>
        {
            *content = Content::Zero;
        }
        _ => {}
    }
}

const _: () = assert!(PAGE_BYTES == 4096);
