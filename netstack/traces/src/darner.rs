//! Darner's coherence as a shared memory: its nodes, and what is hardware around them.

use crate::engine::{Memory, Touch};
use crate::net::{HEADER_BYTES, Net};
use crate::shared::{Layout, PAGE_BYTES, Page, zeros};
use crate::sync::{Do, Sync, Word};
use darner_coherence::{
    Access, Action, AgentLimits, Config, Content, Dirt, Epoch, Event, Grant, HomeLimits, Message,
    Node, NodeId, Packet, PageIndex, Rights, Slices, Time, Token, View,
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
}

/// What is said: messages to one node of one turn, or a word about a lock or barrier.
#[derive(Debug)]
pub enum Said {
    /// Of pages.
    Pages {
        /// What is said.
        packets: Vec<Packet>,
        /// The bytes that go with it.
        bytes: Vec<(PageIndex, Box<Page>)>,
    },
    /// Of locks and barriers.
    Sync(Synced),
}

/// A word about a lock or a barrier.
#[derive(Debug)]
pub struct Synced(Word);

/// What came with the packet just handled.
type Came = BTreeMap<PageIndex, Box<Page>>;

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
        };
        Self {
            nodes: (0..nodes).map(|me| Node::new(config(me))).collect(),
            machines: (0..nodes).map(machine).collect(),
            sync: Sync::new(nodes),
        }
    }

    /// Has something happen at a node, and all done that it wants done.
    fn turn(&mut self, net: &mut Net<Said>, node: usize, event: Event, came: &mut Came) {
        let mut events = vec![event];
        while !events.is_empty() {
            let mut actions = Vec::new();
            let now = Time(net.now() / 1000);
            for event in events.drain(..) {
                self.nodes[node].handle(now, event, &mut actions);
            }
            for action in actions {
                events.extend(self.act(net, node, action, came));
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
    ) -> Option<Event> {
        let machine = &mut self.machines[node];
        match action {
            Action::Send { to, packet } => self.send(net, node, usize::from(to.0), packet),
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
            Action::SetTimer { page, at } => net.timer(node, page.0, at.0 * 1000),
            Action::Refused { from, why } => panic!("{node} refused {why:?} of {from:?}"),
            Action::NotMoved { .. } => {}
        }
        None
    }

    fn send(&mut self, net: &mut Net<Said>, from: usize, to: usize, mut packet: Packet) {
        let frames = &self.machines[from].frames;
        let mut bytes: Vec<(PageIndex, Box<Page>)> = attached(&packet.message)
            .into_iter()
            .filter_map(|page| Some((page, frames.get(&page)?.clone())))
            .collect();
        if bytes.is_empty() {
            without_bytes(&mut packet.message);
        }
        let pages = bytes.len() as u64;
        let packets = vec![packet];
        let payload = HEADER_BYTES * (packets.len() as u64 - 1);
        bytes.sort_by_key(|&(page, _)| page);
        net.send(from, to, pages, payload, Said::Pages { packets, bytes });
    }

    fn synchronise(&mut self, net: &mut Net<Said>, todo: Vec<Do>) {
        for what in todo {
            match what {
                Do::Say { from, to, word } => {
                    net.synchronise(from, to, 0, Said::Sync(Synced(word)));
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
        self.turn(net, node, fault, &mut Came::new());
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
            Said::Pages { packets, bytes } => {
                let mut came = bytes.into_iter().collect();
                for packet in packets {
                    let from = node_id(from);
                    self.turn(net, to, Event::Received { from, packet }, &mut came);
                }
            }
            Said::Sync(Synced(word)) => {
                let mut todo = Vec::new();
                self.sync.hear(from, to, word, &mut todo);
                self.synchronise(net, todo);
            }
        }
    }

    fn timer(&mut self, net: &mut Net<Said>, node: usize, page: u64) {
        let page = PageIndex(page);
        self.turn(net, node, Event::TimeOver { page }, &mut Came::new());
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
        let mut todo = Vec::new();
        self.sync.barrier(node, &mut todo);
        self.synchronise(net, todo);
        Touch::Waits
    }
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
        | Message::Adopt { content, .. }
            if *content == Content::Bytes =>
        {
            *content = Content::Zero;
        }
        _ => {}
    }
}

const _: () = assert!(PAGE_BYTES == 4096);
