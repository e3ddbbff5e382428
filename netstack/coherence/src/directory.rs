//! What a home knows of its pages, as range records in a fixed number of entries.
//!
//! Neighbouring pages of which the same is known are one entry. What is not in any entry is
//! *idle*: nobody has a copy, and the home's bytes are current. Lost pages can be neither
//! forgotten nor recalled, so their entries do not count: else a few that are left between others
//! could take the room that an instruction needs for all of its pages. When the table is nearly
//! full, it forgets what can be known again, in this order:
//!
//! 1. serials of idle pages, which from then on have the highest serial that was forgotten
//!    (a node that asks whether its old bytes are current gets them sent again, needlessly);
//! 2. the difference between neighbours that are shared and current: the sharers become those
//!    of either, the serial the higher one (some invalidations go to nodes without a copy).
//!
//! If that does not help, the home recalls the pages of a victim, which then is idle.

use crate::ids::{NodeId, PageIndex, Serial};
use crate::sharers::{Grouping, SharerSet};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What a home knows of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Who may have copies.
    pub state: State,
    /// The serial of the last exclusive grant, or a later one.
    pub serial: Serial,
    /// Whether the page goes from writer to writer.
    pub pattern: Pattern,
}

/// Who may have copies of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody; the home's bytes are current.
    Idle,
    /// These nodes may have copies to read; the home's bytes are current.
    Shared {
        /// Which nodes.
        sharers: SharerSet,
        /// Who wrote last, if that is known.
        writer: Option<NodeId>,
    },
    /// These nodes may have copies to read; the home's bytes are older.
    Owned {
        /// Which nodes, `holder` among them.
        sharers: SharerSet,
        /// Who wrote last, and must not lose its copy.
        holder: NodeId,
    },
    /// One node may write, or has dropped the page unwritten.
    Exclusive {
        /// Which.
        owner: NodeId,
    },
    /// The bytes died with the node that had them.
    Lost,
}

/// Two bits of history: whether whoever reads a page writes it next (Cox and Fowler, 1993;
/// Stenström, Brorsson and Sandberg, 1993); and two more: whether one node writes what others read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    migrates: u8,
    steady: u8,
}

impl Pattern {
    const MOST: u8 = 3;
    const ENOUGH: u8 = 2;

    /// Whether the page should be handed over whole to readers.
    #[must_use]
    pub fn migrates(self) -> bool {
        self.migrates >= Self::ENOUGH
    }

    /// Whether the page's last writer has written it again, so many times in a row.
    #[must_use]
    pub fn is_steady(self, signs: u8) -> bool {
        self.steady >= signs
    }

    /// After a sign that it migrates: one is enough.
    #[must_use]
    pub fn more(self) -> Self {
        Self {
            migrates: (self.migrates + 1).clamp(Self::ENOUGH, Self::MOST),
            steady: 0,
        }
    }

    /// After a sign that it does not.
    #[must_use]
    pub fn less(self) -> Self {
        Self {
            migrates: self.migrates.saturating_sub(1),
            ..self
        }
    }

    /// After its last writer has written again what others had read.
    #[must_use]
    pub fn again(self) -> Self {
        Self {
            steady: (self.steady + 1).min(Self::MOST),
            ..self.less()
        }
    }

    /// After another than its last writer has written.
    #[must_use]
    pub fn by_another(self) -> Self {
        Self { steady: 0, ..self }
    }
}

/// An entry: what is known of each of so many pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Run {
    pages: u64,
    record: Record,
}

impl Run {
    fn is_lost(self) -> bool {
        self.record.state == State::Lost
    }
}

/// How many entries one change of one page can add.
const GROWTH: usize = 2;

/// The table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Directory {
    grouping: Grouping,
    runs: BTreeMap<PageIndex, Run>,
    /// How many of the entries are of lost pages.
    lost: usize,
    capacity: usize,
    floor: Serial,
}

impl Directory {
    /// A table of at most `capacity` entries, those of lost pages not counted, for nodes that fall to sets in this way.
    ///
    /// At least 8, so that a change that splits an entry always can be made after a victim
    /// was recalled.
    #[must_use]
    pub fn new(capacity: usize, grouping: Grouping) -> Self {
        Self {
            grouping,
            runs: BTreeMap::new(),
            lost: 0,
            capacity: capacity.max(8),
            floor: Serial(0),
        }
    }

