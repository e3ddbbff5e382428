//! The peer: a home-based scope-consistency DSM after JIAJIA.
//!
//! A page has one home, where it is always current. Others fetch it (2 messages), and write
//! a copy of which they keep a twin. When a node gives up a lock or comes to a barrier, it sends what it
//! changed to the homes (2 messages to each, for up to 32 KiB of changes), and what
//! it wrote is named in a write notice. Who then takes the lock, or leaves the barrier, drops its copies of the pages
//! named by others. Homes write in place. With home migration, a page that one node alone
//! wrote since the last barrier has that node as its home from this barrier on, without messages.

use crate::engine::{Memory, Touch};
use crate::net::Net;
use crate::shared::{Layout, PAGE_BYTES, Page, zeros};
use darner_coherence::Access;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The most bytes of changes in one message.
const DIFF_BYTES: usize = 32 << 10;
/// What names the page of a change, and its length.
const DIFF_HEADER: usize = 12;
/// What names where a run of changed words begins, and how long it is.
const RUN_HEADER: usize = 4;
/// What is compared: changes are runs of words of this size.
const WORD: usize = 4;
/// A write notice.
const NOTICE_BYTES: u64 = 4;

/// Whether homes move to whom alone wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Homes {
    /// They stay.
    Stay,
    /// They move at barriers.
    Move,
}

/// What nodes say.
#[derive(Debug)]
pub enum Said {
    /// To a home: send me this page.
    Fetch {
        /// The page.
        page: u64,
    },
    /// A page.
    Fetched {
        /// The page.
        page: u64,
        /// Its bytes.
        bytes: Box<Page>,
    },
    /// To a home: what the sender changed.
    Changes(Vec<(u64, Vec<Change>)>),
    /// They are made.
    Changed,
    /// To a lock's manager.
    Acquire(usize),
    /// A lock, and what was written under it since the receiver had it.
    Granted(Vec<u64>),
    /// To a lock's manager: it is free, and this was written.
    Release(usize, Vec<u64>),
    /// To node 0: at the barrier, having written this.
    Arrive(Vec<u64>),
    /// From node 0: go on; others wrote this.
    Leave(Vec<u64>),
}

/// Bytes that changed, and where.
pub type Change = (usize, Vec<u8>);

/// A copy at a node.
#[derive(Default)]
struct Copy {
    bytes: Option<Box<Page>>,
    twin: Option<Box<Page>>,
}

/// What a node waits to say, or to go on, when its changes are made.
#[derive(Clone, Copy, Debug)]
enum After {
    Unlock(usize),
    Barrier,
}

/// A node.
#[derive(Default)]
struct Node {
    copies: BTreeMap<u64, Copy>,
    /// Changes to copies that were dropped before they were sent.
    saved: BTreeMap<u64, Vec<Change>>,
    /// All pages written since the last barrier.
    since_barrier: BTreeSet<u64>,
    /// Pages written under each lock that is held.
    under_lock: Vec<(usize, BTreeSet<u64>)>,
    waits_for: Option<After>,
    unanswered: usize,
}

/// A lock at its manager.
#[derive(Default)]
struct Lock {
    holder: Option<usize>,
    waiting: VecDeque<usize>,
    /// What was written under it, by whom, in order.
    notices: Vec<(u64, usize)>,
    /// How many of the notices each node has seen.
    seen: BTreeMap<usize, usize>,
}

/// The DSM.
pub struct Scope {
    nodes: Vec<Node>,
    /// As all nodes know them.
    homes: Vec<usize>,
    moving: Homes,
    masters: BTreeMap<u64, Box<Page>>,
    locks: BTreeMap<usize, Lock>,
    /// Who is at the barrier, having written what.
    arrived: BTreeMap<usize, Vec<u64>>,
}

impl Scope {
    /// A cluster of `nodes` nodes whose memory holds `layout`.
    #[must_use]
    pub fn new(nodes: usize, layout: &Layout, moving: Homes) -> Self {
        Self {
            nodes: (0..nodes).map(|_| Node::default()).collect(),
            homes: layout.homes().to_vec(),
            moving,
            masters: BTreeMap::new(),
            locks: BTreeMap::new(),
            arrived: BTreeMap::new(),
        }
    }

