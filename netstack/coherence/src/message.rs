//! What nodes say to each other about pages.

use crate::ids::{Access, Epoch, NodeId, PageIndex, RequestId, Rights, Serial};

/// The most pages that one request may name.
pub const LONGEST_RUN: u8 = 16;

/// The most pages that one discard may name.
pub const LONGEST_SPAN: u8 = 64;

/// A message, and the view in which it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// The sender's view.
    pub epoch: Epoch,
    /// What is said.
    pub message: Message,
}

/// What a message carries of a page, apart from its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// The bytes of each page that is granted or given back. The environment attaches them.
    ///
    /// An environment that knows a page to be all zeros sends [`Content::Zero`] instead.
    Bytes,
    /// Nothing: the page is all zeros.
    Zero,
    /// Nothing: whoever gets the message has the bytes.
    Nothing,
}

/// Who counts the answers to an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Collector {
    /// The node that is to write.
    pub node: NodeId,
    /// Its request.
    pub id: RequestId,
}

/// What a holder may do with its copy when another node wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Keep it, and share it.
    Share,
    /// Hand it over whole, if it has been written here: the reader will write next.
    Migrate,
}

/// What a holder did with a request that its home forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It keeps a copy to read, and has given one.
    Shared {
        /// What became of the bytes here.
        written: Written,
    },
    /// It has given the page away.
    Gave {
        /// What became of the bytes here.
        written: Written,
    },
    /// It had dropped the page, unwritten: the home's bytes are current.
    NotHeld,
}

/// Whether a holder wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Written {
    /// The home's bytes are current.
    Never,
    /// Another holder wrote before, this one did not.
    Before,
    /// This holder wrote.
    Here,
}

/// Whether a copy that was pushed was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Used {
    /// It was.
    Yes,
    /// It was not: no more are wanted.
    No,
}

/// Why a home takes all copies of a page back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To have its bytes.
    Return,
    /// To forget its bytes.
    Drop,
    /// To give copies to others; the receiver, which is the home's own node, keeps one to read.
    Push,
    /// To have its bytes and serve readers from them; the receiver keeps a copy to read.
    Share,
}

/// A page, or a run of pages, granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The page that was asked for.
    pub page: PageIndex,
    /// The pages granted: bit n stands for `page` + n. Bit 0 is always set.
    pub mask: u16,
    /// The request that is answered.
    pub id: RequestId,
    /// What is granted: [`Rights::Read`] or [`Rights::Write`].
    pub rights: Rights,
    /// As of when the copy is current.
    pub serial: Serial,
    /// How many [`Message::Acked`] the requester has to have before it may write.
    pub acks: u16,
    /// Whether the home's bytes are older than these, so that these must not be dropped.
    pub backing: Backing,
    /// The bytes.
    pub content: Content,
}

/// Whether a home's bytes are as new as a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backing {
    /// They are.
    Current,
    /// They are older.
    Older,
}