    /// How many entries are in use.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.runs.len()
    }

    /// How many of the entries in use are of lost pages.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// The bytes that the table may take at most while nothing is lost, less what the tree needs for its shape.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.capacity * (size_of::<PageIndex>() + size_of::<Run>())
    }

    /// The bytes of the entries that are in use, less what the tree needs for its shape.
    #[must_use]
    pub fn bytes_in_use(&self) -> usize {
        self.runs.len() * (size_of::<PageIndex>() + size_of::<Run>())
    }

    /// What is known of a page.
    #[must_use]
    pub fn get(&self, page: PageIndex) -> Record {
        self.covering(page)
            .map_or(self.idle(), |(_, run)| run.record)
    }

    /// Whether nothing is known of a page: nobody has a copy, and nothing of its past is remembered.
    #[must_use]
    pub fn is_unknown(&self, page: PageIndex) -> bool {
        self.covering(page).is_none()
    }

    /// Whether `changes` more pages can be changed, whatever to.
    #[must_use]
    pub fn has_room(&self, changes: usize) -> bool {
        self.runs.len() - self.lost + changes * GROWTH <= self.capacity
    }

    /// Replaces what is known of a page.
    pub fn set(&mut self, page: PageIndex, record: Record) {
        self.set_range(page, 1, record);
    }

    /// Replaces what is known of `pages` pages.
    pub fn set_range(&mut self, first: PageIndex, pages: u64, record: Record) {
        let end = first.plus(pages);
        self.cut(first);
        self.cut(end);
        let inside: Vec<PageIndex> = self
            .runs
            .range(first..end)
            .map(|(&start, _)| start)
            .collect();
        for start in inside {
            self.remove(start);
        }
        if record != self.idle() {
            self.insert(first, Run { pages, record });
            self.join(first);
            self.join_left(first);
        }
    }

    /// Gives all idle pages a serial of at least `serial`.
    pub fn raise_floor(&mut self, serial: Serial) {
        self.floor = self.floor.max(serial);
    }

    /// Makes a page idle without making the table longer.
    pub fn forget(&mut self, page: PageIndex) {
        let serial = self.get(page).serial;
        self.floor = self.floor.max(serial);
        self.set(page, self.idle());
    }

    /// Forgets what can be known again.
    pub fn shrink(&mut self) {
        for run in self.runs.values() {
            if run.record.state == State::Idle {
                self.floor = self.floor.max(run.record.serial);
            }
        }
        self.runs.retain(|_, run| run.record.state != State::Idle);
        let mut starts = self.runs.keys().copied().collect::<Vec<_>>().into_iter();
        let Some(mut left) = starts.next() else {
            return;
        };
        for start in starts {
            if !self.merge(left, start) {
                left = start;
            }
        }
    }

    /// The page to recall when shrinking was not enough: the first one of the shortest entry
    /// that `may` be recalled, and of several, of the one that was granted first. Entries with serials above `recent` come
    /// last, in the order of these.
    ///
    /// So an instruction that needs several pages gets them all in the end, even if no entry is as short as
    /// theirs: none of them is the first to go.
    pub fn victim(&self, recent: Serial, may: impl Fn(PageIndex) -> bool) -> Option<PageIndex> {
        self.runs
            .iter()
            .filter(|&(&start, run)| !run.is_lost() && may(start))
            .min_by_key(|&(_, run)| {
                let serial = run.record.serial;
                (serial.max(recent), run.pages, serial)
            })
            .map(|(&start, _)| start)
    }

    /// All entries: first page, number of pages, record.
    pub fn iter(&self) -> impl Iterator<Item = (PageIndex, u64, Record)> {
        self.runs
            .iter()
            .map(|(&start, run)| (start, run.pages, run.record))
    }

    /// Forgets everything; idle pages have the serial `floor`.
    pub fn reset(&mut self, floor: Serial) {
        self.runs.clear();
        self.lost = 0;
        self.floor = floor;
    }

    fn idle(&self) -> Record {
        Record {
            state: State::Idle,
            serial: self.floor,
            pattern: Pattern::default(),
        }
    }

    /// Puts an entry where none begins, or in the place of the one that does.
    fn insert(&mut self, start: PageIndex, run: Run) {
        let before = self.runs.insert(start, run);
        self.lost += usize::from(run.is_lost());
        self.lost -= usize::from(before.is_some_and(Run::is_lost));
    }

    fn remove(&mut self, start: PageIndex) {
        let removed = self.runs.remove(&start);
        self.lost -= usize::from(removed.is_some_and(Run::is_lost));
    }

    fn covering(&self, page: PageIndex) -> Option<(PageIndex, Run)> {
        let (&start, &run) = self.runs.range(..=page).next_back()?;
        (page < start.plus(run.pages)).then_some((start, run))
    }

    /// Makes an entry begin at `page` if one goes across it.
    fn cut(&mut self, page: PageIndex) {
        let Some((start, run)) = self.covering(page).filter(|&(start, _)| start < page) else {
            return;
        };
        let left = page.0 - start.0;
        self.insert(start, Run { pages: left, ..run });
        self.insert(
            page,
            Run {
                pages: run.pages - left,
                ..run
            },
        );
    }

    /// Joins the entry at `start` with the next one, if nothing is lost by it.
    fn join(&mut self, start: PageIndex) {
        let Some(&run) = self.runs.get(&start) else {
            return;
        };
        let next = start.plus(run.pages);
        let Some(&other) = self.runs.get(&next) else {
            return;
        };
        if let Some(record) = joined(run.record, other.record) {
            self.remove(next);
            self.insert(
                start,
                Run {
                    pages: run.pages + other.pages,
                    record,
                },
            );
        }
    }

    fn join_left(&mut self, start: PageIndex) {
        if let Some((&left, _)) = self.runs.range(..start).next_back() {
            self.join(left);
        }
    }

    /// Joins two neighbours even if something is lost by it.
    fn merge(&mut self, left: PageIndex, right: PageIndex) -> bool {
        let (Some(&a), Some(&b)) = (self.runs.get(&left), self.runs.get(&right)) else {
            return false;
        };
        let record = (left.plus(a.pages) == right)
            .then(|| merged(a.record, b.record, self.grouping))
            .flatten();
        let Some(record) = record else { return false };
        self.remove(right);
        self.insert(
            left,
            Run {
                pages: a.pages + b.pages,
                record,
            },
        );
        true
    }
}