    fn home(&self, page: u64) -> usize {
        self.homes[page as usize]
    }

    /// Notes that a node writes a page.
    fn wrote(&mut self, node: usize, page: u64) {
        let node = &mut self.nodes[node];
        node.since_barrier.insert(page);
        for (_, pages) in &mut node.under_lock {
            pages.insert(page);
        }
    }

    /// Sends what a node changed to the homes; whether that is nothing.
    fn flush(&mut self, net: &mut Net<Said>, node: usize, after: After) -> bool {
        let mut made = std::mem::take(&mut self.nodes[node].saved);
        for (&page, copy) in &mut self.nodes[node].copies {
            if let (Some(twin), Some(bytes)) = (copy.twin.take(), &copy.bytes) {
                made.insert(page, changes(&twin, bytes));
            }
        }
        let mut by_home: BTreeMap<usize, Vec<(u64, Vec<Change>)>> = BTreeMap::new();
        for (page, changes) in made {
            if !changes.is_empty() {
                let home = self.homes[page as usize];
                by_home.entry(home).or_default().push((page, changes));
            }
        }
        let mut sent = 0;
        for (home, pages) in by_home {
            for part in parts(pages) {
                sent += 1;
                let bytes: usize = part.iter().map(|(_, changes)| size(changes)).sum();
                net.send(node, home, 0, bytes as u64, Said::Changes(part));
            }
        }
        self.nodes[node].unanswered = sent;
        self.nodes[node].waits_for = (sent > 0).then_some(after);
        sent == 0
    }

    fn flushed(&mut self, net: &mut Net<Said>, node: usize, after: After) {
        match after {
            After::Unlock(lock) => self.release(net, node, lock),
            After::Barrier => self.arrive(net, node),
        }
    }

    /// What was written under a lock goes to its manager.
    fn release(&mut self, net: &mut Net<Said>, node: usize, lock: usize) {
        let held = &mut self.nodes[node].under_lock;
        let at = held.iter().position(|&(held, _)| held == lock);
        let pages: Vec<u64> = at
            .map(|at| held.remove(at).1)
            .into_iter()
            .flatten()
            .collect();
        let manager = lock % self.nodes.len();
        if manager == node {
            self.released(net, node, lock, pages);
        } else {
            let bytes = pages.len() as u64 * NOTICE_BYTES;
            net.synchronise(node, manager, bytes, Said::Release(lock, pages));
        }
    }

    fn released(&mut self, net: &mut Net<Said>, node: usize, lock: usize, pages: Vec<u64>) {
        let entry = self.locks.entry(lock).or_default();
        entry.holder = None;
        entry
            .notices
            .extend(pages.into_iter().map(|page| (page, node)));
        if let Some(next) = entry.waiting.pop_front() {
            self.grant(net, lock, next);
        }
    }

    fn acquired(&mut self, net: &mut Net<Said>, node: usize, lock: usize) {
        let entry = self.locks.entry(lock).or_default();
        match entry.holder {
            Some(_) => entry.waiting.push_back(node),
            None => self.grant(net, lock, node),
        }
    }

    fn grant(&mut self, net: &mut Net<Said>, lock: usize, node: usize) {
        let manager = lock % self.nodes.len();
        let entry = self.locks.entry(lock).or_default();
        entry.holder = Some(node);
        let seen = entry.seen.insert(node, entry.notices.len()).unwrap_or(0);
        let pages: BTreeSet<u64> = entry.notices[seen..]
            .iter()
            .filter(|&&(_, writer)| writer != node)
            .map(|&(page, _)| page)
            .collect();
        self.nodes[node].under_lock.push((lock, BTreeSet::new()));
        let pages: Vec<u64> = pages.into_iter().collect();
        if manager == node {
            self.granted(net, node, &pages);
        } else {
            let bytes = pages.len() as u64 * NOTICE_BYTES;
            net.synchronise(manager, node, bytes, Said::Granted(pages));
        }
    }

