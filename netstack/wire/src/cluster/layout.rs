//! The parts of packets about membership, transactions and ports. All numbers are little-endian.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? },)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
            #[repr(C)]
            pub(super) struct $name {
                $(pub(super) $field: $type,)*
            }
        )*
    };
}

parts! {
    /// How all begin, behind version, flags and kind.
    Head {
        unused: U16,
        epoch: U32,
        sender: U64,
        receiver: U64,
    },
    MemberPart {
        node: U16,
        incarnation: U64,
        ip: [u8; 16],
        port: U16,
        standing: u8,
    },
    /// A view, which as many members and slots follow.
    ViewPart {
        cluster: U64,
        epoch: U32,
        unused_home: U16,
        tie_break: u8,
        members: u8,
        slots: u8,
    },
    SlotPart {
        node: U16,
        home: U16,
        last: U64,
    },
    BallotPart {
        round: U32,
        node: U16,
    },
    RefusedPart {
        joiner: U16,
        incarnation: U64,
        why: u8,
    },
    HeartbeatPart {
        sent: U64,
        hears: U64,
    },
    PayloadPart {
        command: U32,
        words: [U64; 4],
    },
    RequestPart {
        sequence: U64,
        received: U64,
        port: U64,
    },
    AnswerPart {
        number: U64,
        sequence: U64,
        answer: u8,
    },
}