/// What nodes say to each other about pages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// To a home: let me read or write.
    Get {
        /// The page that a thread waits for.
        page: PageIndex,
        /// How many pages from there on would be welcome, 1 to [`LONGEST_RUN`].
        run: u8,
        /// For what.
        access: Access,
        /// As of when the sender's bytes of `page` were current, if it has any.
        have: Option<Serial>,
        /// The request.
        id: RequestId,
    },
    /// To a home: what was done with a [`Message::Forward`].
    Note {
        /// The page.
        page: PageIndex,
        /// What was done.
        outcome: Outcome,
    },
    /// To a home: the bytes of a page that the sender no longer uses.
    WriteBack {
        /// The page.
        page: PageIndex,
        /// Its bytes.
        content: Content,
    },
    /// To a home: nobody needs the bytes of these pages, and the sender has no copies.
    Discard {
        /// The first page.
        page: PageIndex,
        /// How many, 1 to [`LONGEST_SPAN`].
        run: u8,
        /// The request.
        id: RequestId,
    },
    /// To a home: a [`Message::Recall`] is obeyed.
    Recalled {
        /// The page.
        page: PageIndex,
        /// Its bytes, if they are newer than the home's.
        content: Content,
    },
    /// To a holder: serve this request.
    Forward {
        /// The page.
        page: PageIndex,
        /// For what.
        access: Access,
        /// Whom to serve.
        requester: NodeId,
        /// The request.
        id: RequestId,
        /// As of when the copy will be current.
        serial: Serial,
        /// How many invalidations are under way for the requester.
        acks: u16,
        /// What a holder that wrote may do.
        advice: Advice,
        /// All requests of the receiver up to this one were granted before.
        seen: RequestId,
    },
    /// To a sharer: drop the page, and tell the collector.
    Invalidate {
        /// The page.
        page: PageIndex,
        /// Whom to tell.
        collector: Collector,
        /// All requests of the receiver up to this one were granted before.
        seen: RequestId,
    },
    /// To a sharer or holder: give the page up, and tell the home.
    Recall {
        /// The page.
        page: PageIndex,
        /// Why.
        purpose: Purpose,
        /// All requests of the receiver up to this one were granted before.
        seen: RequestId,
    },
    /// To an agent: its write-back was received.
    WrittenBack {
        /// The page.
        page: PageIndex,
    },
    /// To an agent: its discard is done, but for pages that it was redirected for.
    Discarded {
        /// The first page.
        page: PageIndex,
        /// Which pages: bit n stands for `page` + n.
        mask: u64,
        /// The request.
        id: RequestId,
    },
    /// To an agent: a copy to read that it did not ask for, but will want.
    Push {
        /// The page.
        page: PageIndex,
        /// As of when the copy is current.
        serial: Serial,
        /// Its bytes.
        content: Content,
    },
    /// To a home, as a hint: the sender has dropped the copy that it was pushed.
    Dropped {
        /// The page.
        page: PageIndex,
        /// As of when the copy was current.
        serial: Serial,
        /// The last request of the sender: it has not asked for the page since.
        seen: RequestId,
        /// Whether it was of use.
        used: Used,
    },
    /// To an agent: ask another node about this page.
    Redirect {
        /// The page.
        page: PageIndex,
        /// Its home, or a node that knows it.
        home: NodeId,
        /// Which pages have that home: bit n stands for the n-th of the [`LONGEST_SPAN`] pages among which `page` is.
        mask: u64,
        /// The request that is answered; none for a write-back.
        id: Option<RequestId>,
    },
    /// To an agent: its request waits for other pages, for the directory is full.
    Parked {
        /// The page.
        page: PageIndex,
        /// The request.
        id: RequestId,
    },
    /// To an agent: the page's only copy died with the node that held it.
    Lost {
        /// The page.
        page: PageIndex,
        /// The request that is answered.
        id: RequestId,
    },
    /// To an agent: a page, or the right to it.
    Grant(Grant),
    /// To the node that is to write: the sender has dropped the page.
    Acked {
        /// The page.
        page: PageIndex,
        /// The request that waits for it.
        id: RequestId,
    },
    /// To another home: this page is yours, and nobody has a copy.
    Adopt {
        /// The page.
        page: PageIndex,
        /// The serial of its last exclusive grant, or a later one.
        serial: Serial,
        /// A serial that no copy of it is above.
        clock: Serial,
        /// Its bytes.
        content: Content,
    },
    /// To the home that moved a page: it has arrived.
    Adopted {
        /// The page.
        page: PageIndex,
    },
    /// To the new home of a page: I have forgotten it, so that you can serve it.
    Yours {
        /// The page.
        page: PageIndex,
    },
    /// To the home of a page's slice: the page has moved on.
    Moved {
        /// The page.
        page: PageIndex,
        /// Its home now.
        to: NodeId,
        /// The `clock` with which it moved.
        stamp: Serial,
    },
    /// To the home that moved a page: the home of its slice knows.
    MovedKnown {
        /// The page.
        page: PageIndex,
    },
    /// To a home, when a view has changed: a copy that the sender has.
    Report {
        /// The page.
        page: PageIndex,
        /// What it is.
        copy: Reported,
    },
    /// To a home, when a view has changed: a request of the old view that got no answer.
    Unserved {
        /// The page.
        page: PageIndex,
        /// Whom it was sent to; the sender itself, if it is a write-back, whoever was to have it.
        asked: NodeId,
        /// The request; of a write-back, the default.
        id: RequestId,
    },
    /// To the home of a page's slice, when a view has changed: I was its home, and have the bytes that
    /// `owner` was given. They are current if it has dropped them in silence.
    Claim {
        /// The page.
        page: PageIndex,
        /// Who may have written.
        owner: NodeId,
        /// The last request of the owner that was granted.
        granted: RequestId,
    },
    /// To the home of a slice, when a view has changed: I was its home, and nobody was ever allowed to write these pages
    /// but to discard them, so they are all zeros.
    Blank {
        /// The first page.
        page: PageIndex,
        /// How many.
        pages: u64,
    },
    /// To every member, when a view has changed: all I said in the old view came before this.
    Drained,
    /// To every member, when a view has changed: these were all my reports to you.
    ReportsEnd,
    /// To an agent: you are the one who must not lose this copy.
    Keep {
        /// The page.
        page: PageIndex,
        /// As of when it is current.
        serial: Serial,
    },
    /// To every member, when a view has changed: my directory is rebuilt.
    Resume,
}