    fn granted(&mut self, net: &mut Net<Said>, node: usize, written: &[u64]) {
        self.invalidate(node, written);
        net.resume(node, 0);
    }

    /// Drops a node's copies, but not those that are the home's. What the node itself has changed is kept.
    fn invalidate(&mut self, node: usize, pages: &[u64]) {
        for page in pages {
            if self.home(*page) == node {
                continue;
            }
            let node = &mut self.nodes[node];
            if let Some(Copy {
                bytes: Some(bytes),
                twin: Some(twin),
            }) = node.copies.remove(page)
            {
                node.saved.insert(*page, changes(&twin, &bytes));
            }
        }
    }

    /// A page has come, perhaps again: what the node itself had changed is in it.
    fn fetched(&mut self, node: usize, page: u64, mut bytes: Box<Page>) {
        let node = &mut self.nodes[node];
        let copy = node.copies.entry(page).or_default();
        if let Some(changes) = node.saved.remove(&page) {
            copy.twin = Some(bytes.clone());
            apply(&mut bytes, &changes);
        }
        copy.bytes = Some(bytes);
    }

    fn arrive(&mut self, net: &mut Net<Said>, node: usize) {
        let written: Vec<u64> = std::mem::take(&mut self.nodes[node].since_barrier)
            .into_iter()
            .collect();
        if node == 0 {
            self.has_arrived(net, node, written);
        } else {
            let bytes = written.len() as u64 * NOTICE_BYTES;
            net.synchronise(node, 0, bytes, Said::Arrive(written));
        }
    }

    fn has_arrived(&mut self, net: &mut Net<Said>, node: usize, written: Vec<u64>) {
        self.arrived.insert(node, written);
        if self.arrived.len() < self.nodes.len() {
            return;
        }
        let mut writers: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
        for (node, pages) in std::mem::take(&mut self.arrived) {
            for page in pages {
                writers.entry(page).or_default().insert(node);
            }
        }
        self.migrate(&writers);
        for lock in self.locks.values_mut() {
            lock.notices.clear();
            lock.seen.clear();
        }
        for node in 0..self.nodes.len() {
            let by_others = |writers: &BTreeSet<usize>| writers.iter().any(|&other| other != node);
            let pages: Vec<u64> = writers
                .iter()
                .filter(|(_, writers)| by_others(writers))
                .map(|(&page, _)| page)
                .collect();
            if node == 0 {
                self.invalidate(0, &pages);
                net.resume(0, 0);
            } else {
                let bytes = pages.len() as u64 * NOTICE_BYTES;
                net.synchronise(0, node, bytes, Said::Leave(pages));
            }
        }
    }

    /// Moves pages to those that alone wrote them.
    fn migrate(&mut self, writers: &BTreeMap<u64, BTreeSet<usize>>) {
        if self.moving == Homes::Stay {
            return;
        }
        for (&page, writers) in writers {
            let mut writers = writers.iter();
            if let (Some(&writer), None) = (writers.next(), writers.next()) {
                let before = std::mem::replace(&mut self.homes[page as usize], writer);
                if before != writer {
                    let bytes = self.masters.get(&page).cloned();
                    self.nodes[writer].copies.remove(&page);
                    // What was the home has a copy that is current.
                    let copy = self.nodes[before].copies.entry(page).or_default();
                    (copy.bytes, copy.twin) = (bytes, None);
                }
            }
        }
    }
}

impl Memory for Scope {
    type Message = Said;

    fn touch(&mut self, net: &mut Net<Said>, node: usize, page: u64, access: Access) -> Touch {
        let home = self.home(page);
        if home == node {
            if access == Access::Write {
                self.wrote(node, page);
            }
            return Touch::Ready;
        }
        let copy = self.nodes[node].copies.entry(page).or_default();
        match (&copy.bytes, access) {
            (None, _) => {
                net.send(node, home, 0, 0, Said::Fetch { page });
                Touch::Waits
            }
            (Some(_), Access::Read) => Touch::Ready,
            (Some(bytes), Access::Write) => {
                copy.twin.get_or_insert_with(|| bytes.clone());
                self.wrote(node, page);
                Touch::Ready
            }
        }
    }

