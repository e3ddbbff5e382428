//! What must be true of each page, whatever the nodes believe.
//!
//! Everything is checked as it changes: who may write and who may read, when rights change;
//! whether a copy is the last one written, when it is mapped, stored or read. What was true and
//! has not changed is still true, so a step costs the same however large the cluster is.

use darner_coherence::{Epoch, NodeId, PageIndex, Rights};

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// In which way.
    pub kind: Wrong,
    /// What was found.
    pub what: String,
}

/// In which way something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wrong {
    /// A node may write while others may read or write.
    TwoWritersOrWriterAndReader,
    /// A copy that may be read is not the last one written.
    StaleCopy,
    /// A read did not return the last write.
    StaleRead,
    /// A frame was given up that a program may still use.
    FreedInUse,
    /// A page was to be stored whose bytes did not come.
    BytesDidNotCome,
    /// A home does not know of a copy.
    UnknownCopy,
    /// A node refused what another said.
    Refused,
    /// A thread was woken that did not wait.
    WokenInVain,
    /// A page was said to be lost that was not.
    LostInVain,
    /// An instruction faulted again and again.
    FaultsAgain,
    /// A fault or discard took too long, or never completed.
    NeverCompletes,
    /// A node waits for something that never comes.
    NeverQuiet,
    /// Two nodes entered different views with one number.
    TwoViews,
    /// A node served that was no member any more.
    ServesOutside,
    /// Somebody acted on a lock, or got one, at a node that does not serve.
    ActsUnfenced,
    /// Locks were held at the same time that exclude each other.
    LocksConflict,
    /// A barrier let threads through before all had come.
    BarrierOpens,
    /// Something was told of a transaction that was not open, or twice, or too early.
    TransactionOutOfTurn,
    /// A request was answered twice, or with the answer to another.
    AnsweredTwice,
    /// A request was begun twice, or after a later one.
    BegunTwice,
    /// The protocol panicked.
    Panic,
}

/// What a page should read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Known(u64),
    /// Zero or this: it was written while it was being discarded.
    ZeroOr(u64),
}

/// Whether the bytes of a page may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Risk {
    /// They are not.
    None,
    /// They may be, since a death that no view tells of yet.
    Untold,
    /// They may be, since this view.
    Since(Epoch),
}

/// What is true of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth {
    pub(crate) expected: Expected,
    /// Discards under way.
    pub(crate) discards: u32,
    /// Whether it was written while it was being discarded.
    pub(crate) written: bool,
    pub(crate) risk: Risk,
    /// The last view that a node entered with a copy.
    pub(crate) survives: Epoch,
    readers: u16,
    writers: u16,
}

/// What is true of all pages.
#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    pages: Vec<Truth>,
    /// For each page, which nodes have rights, a bit each.
    holders: Vec<u64>,
    words: usize,
    last: u64,
}

impl Oracle {
    pub(crate) fn new(pages: u64, nodes: u16) -> Self {
        let truth = Truth {
            expected: Expected::Known(0),
            discards: 0,
            written: false,
            risk: Risk::None,
            survives: Epoch(0),
            readers: 0,
            writers: 0,
        };
        let words = usize::from(nodes).div_ceil(64);
        Self {
            pages: vec![truth; pages as usize],
            holders: vec![0; pages as usize * words],
            words,
            last: 0,
        }
    }

    pub(crate) fn page(&self, page: PageIndex) -> &Truth {
        &self.pages[page.0 as usize]
    }