/// One record for both, if it says the same of each.
///
/// The serial of a page with an owner is not asked for before the next grant, which raises it.
fn joined(a: Record, b: Record) -> Option<Record> {
    let exclusive = matches!(a.state, State::Exclusive { .. });
    let same = a.state == b.state && a.pattern == b.pattern && (exclusive || a.serial == b.serial);
    same.then_some(Record {
        serial: a.serial.max(b.serial),
        ..a
    })
}

/// One record for both, if it can be true of each.
fn merged(a: Record, b: Record, grouping: Grouping) -> Option<Record> {
    let state = match (a.state, b.state) {
        (a, b) if a == b => a,
        (State::Shared { sharers: one, .. }, State::Shared { sharers: other, .. }) => {
            State::Shared {
                sharers: one.union(other, grouping),
                writer: None,
            }
        }
        _ => return None,
    };
    Some(Record {
        state,
        serial: a.serial.max(b.serial),
        pattern: a.pattern.min(b.pattern),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        let grouping = Grouping::new(3);
        let node = (0..3_u16).prop_map(NodeId);
        let state = prop_oneof![
            Just(State::Idle),
            Just(State::Lost),
            node.clone().prop_map(|owner| State::Exclusive { owner }),
            node.clone().prop_map(move |node| State::Shared {
                sharers: SharerSet::of(node, grouping),
                writer: None
            }),
            node.prop_map(move |holder| State::Owned {
                sharers: SharerSet::of(holder, grouping),
                holder
            }),
        ];
        (state, 1..4_u64).prop_map(|(state, serial)| Record {
            state,
            serial: Serial(serial),
            pattern: Pattern::default(),
        })
    }

    /// Whether a record may stand for what is true of a page.
    fn covers(kept: Record, truth: Record) -> bool {
        let grouping = Grouping::new(3);
        let state = match (kept.state, truth.state) {
            (State::Shared { sharers: kept, .. }, State::Shared { sharers: truth, .. }) => truth
                .iter(grouping)
                .all(|node| kept.contains(node, grouping)),
            (kept, truth) => kept == truth,
        };
        state && kept.serial >= truth.serial
    }

    proptest! {
        #[test]
        fn what_is_kept_covers_what_is_true(
            changes in prop::collection::vec((0..24_u64, 1..5_u64, record(), any::<bool>()), 1..60),
            recent in 0..4_u64,
        ) {
            let mut directory = Directory::new(16, Grouping::new(3));
            let mut truth: [Option<Record>; 32] = [None; 32];
            for (first, pages, record, shrinks) in changes {
                if shrinks {
                    directory.shrink();
                }
                if !directory.has_room(1) {
                    directory.shrink();
                    while let Some(victim) = directory.victim(Serial(recent), |_| true).filter(|_| !directory.has_room(1)) {
                        directory.forget(victim);
                        truth[victim.0 as usize] = None;
                    }
                }
                if directory.has_room(1) {
                    directory.set_range(PageIndex(first), pages, record);
                    truth[first as usize..(first + pages) as usize].fill(Some(record));
                }
                let lost = directory.iter().filter(|(.., record)| record.state == State::Lost);
                prop_assert_eq!(directory.lost(), lost.count());
                prop_assert!(directory.entries() - directory.lost() <= 16);
                for (page, truth) in truth.iter().enumerate() {
                    let kept = directory.get(PageIndex(page as u64));
                    match truth {
                        Some(truth) => prop_assert!(covers(kept, *truth), "{kept:?} for {truth:?}"),
                        None => prop_assert_eq!(kept.state, State::Idle),
                    }
                }
            }
        }
    }

    #[test]
    fn neighbours_of_one_owner_are_one_entry() {
        let mut directory = Directory::new(16, Grouping::new(3));
        for page in [3, 5, 4] {
            let state = State::Exclusive { owner: NodeId(1) };
            directory.set(
                PageIndex(page),
                Record {
                    state,
                    serial: Serial(page),
                    pattern: Pattern::default(),
                },
            );
        }
        assert_eq!(directory.entries(), 1);
        assert_eq!(directory.get(PageIndex(3)).serial, Serial(5));
    }
}
