//! What a node of a cluster tells of itself while the program runs, again and again.
//!
//! A node writes samples one after the other, as bytes: [`MAGIC`], the length of what follows in two
//! bytes, little-endian, and then numbers, each in as few bytes as it needs, seven bits in each, the lowest
//! first, the top bit set in all but the last (LEB128). The numbers are, in this order:
//!
//! * the time, threads, the machine's memory and the free part of it, the heap's bytes in use and committed;
//! * how many CPUs there are, and how long each was idle;
//! * how many of what the node has counted is not 0, and of each of those how many places it is behind
//!   the one before (the first: behind the start), and the number;
//! * how many pages follow, and for each of those what [`HotPage`] has.
//!
//! Who reads them trusts nothing: whatever is not exactly this is an error.

mod bytes;
mod place;

use core::fmt;

use self::bytes::{Reader, Writer};
pub use self::place::Place;
use crate::cluster::{NodeStatistics, WORDS};

/// The first bytes of each sample.
pub const MAGIC: [u8; 4] = *b"DTOP";
/// Bytes before a sample's numbers: [`MAGIC`] and the length.
pub const HEADER: usize = MAGIC.len() + 2;
/// The most bytes of a sample, all in all.
pub const MOST_BYTES: usize = 5 << 10;
/// The most CPUs of a node.
pub const MOST_CPUS: usize = 64;
/// The most pages of a sample.
pub const MOST_PAGES: usize = 16;

/// Numbers that are there once.
const SINGLE: usize = 6;
/// The numbers of a page.
const OF_PAGE: usize = 6;
/// What a sample may need: of what is counted, neither the place nor how many there are has more than 14 bits.
const _: () = {
    let any = SINGLE + MOST_CPUS + WORDS + OF_PAGE * MOST_PAGES;
    let short = 3 + WORDS;
    assert!(WORDS < 1 << 14 && HEADER + any * bytes::LONGEST + short * 2 <= MOST_BYTES);
};

/// A page that threads of a node had to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotPage {
    /// The address at which a thread waited for it last.
    pub address: u64,
    /// How often they did since the last sample, at most.
    pub faults: u64,
    /// So many of these may have been for other pages.
    pub error: u64,
    /// The node whose memory it is.
    pub node: u16,
    /// What is there.
    pub place: Place,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When, by the monotonic clock, in ns.
    pub now_ns: u64,
    /// Threads of the program.
    pub threads: u64,
    /// Bytes of memory of the machine.
    pub memory_total: u64,
    /// Those of them that nobody uses.
    pub memory_free: u64,
    /// Bytes of the program's heap, of the part that is this node's, that are handed out.
    pub heap_in_use: u64,
    /// Those that are committed.
    pub heap_committed: u64,
    /// What was counted since the start.
    pub counted: NodeStatistics,
    idle_ns: [u64; MOST_CPUS],
    cpus: usize,
    hot: [HotPage; MOST_PAGES],
    pages: usize,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            now_ns: 0,
            threads: 0,
            memory_total: 0,
            memory_free: 0,
            heap_in_use: 0,
            heap_committed: 0,
            counted: NodeStatistics::default(),
            idle_ns: [0; MOST_CPUS],
            cpus: 0,
            hot: [HotPage::default(); MOST_PAGES],
            pages: 0,
        }
    }
}

impl Sample {
    /// For how long each CPU has had nothing to do since the start, in ns.
    pub fn idle_ns(&self) -> &[u64] {
        &self.idle_ns[..self.cpus]
    }

    /// The same, to be said. There are no more than [`MOST_CPUS`].
    pub fn set_idle_ns(&mut self, idle_ns: impl IntoIterator<Item = u64>) {
        self.cpus = fill(&mut self.idle_ns, idle_ns);
    }

    /// The pages that were waited for most often since the last sample, the first one most.
    pub fn hot(&self) -> &[HotPage] {
        &self.hot[..self.pages]
    }

    /// The same, for who knows more of them.
    pub fn hot_mut(&mut self) -> &mut [HotPage] {
        &mut self.hot[..self.pages]
    }

    /// The same, to be said; of more than [`MOST_PAGES`], the first.
    pub fn set_hot(&mut self, hot: impl IntoIterator<Item = HotPage>) {
        self.pages = fill(&mut self.hot, hot);
    }

    /// Writes the sample; how many bytes it has.
    pub fn encode(&self, bytes: &mut [u8; MOST_BYTES]) -> usize {
        let (header, body) = bytes.split_at_mut(HEADER);
        let mut to = Writer::new(body);
        self.singles().into_iter().for_each(|number| to.put(number));
        to.put(self.cpus as u64);
        self.idle_ns().iter().for_each(|&ns| to.put(ns));
        let counted = || {
            let words = self.counted.words().iter().enumerate();
            words.filter(|&(_, &word)| word != 0)
        };
        to.put(counted().count() as u64);
        let mut before = 0;
        for (place, &word) in counted() {
            to.put((place - before) as u64);
            to.put(word);
            before = place;
        }
        to.put(self.pages as u64);
        for page in self.hot() {
            let (kind, value) = page.place.numbers();
            let rest = [page.faults, page.error, page.node.into(), kind, value];
            to.put(page.address);
            rest.into_iter().for_each(|number| to.put(number));
        }
        let length = to.written();
        header[..MAGIC.len()].copy_from_slice(&MAGIC);
        header[MAGIC.len()..].copy_from_slice(&(length as u16).to_le_bytes());
        HEADER + length
    }

