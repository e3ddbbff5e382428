//! What a node of a cluster counts of the memory that it shares with the others.
//!
//! The numbers are words, each at a place of its own, so that they can go from node to node a few
//! at a time. They only ever grow, but for [`Count::Pages`], [`Count::Cached`] and those that
//! are of this moment by their names.

use core::fmt;
use core::ops::{Index, IndexMut};

use crate::histogram::Histogram;
use crate::messages::{CALLS, KINDS, MESSAGES};

/// What is counted, each by a number.
macro_rules! counts {
    ($($(#[$about:meta])* $name:ident = $text:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Count {
            $($(#[$about])* $name,)*
        }

        impl Count {
            /// All of them, in the order of their places.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in tables and files.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

counts! {
    /// Faults to read that needed no other node.
    ReadHere = "read_faults_here",
    /// Faults to write that needed no other node.
    WriteHere = "write_faults_here",
    /// Faults to read that waited for another node.
    ReadAway = "read_faults_away",
    /// Faults to write a page of which there was no right, that waited for another node.
    WriteAway = "write_faults_away",
    /// Faults to write a page that could be read, that waited for another node.
    UpgradeAway = "upgrade_faults_away",
    /// Faults at pages whose only copy had died with its node.
    Lost = "lost",
    /// Ranges of memory that were given back.
    Discards = "discards",
    /// Pages that had been written when the right to write them was taken away.
    Dirtied = "dirtied",
    /// Those of them whose home this node is.
    DirtiedOwn = "dirtied_own",
    /// Pages that may be written and were, at this moment.
    DirtyNow = "dirty_now",
    /// Those of them whose home this node is.
    DirtyNowOwn = "dirty_now_own",
    /// Pages that another node was asked to let this one write.
    Asked = "asked_to_write",
    /// Those of them whose home this node is.
    AskedOwn = "asked_to_write_own",
    /// What others asked for and what had to wait because the page had just arrived.
    HoldWaits = "hold_waits",
    /// Pages that were taken from a thread to which they had just been given, before the instruction
    /// that wanted them was done.
    Steals = "steals_before_retire",
    /// Pages that an instruction had been given and lost while it waited for another page that it needs,
    /// of a lower address.
    Restarts = "restarts",
    /// Bytes of packets about pages that were sent, pages included.
    BytesSent = "bytes_sent",
    /// Bytes of such packets that came.
    BytesReceived = "bytes_received",
    /// Pages that were sent.
    PagesSent = "pages_sent",
    /// Pages that came.
    PagesReceived = "pages_received",
    /// Pages that this node has bytes of, at this moment.
    Pages = "pages_now",
    /// Those of them whose home is another node.
    Cached = "cached_now",
}

const SENT: usize = Count::ALL.len();
const RECEIVED: usize = SENT + KINDS;
const CALLS_SENT: usize = RECEIVED + KINDS;
const CALLS_RECEIVED: usize = CALLS_SENT + KINDS;
const LATENCY: usize = CALLS_RECEIVED + KINDS;

/// How many numbers a node has.
pub const WORDS: usize = LATENCY + Histogram::BUCKETS;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To another node.
    Sent,
    /// From another node.
    Received,
}

/// What a node counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatistics {
    words: [u64; WORDS],
}

impl Default for NodeStatistics {
    fn default() -> Self {
        Self { words: [0; WORDS] }
    }
}

impl Index<Count> for NodeStatistics {
    type Output = u64;

    fn index(&self, count: Count) -> &u64 {
        &self.words[count as usize]
    }
}

impl IndexMut<Count> for NodeStatistics {
    fn index_mut(&mut self, count: Count) -> &mut u64 {
        &mut self.words[count as usize]
    }
}

impl NodeStatistics {
    /// All numbers, by their places.
    pub fn words(&self) -> &[u64; WORDS] {
        &self.words
    }

    /// As [`Self::words`], for who brings them together.
    pub fn words_mut(&mut self) -> &mut [u64; WORDS] {
        &mut self.words
    }

    /// Counts a message about pages, by the number of its kind on the wire.
    pub fn message(&mut self, direction: Direction, kind: u8) {
        let first = match direction {
            Direction::Sent => SENT,
            Direction::Received => RECEIVED,
        };
        self.words[first + usize::from(kind) % KINDS] += 1;
    }

    /// Counts a call between nodes, or an answer, by the number of its kind.
    pub fn call(&mut self, direction: Direction, kind: u32) {
        let first = match direction {
            Direction::Sent => CALLS_SENT,
            Direction::Received => CALLS_RECEIVED,
        };
        self.words[first + kind as usize % KINDS] += 1;
    }

    /// Counts a fault that another node was needed for, which took so long.
    pub fn waited(&mut self, ns: u64) {
        self.words[LATENCY + Histogram::bucket(ns)] += 1;
    }

    /// How many messages about pages there were.
    pub fn messages(&self, direction: Direction) -> u64 {
        self.by_kind(direction).map(|(_, count)| count).sum()
    }

    /// Messages about pages: the kinds, and how many there were of each.
    pub fn by_kind(&self, direction: Direction) -> impl Iterator<Item = (&'static str, u64)> {
        let first = match direction {
            Direction::Sent => SENT,
            Direction::Received => RECEIVED,
        };
        let counts = self.words[first..first + KINDS].iter();
        MESSAGES.iter().copied().zip(counts.copied())
    }

    /// Calls between nodes and their answers: the kinds, and how many there were of each.
    pub fn calls(&self, direction: Direction) -> impl Iterator<Item = (&'static str, u64)> {
        let first = match direction {
            Direction::Sent => CALLS_SENT,
            Direction::Received => CALLS_RECEIVED,
        };
        let counts = self.words[first..first + KINDS].iter();
        CALLS.iter().copied().zip(counts.copied())
    }

    /// How long faults took that other nodes were needed for: from the fault until the thread could go on.
    pub fn latency(&self) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.counts.copy_from_slice(&self.words[LATENCY..]);
        histogram
    }

    /// Faults of all kinds.
    pub fn faults(&self) -> u64 {
        let kinds = [
            Count::ReadHere,
            Count::WriteHere,
            Count::ReadAway,
            Count::WriteAway,
            Count::UpgradeAway,
        ];
        kinds.into_iter().map(|kind| self[kind]).sum()
    }

    /// Pages that were written for the first time since they could be, without that any node was told: what
    /// the page table's dirty bit saves.
    pub fn silent_upgrades(&self) -> u64 {
        let written = self[Count::Dirtied] + self[Count::DirtyNow];
        written.saturating_sub(self[Count::Asked])
    }

    /// As [`Self::silent_upgrades`], of pages whose home the node is.
    pub fn silent_upgrades_own(&self) -> u64 {
        let written = self[Count::DirtiedOwn] + self[Count::DirtyNowOwn];
        written.saturating_sub(self[Count::AskedOwn])
    }

    /// What was counted since `before`; what is of a moment is of this one.
    pub fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        for (word, before) in since.words.iter_mut().zip(before.words) {
            *word = word.saturating_sub(before);
        }
        for count in [Count::Pages, Count::Cached] {
            since[count] = self[count];
        }
        since
    }

    /// Adds another node's numbers.
    pub fn add(&mut self, other: &Self) {
        for (word, more) in self.words.iter_mut().zip(other.words) {
            *word = word.saturating_add(more);
        }
    }

    /// Has `write` write the numbers that are not 0, eight places to a line: ` place=number`.
    pub fn write(&self, mut write: impl FnMut(fmt::Arguments<'_>)) {
        for first in (0..WORDS).step_by(8) {
            let part = Part { of: self, first };
            if part.places().next().is_some() {
                write(format_args!("{part}"));
            }
        }
    }

    /// Takes in what [`Self::write`] has written; what it does not know it passes over.
    pub fn take(&mut self, line: &str) {
        for (place, number) in line.split_whitespace().filter_map(|w| w.split_once('=')) {
            let word = place
                .parse::<usize>()
                .ok()
                .and_then(|at| self.words.get_mut(at));
            if let (Some(word), Ok(number)) = (word, number.parse()) {
                *word = number;
            }
        }
    }
}

/// A line of what is written.
struct Part<'a> {
    of: &'a NodeStatistics,
    first: usize,
}

impl Part<'_> {
    fn places(&self) -> impl Iterator<Item = (usize, u64)> {
        let words = self.of.words.iter().copied().enumerate();
        words
            .skip(self.first)
            .take(8)
            .filter(|&(_, number)| number != 0)
    }
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, number) in self.places() {
            write!(f, " {place}={number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use super::{Count, Direction, NodeStatistics, WORDS};

    fn example() -> NodeStatistics {
        let mut example = NodeStatistics::default();
        for (place, word) in example.words_mut().iter_mut().enumerate() {
            *word = place as u64 * 3 % 7;
        }
        example
    }

    #[test]
    fn what_is_written_is_read() {
        let mut lines: Vec<String> = Vec::new();
        example().write(|line| lines.push(format!("{line}")));
        assert_eq!(lines.len(), WORDS.div_ceil(8));
        let mut read = NodeStatistics::default();
        for line in lines {
            read.take(&line);
        }
        assert_eq!(read, example());
        read.take("5 =1 x=2 999999=3 1=y");
        assert_eq!(read, example());
    }

    #[test]
    fn numbers_have_places_of_their_own() {
        let mut counted = NodeStatistics::default();
        counted[Count::Cached] += 1;
        counted.message(Direction::Sent, 0x01);
        counted.message(Direction::Sent, 0x1d);
        counted.message(Direction::Received, 0x0e);
        counted.call(Direction::Sent, 0);
        counted.call(Direction::Received, 9);
        counted.waited(1_000_000);
        assert!(counted.words().iter().all(|&word| word <= 1));
        assert_eq!(counted.words().iter().sum::<u64>(), 7);
        assert_eq!(counted.messages(Direction::Sent), 2);
        let of = |kinds: Vec<(&'static str, u64)>| -> Vec<&'static str> {
            let counted = kinds.into_iter().filter(|&(_, count)| count > 0);
            counted.map(|(name, _)| name).collect()
        };
        assert_eq!(
            of(counted.by_kind(Direction::Sent).collect()),
            ["get", "dropped"]
        );
        assert_eq!(of(counted.calls(Direction::Received).collect()), ["began"]);
        assert_eq!(counted.latency().total(), 1);
    }

    #[test]
    fn a_write_is_silent_if_nobody_was_asked() {
        let mut counted = NodeStatistics::default();
        counted[Count::Dirtied] = 5;
        counted[Count::DirtyNow] = 3;
        counted[Count::Asked] = 2;
        assert_eq!(counted.silent_upgrades(), 6);
        let mut twice = counted.clone();
        twice.add(&counted);
        assert_eq!(twice.silent_upgrades(), 12);
        assert_eq!(twice.since(&counted), counted);
    }
}
