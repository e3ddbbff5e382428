//! What is known of the nodes while they run: the newest samples, how they differ from those before, and
//! what the nodes have printed. Nothing here touches a terminal, or asks for the time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::time::Duration;

use darner_abi::{Count, Direction, Histogram, Place, Sample};

use super::text::Text;
use crate::symbolize::Variables;
use crate::trace;

/// Bytes of a page.
const PAGE: u64 = 4096;
/// Pages that are remembered, once nobody waits for them any more.
const MOST_PAGES: usize = 512;
/// The part that the newest sample has in a page's rate: a rate that jumps cannot be read.
const NEW: f64 = 0.5;
/// What is less often than this, per second, does not happen any more, as far as a screen can show it.
const NEVER: f64 = 0.5;
/// Lines of output that are remembered.
const MOST_LINES: usize = 500;

/// The order of hot pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By how often they are waited for now.
    #[default]
    Now,
    /// By how often they were since the start.
    SoFar,
}

/// A node.
#[derive(Debug, Default)]
pub struct Node {
    /// Its newest sample, if it has told of itself by now.
    pub newest: Option<Sample>,
    /// How that differs from the one before.
    pub rates: Option<Rates>,
    /// When the newest one came, since the start.
    pub at: Duration,
    /// What is wrong with its samples.
    pub wrong: Option<String>,
}

/// What happens in a second.
#[derive(Clone, Debug)]
pub struct Rates {
    /// The part of the time that each CPU is busy, 0 to 1.
    pub busy: Vec<f64>,
    /// Faults to read.
    pub reads: f64,
    /// Faults to write what there was no right to.
    pub writes: f64,
    /// Faults to write what could be read.
    pub upgrades: f64,
    /// Messages about pages, sent and received.
    pub messages: f64,
    /// Bytes of those that were sent.
    pub bytes_out: f64,
    /// Bytes of those that were received.
    pub bytes_in: f64,
    /// What had to wait because a page had just arrived.
    pub holds: f64,
    /// How long faults took that other nodes were needed for.
    pub latency: Histogram,
}

impl Rates {
    /// From one sample to the next. `None`: no time has passed.
    fn between(before: &Sample, after: &Sample) -> Option<Self> {
        let ns = after
            .now_ns
            .checked_sub(before.now_ns)
            .filter(|&ns| ns > 0)? as f64;
        let since = after.counted.since(&before.counted);
        let rate = |count: u64| count as f64 * 1e9 / ns;
        let of = |counts: &[Count]| rate(counts.iter().map(|&count| since[count]).sum());
        let idle = before.idle_ns().iter().zip(after.idle_ns());
        Some(Self {
            busy: idle
                .map(|(before, after)| 1.0 - after.saturating_sub(*before) as f64 / ns)
                .map(|busy| busy.clamp(0.0, 1.0))
                .collect(),
            reads: of(&[Count::ReadHere, Count::ReadAway]),
            writes: of(&[Count::WriteHere, Count::WriteAway]),
            upgrades: of(&[Count::UpgradeAway]),
            messages: rate(since.messages(Direction::Sent) + since.messages(Direction::Received)),
            bytes_out: of(&[Count::BytesSent]),
            bytes_in: of(&[Count::BytesReceived]),
            holds: of(&[Count::HoldWaits]),
            latency: since.latency(),
        })
    }
}

/// A page that nodes wait for.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// What each of the nodes looks for there, and how often it waits.
    pub by_node: BTreeMap<u16, Waits>,
}

/// How often a node waits for a page.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    /// In a second.
    pub rate: f64,
    /// Since the start.
    pub total: u64,
    /// What is where it last waited.
    pub what: String,
}

impl Page {
    /// How often it is waited for, by all nodes, in a second.
    pub fn rate(&self) -> f64 {
        self.by_node.values().map(|waits| waits.rate).sum()
    }

    /// The same since the start.
    pub fn total(&self) -> u64 {
        let totals = self.by_node.values().map(|waits| waits.total);
        totals.fold(0, u64::saturating_add)
    }