    /// How many bytes the sample has behind its header.
    pub fn length(header: [u8; HEADER]) -> Result<usize, BadSample> {
        let [a, b, c, d, low, high] = header;
        let length = usize::from(u16::from_le_bytes([low, high]));
        match [a, b, c, d] {
            MAGIC if length <= MOST_BYTES - HEADER => Ok(length),
            MAGIC => Err(BadSample::TooLong(length)),
            other => Err(BadSample::NoMagic(other)),
        }
    }

    /// Reads what is behind the header: all of it.
    pub fn decode(body: &[u8]) -> Result<Self, BadSample> {
        let mut from = Reader::new(body);
        let mut sample = Self::default();
        for place in sample.singles_mut() {
            *place = from.next()?;
        }
        sample.cpus = from.count("CPUs", MOST_CPUS)?;
        for place in &mut sample.idle_ns[..sample.cpus] {
            *place = from.next()?;
        }
        let counted = from.count("numbers of what was counted", WORDS)?;
        let mut at = 0_usize;
        for index in 0..counted {
            let (behind, word) = (from.next()?, from.next()?);
            at = usize::try_from(behind)
                .ok()
                .filter(|&behind| behind > 0 || index == 0)
                .and_then(|behind| at.checked_add(behind))
                .filter(|&at| at < WORDS && word != 0)
                .ok_or(BadSample::Counted { behind, word })?;
            sample.counted.words_mut()[at] = word;
        }
        sample.pages = from.count("pages", MOST_PAGES)?;
        for page in &mut sample.hot[..sample.pages] {
            let mut numbers = [0; OF_PAGE];
            for number in &mut numbers {
                *number = from.next()?;
            }
            let [address, faults, error, node, kind, value] = numbers;
            *page = HotPage {
                address,
                faults,
                error,
                node: u16::try_from(node).map_err(|_| BadSample::Node(node))?,
                place: Place::of(kind, value).ok_or(BadSample::Place(kind, value))?,
            };
        }
        match from.left() {
            0 => Ok(sample),
            left => Err(BadSample::Left(left)),
        }
    }

    fn singles(&self) -> [u64; SINGLE] {
        [
            self.now_ns,
            self.threads,
            self.memory_total,
            self.memory_free,
            self.heap_in_use,
            self.heap_committed,
        ]
    }

    fn singles_mut(&mut self) -> [&mut u64; SINGLE] {
        [
            &mut self.now_ns,
            &mut self.threads,
            &mut self.memory_total,
            &mut self.memory_free,
            &mut self.heap_in_use,
            &mut self.heap_committed,
        ]
    }
}

/// Fills the places from the start; how many are.
fn fill<T>(places: &mut [T], with: impl IntoIterator<Item = T>) -> usize {
    let mut count = 0;
    for (place, one) in places.iter_mut().zip(with) {
        *place = one;
        count += 1;
    }
    count
}

/// Why bytes are no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSample {
    /// It begins with something else.
    NoMagic([u8; 4]),
    /// It says that it has so many bytes.
    TooLong(usize),
    /// It ends within a number, or before all are there.
    Cut,
    /// A number takes more bytes than it needs, or more than there may be.
    BadNumber,
    /// There are too many of something: what, and how many.
    TooMany(&'static str, u64),
    /// A number that was counted comes so far behind the one before it.
    Counted {
        /// How far.
        behind: u64,
        /// The number.
        word: u64,
    },
    /// There is no node of this number.
    Node(u64),
    /// There is no place of this kind, with this value.
    Place(u64, u64),
    /// There are so many bytes too many.
    Left(usize),
}

impl fmt::Display for BadSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMagic(found) => {
                write!(
                    f,
                    "found a sample that begins with {found:02x?}, expected {MAGIC:02x?}"
                )
            }
            Self::TooLong(length) => write!(
                f,
                "found a sample of {length} bytes, expected at most {}",
                MOST_BYTES - HEADER
            ),
            Self::Cut => f.write_str("found a sample that ends in the middle"),
            Self::BadNumber => f.write_str(
                "found a number that is longer than it needs to be or has more than 64 bits",
            ),
            Self::TooMany(what, count) => write!(f, "found a sample of {count} {what}"),
            Self::Counted { behind, word } => write!(
                f,
                "found the number {word} {behind} places behind the one before it, expected one that is not 0, \
                 at a later place below {WORDS}"
            ),
            Self::Node(node) => write!(f, "found a page of node {node}"),
            Self::Place(kind, value) => write!(f, "found a place of kind {kind}, {value:#x}"),
            Self::Left(left) => write!(f, "found {left} bytes behind a sample's last number"),
        }
    }
}

impl core::error::Error for BadSample {}

#[cfg(test)]
mod tests;