/// A copy, as reported for rebuilding a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reported {
    /// What the reporter may do with it, at least.
    pub rights: Rights,
    /// As of when it is current.
    pub serial: Serial,
    /// Whether the old home's bytes may be older.
    pub backing: Backing,
}

impl Message {
    /// Whether the receiver's home has to do with it, not its agent.
    #[must_use]
    pub(crate) fn is_for_home(&self) -> bool {
        matches!(
            self,
            Self::Get { .. }
                | Self::Note { .. }
                | Self::Dropped { .. }
                | Self::WriteBack { .. }
                | Self::Discard { .. }
                | Self::Recalled { .. }
                | Self::Adopt { .. }
                | Self::Adopted { .. }
                | Self::Yours { .. }
                | Self::Moved { .. }
                | Self::MovedKnown { .. }
                | Self::Report { .. }
                | Self::Unserved { .. }
                | Self::Claim { .. }
                | Self::Blank { .. }
                | Self::ReportsEnd
        )
    }

    /// What it carries of pages, if it is one that may.
    fn content(&self) -> Option<Content> {
        match *self {
            Self::Grant(Grant { content, .. })
            | Self::WriteBack { content, .. }
            | Self::Recalled { content, .. }
            | Self::Push { content, .. }
            | Self::Adopt { content, .. } => Some(content),
            _ => None,
        }
    }

    /// The pages whose bytes go with it: none but with [`Content::Bytes`].
    pub fn carried(&self) -> impl Iterator<Item = PageIndex> + use<> {
        let (page, mask) = match *self {
            _ if self.content() != Some(Content::Bytes) => (PageIndex(0), 0),
            Self::Grant(Grant { page, mask, .. }) => (page, mask),
            Self::WriteBack { page, .. }
            | Self::Recalled { page, .. }
            | Self::Push { page, .. }
            | Self::Adopt { page, .. } => (page, 1),
            _ => (PageIndex(0), 0),
        };
        (0..u64::from(LONGEST_RUN))
            .filter(move |bit| mask >> bit & 1 == 1)
            .map(move |bit| page.plus(bit))
    }

    /// Whether it may come late, or by way of others.
    #[must_use]
    pub fn is_hint(&self) -> bool {
        matches!(self, Self::Dropped { .. })
    }

    /// How many pages of bytes go with it.
    #[must_use]
    pub fn pages(&self) -> u32 {
        self.carried().count() as u32
    }

    /// The same message for pages that are all zeros, whose bytes need not go with it.
    #[must_use]
    pub fn of_zeros(mut self) -> Self {
        match &mut self {
            Self::Grant(Grant { content, .. })
            | Self::WriteBack { content, .. }
            | Self::Recalled { content, .. }
            | Self::Push { content, .. }
            | Self::Adopt { content, .. }
                if *content == Content::Bytes =>
            {
                *content = Content::Zero;
            }
            _ => {}
        }
        self
    }
}
