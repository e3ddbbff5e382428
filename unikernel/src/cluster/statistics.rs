//! What this node counts of the cluster's memory, and how the numbers of all nodes come together.
//!
//! The counts are the [`Engine`](super::Engine)'s, so the protocol thread's alone: nothing of them
//! is atomic. Whoever wants them asks the engine, eight numbers at a time; the engine of another
//! node is asked by a call.

use alloc::boxed::Box;

use darner_abi::{Count, Direction, HotPage, NodeStatistics, Sample, TopK, WORDS};
use darner_coherence::{Access, Dirt, Failure, Message, NodeId, PageIndex, Rights};
use darner_wire::kind_of;

use super::record::{Kind, Words, words};
use super::retirement::Progress;
use super::{Reply, Request, call, config, nodes};
use crate::control;
use crate::layout::PAGE;
use crate::memory::paging;
use crate::params;
use crate::sched::ThreadRef;
use crate::time::uptime_ns;

/// A fault that a thread waits for.
pub struct Fault {
    /// The thread.
    pub thread: ThreadRef,
    /// Where.
    pub address: u64,
    /// The page.
    pub page: PageIndex,
    /// For what.
    pub access: Access,
    /// What the page could be used for before.
    pub before: Rights,
    /// When the thread faulted ([`uptime_ns`]).
    pub since: u64,
}

/// Where a fault was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Here, at once.
    Here,
    /// By other nodes, or after they had been waited for.
    Away,
}

/// Pages that are counted at a time, where samples are taken.
const HOT_PAGES: usize = 128;

/// The counts of this node.
#[derive(Default)]
pub struct Statistics {
    counted: NodeStatistics,
    /// Pages that threads have waited for other nodes for, with the last address; where samples are taken.
    hot: Option<Box<TopK<HOT_PAGES>>>,
    /// The page that was last mapped to be written: by what comes next it is known whether
    /// another node was asked for that.
    mapped: Option<PageIndex>,
}

impl Statistics {
    /// Nothing yet.
    pub fn new() -> Self {
        let is_sampled = params::get().is_some_and(|params| params.top.is_some());
        Self {
            hot: is_sampled.then(Box::default),
            ..Self::default()
        }
    }

    /// A thread has faulted.
    pub fn faulted(&mut self, progress: Progress) {
        match progress {
            Progress::Retired | Progress::Further => {}
            Progress::Stolen => self.counted[Count::Steals] += 1,
            Progress::Restarted => self.counted[Count::Restarts] += 1,
        }
    }

    /// A thread's fault is over; the home of its page is this node or not.
    pub fn served(
        &mut self,
        fault: &Fault,
        served: Served,
        result: Result<(), Failure>,
        is_own: bool,
    ) {
        if result == Err(Failure::Lost) {
            self.counted[Count::Lost] += 1;
            return;
        }
        let count = match (fault.access, fault.before, served) {
            (Access::Read, _, Served::Here) => Count::ReadHere,
            (Access::Write, _, Served::Here) => Count::WriteHere,
            (Access::Read, _, Served::Away) => Count::ReadAway,
            (Access::Write, Rights::None, Served::Away) => Count::WriteAway,
            (Access::Write, _, Served::Away) => Count::UpgradeAway,
        };
        self.counted[count] += 1;
        if served == Served::Here {
            return;
        }
        self.counted.waited(uptime_ns().saturating_sub(fault.since));
        if let Some(hot) = &mut self.hot {
            hot.note(fault.page.0, fault.address);
        }
        if fault.access == Access::Write
            && self.mapped.take_if(|page| *page == fault.page).is_some()
        {
            self.counted[Count::Asked] += 1;
            self.counted[Count::AskedOwn] += u64::from(is_own);
        }
    }

    /// A range was discarded.
    pub fn discarded(&mut self) {
        self.counted[Count::Discards] += 1;
    }

    /// The program has got rights to a page.
    pub fn mapped(&mut self, page: PageIndex, rights: Rights) {
        self.mapped = (rights == Rights::Write).then_some(page);
    }

    /// Rights were taken from the program; the home of the page is this node or not.
    pub fn protected(&mut self, dirt: Dirt, is_own: bool) {
        if dirt == Dirt::Dirty {
            self.counted[Count::Dirtied] += 1;
            self.counted[Count::DirtiedOwn] += u64::from(is_own);
        }
    }

    /// What others want has to wait for a hold to be over.
    pub fn held(&mut self) {
        self.counted[Count::HoldWaits] += 1;
    }

