//! What happens to a node, and what it wants done.

use crate::ids::{Address, Identity, Nanos};
use crate::message::{JoinRefusal, Packet};
use crate::port::PortNotice;
use crate::transaction::TransactionNotice;
use crate::view::View;
use darner_coherence::{Epoch, NodeId};

/// What happens to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The node starts. Said once, before anything else.
    Started,
    /// A packet arrived.
    Received {
        /// From which node.
        from: NodeId,
        /// What.
        packet: Packet,
    },
    /// There is a link to a node, and nothing has been sent on it. What was sent on the one before it and
    /// has not arrived never will.
    LinkUp {
        /// The node, as the link's handshake has proved.
        peer: Identity,
    },
    /// There is no link to a node any more. Nothing that was sent on it arrives after this.
    ///
    /// That a member is dead is noticed without it; that any other node is, is not.
    LinkDown {
        /// The node.
        peer: Identity,
    },
    /// The time of the last [`Action::SetTimer`] has come.
    TimeOver,
    /// The node stood still for so long that others may have spoken, and has not listened: whoever it heard before
    /// is not taken for dead before it has been silent for long from now on. What the node was promised
    /// does not last longer for that.
    StoodStill,
    /// The node is to be given nothing new, for it will leave. Others become the homes of its slices. While another one drains that
    /// began before, this waits until that has left.
    Drain,
    /// The node stops serving at once and for good, and leaves. Nobody waits for what it has: drain it first.
    Leave,
}

/// What a node wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send a packet, if there is a link. If there is none, forget it.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        packet: Packet,
    },
    /// Make a link to whoever is at this address, unless it is being made; and say
    /// [`Event::LinkUp`] when it is there.
    Connect {
        /// The address.
        to: Address,
    },
    /// Close the link to a node that is no member any more, after what was sent. [`Event::LinkDown`] need not be said.
    Disconnect {
        /// The node.
        peer: Identity,
    },
    /// Say [`Event::TimeOver`] at this time. Timers set before are off.
    SetTimer {
        /// When.
        at: Nanos,
    },
    /// Tell whom it concerns.
    Notify(Notice),
}

/// What a node tells its user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// About membership.
    Membership(MembershipNotice),
    /// About a transaction.
    Transaction(TransactionNotice),
    /// About a port or a proxy port.
    Port(PortNotice),
}

/// What a node tells its user about membership.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MembershipNotice {
    /// The node is in this view. None is left out: each follows from the one before.
    View(View),
    /// The node serves: its copies of cluster memory are current.
    Serving {
        /// In this view.
        epoch: Epoch,
    },
    /// The node does not serve: nothing that depends on cluster memory may be done or said.
    Stopped {
        /// Why.
        why: StopReason,
    },
    /// A seed cannot take this node in; it goes on asking.
    JoinRefused {
        /// Why.
        why: JoinRefusal,
    },
    /// The node is in no cluster any more, and does nothing more in this life.
    Ended {
        /// Why.
        why: EndReason,
    },
}

/// Why a node does not serve for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// It does not hear from enough members.
    NoMajority,
    /// It leaves.
    Leaving,
    /// It has ended.
    Ended,
}

/// Why a node is in no cluster any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// It wanted to leave.
    Left,
    /// The others took it for dead.
    Evicted,
    /// It did not hear from enough members for too long.
    NoMajority,
    /// No seed has taken it in.
    NotTakenIn {
        /// What was last said to it, if anything.
        why: Option<JoinRefusal>,
    },
}
