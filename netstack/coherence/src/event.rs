//! What happens to a node, and what it wants done.

use crate::homes::Slices;
use crate::ids::{Access, Epoch, NodeId, PageIndex, Rights, Token};
use crate::message::Packet;
use alloc::vec::Vec;

/// What happens to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A thread touched a page that it has no right to.
    Fault {
        /// Who waits.
        token: Token,
        /// The page.
        page: PageIndex,
        /// For what.
        access: Access,
    },
    /// A thread is done with the instruction that it last faulted at: what it was given for that need not stay until
    /// it has what it wants next. A node that says nothing of this is right, and does more than it need.
    Retired {
        /// Who.
        token: Token,
    },
    /// Threads will touch these pages: ask for them ahead, as far as nothing is under way for them.
    Prefetch {
        /// The first page.
        first: PageIndex,
        /// How many.
        pages: u64,
        /// For what.
        access: Access,
    },
    /// A packet arrived, whole and in the order in which `from` sent it.
    Received {
        /// Who sent it.
        from: NodeId,
        /// What was sent.
        packet: Packet,
    },
    /// An [`Action::Protect`] is done on all CPUs of the node.
    Protected {
        /// The page.
        page: PageIndex,
        /// Whether the page was written since it was mapped with [`Rights::Write`].
        dirt: Dirt,
    },
    /// The time of an [`Action::SetTimer`] has come.
    TimeOver {
        /// The page.
        page: PageIndex,
    },
    /// Memory is short: give up that many pages that are not in use right now.
    Pressure {
        /// How many.
        pages: usize,
    },
    /// A thread is about to wait for threads of other nodes, or to let them go on: what was written here will be
    /// wanted there, and what was read here may be written there.
    Release,
    /// This node is to leave, and its threads have ended: give up that many pages, whatever it may do with them, and homes of
    /// pages that have come here. What it could have written goes back to its home, so that nothing is missed when it is gone.
    /// To be said again until the node [has nothing](crate::Node::has_nothing).
    Depart {
        /// How many.
        pages: usize,
    },
    /// Another member [has nothing](crate::Node::has_nothing) any more, and has said so behind all else that it said. What it is
    /// taken for the owner of it has dropped unwritten.
    Departed {
        /// Which.
        node: NodeId,
    },
    /// Give up one page.
    Evict {
        /// The page.
        page: PageIndex,
    },
    /// A range of memory was freed. Nobody needs its bytes; it will read as zeros.
    Discard {
        /// Who waits for it.
        token: Token,
        /// The first page.
        first: PageIndex,
        /// How many.
        pages: u64,
    },
    /// This home is to give up the pages of a range to another node.
    MoveHome {
        /// The first page.
        first: PageIndex,
        /// How many.
        pages: u64,
        /// The home to be.
        to: NodeId,
    },
    /// The members of the cluster are others than before.
    View(View),
}

/// Who the members of the cluster are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The number of the view.
    pub epoch: Epoch,
    /// Its members, in order.
    pub members: Vec<NodeId>,
    /// The homes of the slices, all of them members. A slice leaves a home that has died, or that is to leave.
    pub slices: Slices,
}

/// What a page table says of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dirt {
    /// Not written since it was mapped.
    Clean,
    /// Written since it was mapped.
    Dirty,
}

/// What a node wants done, in this order.
///
/// A node has one frame for each page that it has bytes of, as a cache or as the page's home.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send a packet. If its message has [`Bytes`](crate::Content::Bytes), attach what the
    /// frames hold at this moment.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        packet: Packet,
    },
    /// Send a packet along with whatever else is sent, by way of any node, or not at all: it comes at any time, once at
    /// most, as said by this node.
    Hint {
        /// To whom.
        to: NodeId,
        /// What.
        packet: Packet,
    },
    /// Put the bytes that came with the packet just handled into the page's frame, which is
    /// to be made if there is none. With [`Zero`](crate::Content::Zero), fill it with zeros.
    Store {
        /// The page.
        page: PageIndex,
    },
    /// Forget the bytes: the page is all zeros from now on.
    Zero {
        /// The page.
        page: PageIndex,
    },
    /// Let the program have these rights, from now on. If there is no frame, make one of zeros.
    Map {
        /// The page.
        page: PageIndex,
        /// What it may do; never less than before.
        rights: Rights,
    },
    /// Take rights from the program, on all CPUs, and then say [`Event::Protected`].
    Protect {
        /// The page.
        page: PageIndex,
        /// What is left to it.
        rights: Rights,
    },
    /// The page's frame is not needed any more.
    Free {
        /// The page.
        page: PageIndex,
    },
    /// A thread's fault or discard is done.
    Wake {
        /// Who waited.
        token: Token,
        /// With what result.
        result: Result<(), Failure>,
    },
    /// Say [`Event::TimeOver`] when the time has come.
    SetTimer {
        /// The page.
        page: PageIndex,
        /// When.
        at: crate::ids::Time,
    },
    /// A peer said what the protocol does not allow; it was ignored.
    Refused {
        /// Who said it.
        from: NodeId,
        /// What is wrong with it.
        why: Violation,
    },
    /// The home of a page was not moved.
    NotMoved {
        /// The page.
        page: PageIndex,
        /// Why.
        why: MoveRefusal,
    },
}

/// Why a fault cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The only copy of the page died with its node.
    Lost,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// An answer to what was not asked.
    Unasked,
    /// A run or mask of no pages, or of more than may be named.
    BadRun,
    /// A sender that is not a member of the view.
    Stranger,
    /// A message that only comes with a change of view, at another time.
    OutOfPlace,
    /// A request to a node that is not the home of what it is about.
    NotHome,
    /// Numbers that do not go together.
    Malformed,
}

/// Why a page's home was not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MoveRefusal {
    /// Another node is its home.
    NotHome,
    /// It is moving already, or is to move to where it is.
    Moving,
    /// The table of moved pages is full.
    TableFull,
    /// The node that it should move to is no member of the view.
    Stranger,
}