    /// A packet about pages is on its way.
    pub fn packet(&mut self, direction: Direction, message: &Message) {
        let pages = message.carried().count() as u64;
        let (bytes_of, pages_of) = match direction {
            Direction::Sent => (Count::BytesSent, Count::PagesSent),
            Direction::Received => (Count::BytesReceived, Count::PagesReceived),
        };
        let kind = kind_of(message);
        self.counted.message(direction, kind.number());
        self.counted[bytes_of] += kind.header_bytes() as u64 + pages * PAGE;
        self.counted[pages_of] += pages;
    }

    /// A call is on its way.
    pub fn call(&mut self, direction: Direction, kind: Kind) {
        self.counted.call(direction, kind as u32);
    }

    /// What is of a moment.
    pub fn set_now(&mut self, now: Now) {
        let counted = &mut self.counted;
        counted[Count::Pages] = now.pages;
        counted[Count::Cached] = now.cached;
        counted[Count::DirtyNow] = now.dirty;
        counted[Count::DirtyNowOwn] = now.dirty_own;
    }

    /// Tells all numbers, and the pages that were waited for most since this was last called: where they are,
    /// not what is there.
    pub fn tell(&mut self, sample: &mut Sample) {
        sample.counted.clone_from(&self.counted);
        let hot = self.hot.as_mut().map_or(&[][..], |hot| hot.take());
        sample.set_hot(hot.iter().map(|entry| HotPage {
            address: entry.last,
            faults: entry.count,
            error: entry.error,
            ..HotPage::default()
        }));
    }

    /// The numbers at `first` and the seven behind it.
    pub fn part(&self, first: u64) -> Words {
        let mut part = Words::default();
        let words = usize::try_from(first)
            .ok()
            .and_then(|first| self.counted.words().get(first..))
            .unwrap_or_default();
        for (place, &word) in part.iter_mut().zip(words) {
            *place = word;
        }
        part
    }
}

/// What a node has at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Pages that it has bytes of.
    pub pages: u64,
    /// Those whose home is another node.
    pub cached: u64,
    /// Pages that may be written and were.
    pub dirty: u64,
    /// Those whose home is this node.
    pub dirty_own: u64,
}

impl Now {
    /// Counts a page that the node has bytes of; the home of which is this node or not.
    pub fn add(&mut self, page: PageIndex, is_own: bool) {
        let is_dirty = paging::is_dirty(page.0 * PAGE);
        self.pages += 1;
        self.cached += u64::from(!is_own);
        self.dirty += u64::from(is_dirty);
        self.dirty_own += u64::from(is_dirty && is_own);
    }
}

/// Has `take` take all numbers of a node, a part of them at a time, with the place of the first. Nothing
/// is taken if there is no such node, or it is gone. Thread context, no lock held.
pub fn gather(node: u16, mut take: impl FnMut(usize, &[u64])) {
    let Some(config) = config() else { return };
    // Nobody answers for a node that is not there. One that is gone before it has answered is noticed.
    if NodeId(node) != config.me && !nodes::is_there(NodeId(node)) {
        return;
    }
    for first in (0..WORDS).step_by(Words::default().len()) {
        let place = first as u64;
        let asked = match NodeId(node) {
            here if here == config.me => Request::Statistics { first: place },
            to => Request::Call {
                to,
                kind: Kind::Statistics,
                words: words([place]),
            },
        };
        let Reply::Words(words) = call(asked) else {
            return;
        };
        let count = words.len().min(WORDS - first);
        take(first, &words[..count]);
    }
}

/// Writes the control records of all nodes' numbers, if the command line asks for them. The
/// program is about to end. Thread context, no lock held.
pub fn report() {
    let asked = params::get().is_some_and(|params| params.stats);
    let Some(config) = config().filter(|_| asked) else {
        return;
    };
    (0..config.nodes).for_each(report_node);
}

/// As [`report`], of one node.
pub fn report_of(node: u16) {
    if params::get().is_some_and(|params| params.stats) {
        report_node(node);
    }
}

fn report_node(node: u16) {
    gather(node, |first, words| {
        control::record(format_args!(
            "stats cluster/{node}{}",
            Line { first, words }
        ));
    });
}

/// Numbers as [`NodeStatistics::take`] takes them.
struct Line<'a> {
    first: usize,
    words: &'a [u64],
}

impl core::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let words = (self.first..).zip(self.words);
        for (place, word) in words.filter(|&(_, &word)| word != 0) {
            write!(f, " {place}={word}")?;
        }
        Ok(())
    }
}