    fn frame(&mut self, node: usize, page: u64) -> &mut Page {
        if self.home(page) == node {
            return self.masters.entry(page).or_insert_with(zeros);
        }
        let copy = self.nodes[node].copies.entry(page).or_default();
        copy.bytes.get_or_insert_with(zeros)
    }

    fn receive(&mut self, net: &mut Net<Said>, from: usize, to: usize, message: Said) {
        match message {
            Said::Fetch { page } => {
                let bytes = self.masters.entry(page).or_insert_with(zeros).clone();
                net.send(to, from, 1, 0, Said::Fetched { page, bytes });
            }
            Said::Fetched { page, bytes } => {
                self.fetched(to, page, bytes);
                net.resume(to, 0);
            }
            Said::Changes(pages) => {
                for (page, changes) in pages {
                    let master = self.masters.entry(page).or_insert_with(zeros);
                    apply(master, &changes);
                }
                net.send(to, from, 0, 0, Said::Changed);
            }
            Said::Changed => {
                let node = &mut self.nodes[to];
                node.unanswered -= 1;
                if let (0, Some(after)) = (node.unanswered, node.waits_for) {
                    node.waits_for = None;
                    self.flushed(net, to, after);
                    if let After::Unlock(_) = after {
                        net.resume(to, 0);
                    }
                }
            }
            Said::Acquire(lock) => self.acquired(net, from, lock),
            Said::Granted(pages) => self.granted(net, to, &pages),
            Said::Release(lock, pages) => self.released(net, from, lock, pages),
            Said::Arrive(pages) => self.has_arrived(net, from, pages),
            Said::Leave(pages) => {
                self.invalidate(to, &pages);
                net.resume(to, 0);
            }
        }
    }

    fn timer(&mut self, _: &mut Net<Said>, _: usize) {}

    fn lock(&mut self, net: &mut Net<Said>, node: usize, lock: usize) -> Touch {
        let manager = lock % self.nodes.len();
        if manager == node {
            self.acquired(net, node, lock);
        } else {
            net.synchronise(node, manager, 0, Said::Acquire(lock));
        }
        Touch::Waits
    }

    fn unlock(&mut self, net: &mut Net<Said>, node: usize, lock: usize) -> Touch {
        if self.flush(net, node, After::Unlock(lock)) {
            self.release(net, node, lock);
            return Touch::Ready;
        }
        Touch::Waits
    }

    fn barrier(&mut self, net: &mut Net<Said>, node: usize) -> Touch {
        if self.flush(net, node, After::Barrier) {
            self.arrive(net, node);
        }
        Touch::Waits
    }
}

/// The runs of words that differ.
fn changes(twin: &Page, bytes: &Page) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for at in (0..PAGE_BYTES).step_by(WORD) {
        if twin[at..at + WORD] == bytes[at..at + WORD] {
            continue;
        }
        match changes.last_mut() {
            Some((start, run)) if *start + run.len() == at => {
                run.extend_from_slice(&bytes[at..at + WORD]);
            }
            _ => changes.push((at, bytes[at..at + WORD].to_vec())),
        }
    }
    changes
}

/// Makes changes.
fn apply(page: &mut Page, changes: &[Change]) {
    for (at, bytes) in changes {
        page[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
}

/// How many bytes the changes of a page take.
fn size(changes: &[Change]) -> usize {
    let runs = changes.iter().map(|(_, run)| RUN_HEADER + run.len());
    DIFF_HEADER + runs.sum::<usize>()
}

/// Changes, by message.
fn parts(pages: Vec<(u64, Vec<Change>)>) -> Vec<Vec<(u64, Vec<Change>)>> {
    let mut parts: Vec<Vec<(u64, Vec<Change>)>> = Vec::new();
    let mut room = 0;
    for page in pages {
        let bytes = size(&page.1);
        match parts.last_mut() {
            Some(part) if bytes <= room => {
                room -= bytes;
                part.push(page);
            }
            _ => {
                room = DIFF_BYTES.saturating_sub(bytes);
                parts.push(vec![page]);
            }
        }
    }
    parts
}