    /// What is there: a text if that is the same for all nodes, else the nodes with each.
    pub fn what(&self) -> String {
        let mut texts: Vec<(&str, Vec<String>)> = Vec::new();
        for (node, waits) in &self.by_node {
            let node = format!("n{node}");
            match texts.iter_mut().find(|(text, _)| *text == waits.what) {
                Some((_, nodes)) => nodes.push(node),
                None => texts.push((&waits.what, vec![node])),
            }
        }
        match &texts[..] {
            [(text, _)] => (*text).to_owned(),
            texts => {
                let each = texts
                    .iter()
                    .map(|(text, nodes)| format!("{text} ({})", nodes.join(" ")));
                each.collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Board {
    /// The program's name.
    pub program: String,
    /// How long it has run.
    pub now: Duration,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The order of hot pages.
    pub order: Order,
    pages: BTreeMap<u64, Page>,
    variables: Variables,
    lines: VecDeque<String>,
    stdout: Text,
    stderr: Text,
}

impl Board {
    /// Of so many nodes, of which nothing is known yet.
    pub fn new(program: &str, nodes: u16, variables: Variables) -> Self {
        Self {
            program: program.to_owned(),
            now: Duration::ZERO,
            nodes: (0..nodes).map(|_| Node::default()).collect(),
            order: Order::default(),
            pages: BTreeMap::new(),
            variables,
            lines: VecDeque::new(),
            // What the program prints is the first node's, and has no name before it.
            stdout: Text::new("[n0] "),
            stderr: Text::new(""),
        }
    }

    /// Takes a sample of that node.
    pub fn take(&mut self, number: u16, sample: &Sample) {
        let Some(node) = self.nodes.get_mut(usize::from(number)) else {
            return;
        };
        let before = node.newest.replace(sample.clone());
        let span = before
            .as_ref()
            .map_or(0, |before| sample.now_ns.saturating_sub(before.now_ns));
        node.rates = before.and_then(|before| Rates::between(&before, sample));
        node.at = self.now;
        self.take_pages(number, sample, span);
    }

    /// Takes the pages of a sample, of so many ns.
    fn take_pages(&mut self, number: u16, sample: &Sample, ns: u64) {
        for page in self.pages.values_mut() {
            if let Some(waits) = page.by_node.get_mut(&number) {
                waits.rate *= 1.0 - NEW;
                if waits.rate < NEVER {
                    waits.rate = 0.0;
                }
            }
        }
        for hot in sample.hot() {
            let what = self.what(hot.node, hot.place);
            let page = self.pages.entry(hot.address / PAGE).or_default();
            let waits = page.by_node.entry(number).or_default();
            // What may have been another page's is not counted as this one's.
            let faults = hot.faults.saturating_sub(hot.error);
            waits.total = waits.total.saturating_add(faults);
            if ns > 0 {
                waits.rate += NEW * faults as f64 * 1e9 / ns as f64;
            }
            waits.what = what;
        }
        while self.pages.len() > MOST_PAGES {
            let key = |page: &Page| (page.rate() > 0.0, page.total());
            let least = self.pages.iter().min_by_key(|(_, page)| key(page));
            let Some((&least, _)) = least else { return };
            self.pages.remove(&least);
        }
    }

    /// What is at a place of that node's memory.
    fn what(&self, node: u16, place: Place) -> String {
        let thread = |number: u32| trace::thread(number.into());
        match place {
            Place::Variable(address) => match self.variables.at(address) {
                Some((name, 0)) => name,
                Some((name, offset)) => format!("{name}+{offset:#x}"),
                None => format!("a variable at {address:#x} of the ELF file"),
            },
            Place::Blocks(bytes) => format!("heap of n{node}, blocks of {bytes} bytes"),
            Place::Pages(bytes) => format!("heap of n{node}, a block of {} KiB", bytes / 1024),
            Place::FreeHeap => format!("heap of n{node}, free"),
            Place::Stack(number) => format!("stack of {}", thread(number)),
            Place::ThreadLocal(number) => format!("thread-local variables of {}", thread(number)),
            Place::Mapping => format!("a mapping of n{node}"),
            Place::Unknown => format!("memory of n{node}"),
        }
    }

    /// The samples of that node cannot be read any more.
    pub fn fail(&mut self, number: u16, error: &impl Display) {
        if let Some(node) = self.nodes.get_mut(usize::from(number)) {
            node.wrong = Some(error.to_string());
        }
    }

    /// Pages by their numbers, the hottest one first.
    pub fn hot(&self) -> Vec<(u64, &Page)> {
        let mut pages: Vec<(u64, &Page)> =
            self.pages.iter().map(|(&at, page)| (at, page)).collect();
        match self.order {
            Order::Now => {
                pages.retain(|(_, page)| page.rate() > 0.0);
                pages.sort_by(|(_, a), (_, b)| b.rate().total_cmp(&a.rate()));
            }
            Order::SoFar => pages.sort_by_key(|(_, page)| std::cmp::Reverse(page.total())),
        }
        pages
    }

    /// Changes the order of hot pages.
    pub fn turn(&mut self) {
        self.order = match self.order {
            Order::Now => Order::SoFar,
            Order::SoFar => Order::Now,
        };
    }

    /// The nodes, or xtask for them, have printed this: on standard error, or else standard output.
    pub fn said(&mut self, is_error: bool, bytes: &[u8]) {
        let text = match is_error {
            true => &mut self.stderr,
            false => &mut self.stdout,
        };
        for line in text.push(bytes) {
            if self.lines.len() == MOST_LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(line);
        }
    }

    /// The last lines that were printed, the newest one last; so many at most.
    pub fn lines(&self, most: usize) -> Vec<String> {
        let begun = [&self.stdout, &self.stderr].map(Text::begun);
        let all = self
            .lines
            .iter()
            .cloned()
            .chain(begun.into_iter().flatten());
        let skipped = all.clone().count().saturating_sub(most);
        all.skip(skipped).collect()
    }
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use darner_abi::{Count, Direction, HotPage, Place, Sample};

    use super::{Board, MOST_LINES, MOST_PAGES, Order};
    use crate::symbolize::Variables;

    pub fn hot(address: u64, faults: u64, place: Place) -> HotPage {
        HotPage {
            address,
            faults,
            error: 0,
            node: 1,
            place,
        }
    }

    /// The sample of a node at that second, at which all that is counted has grown with the time.
    pub fn sample(second: u64, hot: &[HotPage]) -> Sample {
        let mut sample = Sample::default();
        sample.now_ns = second * 1_000_000_000;
        sample.threads = 4;
        (sample.memory_total, sample.memory_free) = (256 << 20, 192 << 20);
        (sample.heap_in_use, sample.heap_committed) = (3 << 20, 4 << 20);
        let counted = &mut sample.counted;
        counted[Count::ReadHere] = 5 * second;
        counted[Count::ReadAway] = 100 * second;
        counted[Count::WriteAway] = 20 * second;
        counted[Count::UpgradeAway] = 3 * second;
        counted[Count::HoldWaits] = 7 * second;
        counted[Count::BytesSent] = 2_000_000 * second;
        counted[Count::BytesReceived] = 4_096 * second;
        for _ in 0..second {
            counted.message(Direction::Sent, 1);
            counted.message(Direction::Received, 2);
            counted.waited(1_000_000);
        }
        sample.set_idle_ns([250_000_000 * second, 1_000_000_000 * second]);
        sample.set_hot(hot.iter().copied());
        sample
    }

    pub fn board(nodes: u16) -> Board {
        Board::new("sor", nodes, Variables::default())
    }

    #[test]
    fn rates_are_of_a_second() {
        let mut board = board(1);
        board.take(0, &sample(2, &[]));
        assert!(board.nodes[0].rates.is_none() && board.nodes[0].newest.is_some());
        board.now = Duration::from_secs(9);
        board.take(0, &sample(4, &[]));
        let rates = board.nodes[0].rates.as_ref().unwrap();
        assert_eq!(rates.busy, [0.75, 0.0]);
        assert_eq!(
            (rates.reads, rates.writes, rates.upgrades),
            (105.0, 20.0, 3.0)
        );
        assert_eq!((rates.messages, rates.holds), (2.0, 7.0));
        assert_eq!((rates.bytes_out, rates.bytes_in), (2_000_000.0, 4_096.0));
        assert_eq!(rates.latency.total(), 2);
        assert_eq!(board.nodes[0].at, board.now);
    }

    /// A clock that stands, goes back, or a CPU that was idle for longer than that.
    #[test]
    fn times_that_cannot_be_are_no_rates() {
        let mut board = board(1);
        for second in [3, 3, 1] {
            board.take(0, &sample(second, &[hot(4096, 1, Place::Mapping)]));
            assert!(board.nodes[0].rates.is_none());
        }
        let mut odd = sample(2, &[]);
        odd.set_idle_ns([u64::MAX, 0]);
        board.take(0, &odd);
        assert_eq!(board.nodes[0].rates.as_ref().unwrap().busy, [0.0, 1.0]);
        // One that there is not.
        board.take(7, &sample(1, &[]));
        board.fail(7, &"nothing");
    }

    #[test]
    fn pages_are_ordered_by_rate_or_total() {
        let mut board = board(2);
        let early = hot(0x1000, 900, Place::Blocks(64));
        let late = hot(0x2008, 500, Place::Stack(3));
        board.take(0, &sample(1, &[]));
        board.take(0, &sample(2, &[early]));
        for second in 3..20 {
            board.take(0, &sample(second, &[HotPage { faults: 10, ..late }]));
        }
        board.take(1, &sample(1, &[late]));
        let first = |board: &Board| board.hot().first().map(|&(page, _)| page);
        assert_eq!((board.hot().len(), first(&board)), (1, Some(2)));
        assert!((board.hot()[0].1.rate() - 10.0).abs() < 0.1);
        board.turn();
        assert_eq!((board.order, board.hot().len()), (Order::SoFar, 2));
        assert_eq!((board.hot()[0].1.total(), first(&board)), (900, Some(1)));
        assert_eq!(board.hot()[1].1.total(), 670);
        board.turn();
        assert_eq!(board.order, Order::Now);
    }

    #[test]
    fn nodes_that_look_for_something_else_are_told_apart() {
        let mut board = board(3);
        for (node, place) in [
            (0, Place::Stack(3)),
            (1, Place::Blocks(64)),
            (2, Place::Stack(3)),
        ] {
            board.take(node, &sample(1, &[hot(0x1000, 1, place)]));
        }
        board.turn();
        let what = board.hot()[0].1.what();
        assert_eq!(
            what,
            "stack of thread 3 (n0 n2), heap of n1, blocks of 64 bytes (n1)"
        );
    }

    #[test]
    fn every_place_has_a_name() {
        let board = board(2);
        for (place, name) in [
            (Place::Variable(0x10), "a variable at 0x10 of the ELF file"),
            (Place::Pages(8192), "heap of n1, a block of 8 KiB"),
            (Place::FreeHeap, "heap of n1, free"),
            (Place::Stack((1 << 25) + 2), "stack of thread 2 of n1"),
            (Place::ThreadLocal(2), "thread-local variables of thread 2"),
            (Place::Mapping, "a mapping of n1"),
            (Place::Unknown, "memory of n1"),
        ] {
            assert_eq!(board.what(1, place), name);
        }
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let mut board = board(1);
        for number in 0..2 * MOST_PAGES as u64 {
            let page = hot(number * 4096, 1 + number % 7, Place::Mapping);
            board.take(0, &sample(number, &[page]));
            board.said(false, format!("line {number}\n").as_bytes());
        }
        board.turn();
        assert_eq!(board.hot().len(), MOST_PAGES);
        // Of those that nobody waits for, the ones that were waited for most are kept.
        assert_eq!(board.hot()[0].1.total(), 7);
        assert_eq!(board.lines(usize::MAX).len(), MOST_LINES);
        assert_eq!(
            board.lines(1),
            [format!("[n0] line {}", 2 * MOST_PAGES - 1)]
        );
    }
}