    pub(crate) fn page_mut(&mut self, page: PageIndex) -> &mut Truth {
        &mut self.pages[page.0 as usize]
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = PageIndex> + use<> {
        (0..self.pages.len() as u64).map(PageIndex)
    }

    /// The nodes that have rights to a page.
    pub(crate) fn holders(&self, page: PageIndex) -> impl Iterator<Item = NodeId> {
        let first = page.0 as usize * self.words;
        let words = self.holders[first..first + self.words].iter().zip(0_u16..);
        words.flat_map(|(&word, place)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(NodeId(place * 64 + bit as u16))
            })
        })
    }

    /// A node's rights change; whether there still is one writer, or there are many readers.
    pub(crate) fn rights_change(
        &mut self,
        page: PageIndex,
        node: NodeId,
        before: Rights,
        after: Rights,
    ) -> bool {
        let word = page.0 as usize * self.words + usize::from(node.0 / 64);
        let bit = 1 << (node.0 % 64);
        match after {
            Rights::None => self.holders[word] &= !bit,
            Rights::Read | Rights::Write => self.holders[word] |= bit,
        }
        let truth = self.page_mut(page);
        match before {
            Rights::None => {}
            Rights::Read => truth.readers -= 1,
            Rights::Write => truth.writers -= 1,
        }
        match after {
            Rights::None => {}
            Rights::Read => truth.readers += 1,
            Rights::Write => truth.writers += 1,
        }
        truth.writers == 0 || truth.writers == 1 && truth.readers == 0
    }

    /// Whether a copy may have this value.
    pub(crate) fn allows(&self, page: PageIndex, value: u64) -> bool {
        let truth = self.page(page);
        truth.discards > 0
            || match truth.expected {
                Expected::Known(expected) => value == expected,
                Expected::ZeroOr(expected) => value == 0 || value == expected,
            }
    }

    /// A page was read, and had an allowed value.
    pub(crate) fn read(&mut self, page: PageIndex, value: u64) {
        let truth = self.page_mut(page);
        if truth.discards == 0 {
            truth.expected = Expected::Known(value);
        }
    }

    /// A page is written; with which value.
    pub(crate) fn write(&mut self, page: PageIndex) -> u64 {
        self.last += 1;
        let value = self.last;
        let truth = self.page_mut(page);
        truth.expected = Expected::Known(value);
        truth.written |= truth.discards > 0;
        value
    }

    pub(crate) fn discard_begins(&mut self, page: PageIndex) {
        let truth = self.page_mut(page);
        truth.written &= truth.discards > 0;
        truth.discards += 1;
    }

    pub(crate) fn discard_ends(&mut self, page: PageIndex) {
        let truth = self.page_mut(page);
        truth.discards -= 1;
        if truth.discards > 0 {
            return;
        }
        truth.expected = match truth.expected {
            Expected::Known(value) | Expected::ZeroOr(value) if truth.written => {
                Expected::ZeroOr(value)
            }
            _ => Expected::Known(0),
        };
    }

    /// A discard ends in a view because its thread died: it may have been done, or been half done, so that the
    /// bytes are gone and nobody has said that they are zeros.
    pub(crate) fn discard_dies(&mut self, page: PageIndex, epoch: Epoch) {
        self.page_mut(page).written = true;
        self.discard_ends(page);
        self.endanger(page, Risk::Since(epoch));
    }

    /// The page's bytes may have died, as `told` tells.
    pub(crate) fn endanger(&mut self, page: PageIndex, told: Risk) {
        let truth = self.page_mut(page);
        truth.risk = told;
        truth.survives = Epoch(0);
    }

    /// A view tells of all deaths so far.
    pub(crate) fn told_in(&mut self, epoch: Epoch) {
        for truth in &mut self.pages {
            if truth.risk == Risk::Untold {
                truth.risk = Risk::Since(epoch);
            }
        }
    }

    /// Whether a page may be said to be lost.
    pub(crate) fn may_be_lost(&self, page: PageIndex) -> bool {
        let truth = self.page(page);
        truth.discards > 0
            || match truth.risk {
                Risk::None => false,
                Risk::Untold => true,
                Risk::Since(epoch) => truth.survives < epoch,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: PageIndex = PageIndex(1);

    #[test]
    fn a_writer_is_alone() {
        let mut oracle = Oracle::new(2, 100);
        let mut change =
            |node, before, after| oracle.rights_change(PAGE, NodeId(node), before, after);
        assert!(change(3, Rights::None, Rights::Read));
        assert!(change(99, Rights::None, Rights::Read));
        assert!(!change(3, Rights::Read, Rights::Write));
        assert!(change(99, Rights::Read, Rights::None));
        assert!(!change(0, Rights::None, Rights::Write));
        assert!(oracle.holders(PAGE).eq([NodeId(0), NodeId(3)]));
    }

    #[test]
    fn a_read_returns_the_last_write() {
        let mut oracle = Oracle::new(2, 3);
        assert!(oracle.allows(PAGE, 0));
        let value = oracle.write(PAGE);
        assert!(oracle.allows(PAGE, value) && !oracle.allows(PAGE, 0));
    }

    #[test]
    fn a_write_during_a_discard_may_or_may_not_survive() {
        let mut oracle = Oracle::new(2, 3);
        oracle.write(PAGE);
        oracle.discard_begins(PAGE);
        let value = oracle.write(PAGE);
        oracle.discard_ends(PAGE);
        assert!(oracle.allows(PAGE, value) && oracle.allows(PAGE, 0));
        oracle.read(PAGE, 0);
        assert!(!oracle.allows(PAGE, value));
        oracle.discard_begins(PAGE);
        oracle.discard_ends(PAGE);
        assert!(oracle.allows(PAGE, 0) && !oracle.allows(PAGE, value));
    }

    #[test]
    fn a_page_with_a_surviving_copy_is_not_lost() {
        let mut oracle = Oracle::new(2, 3);
        assert!(!oracle.may_be_lost(PAGE));
        oracle.endanger(PAGE, Risk::Untold);
        oracle.told_in(Epoch(5));
        assert!(oracle.may_be_lost(PAGE));
        oracle.page_mut(PAGE).survives = Epoch(5);
        assert!(!oracle.may_be_lost(PAGE));
    }
}
