//! Where the fields of headers are. All numbers are little-endian.
//!
//! Every header begins with the same 8 bytes, and every one about a page goes on with the same 8.

use crate::fields::Fields;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// How all headers begin.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub(crate) struct Prefix {
    /// The version in the upper half, flags in the lower.
    pub(crate) version_and_flags: u8,
    pub(crate) kind: u8,
    /// A number of pages or of answers.
    pub(crate) count: U16,
    pub(crate) epoch: U32,
}

/// A page, and beside it a node or a mask.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub(crate) struct PageWord {
    pub(crate) index: [u8; 6],
    pub(crate) beside: U16,
}

macro_rules! layouts {
    ($($name:ident { $($field:ident: $type:ty),* },)*) => {
        $(
            #[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
            #[repr(C)]
            struct $name {
                prefix: Prefix,
                $($field: $type,)*
            }
        )*

        /// Which fields a header has, in this order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Layout {
            $($name,)*
        }

        /// The most bytes that a header has.
        pub const LONGEST_HEADER: usize = {
            let mut most = 0;
            $(
                if size_of::<$name>() > most {
                    most = size_of::<$name>();
                }
            )*
            most
        };

        impl Layout {
            pub(crate) const fn size(self) -> usize {
                match self {
                    $(Self::$name => size_of::<$name>(),)*
                }
            }

            /// The fields that `header` has, all others zero. Nothing if it is too short.
            pub(crate) fn read(self, header: &[u8]) -> Option<Fields> {
                match self {
                    $(Self::$name => {
                        let (header, _) = $name::ref_from_prefix(header).ok()?;
                        Some(Fields {
                            prefix: header.prefix,
                            $($field: header.$field,)*
                            ..Fields::default()
                        })
                    })*
                }
            }

            /// Puts the fields that a header has into the first bytes of `to`.
            pub(crate) fn write(self, fields: &Fields, to: &mut [u8; LONGEST_HEADER]) {
                match self {
                    $(Self::$name => {
                        let header = $name {
                            prefix: fields.prefix,
                            $($field: fields.$field,)*
                        };
                        to[..size_of::<$name>()].copy_from_slice(header.as_bytes());
                    })*
                }
            }
        }
    };
}

layouts! {
    Bare {},
    Paged { page: PageWord },
    Numbered { page: PageWord, id: U32 },
    Seen { page: PageWord, id: U32, seen: U32 },
    Dated { page: PageWord, serial: U64 },
    NumberedDated { page: PageWord, id: U32, serial: U64 },
    TwiceDated { page: PageWord, serial: U64, clock: U64 },
    SeenDated { page: PageWord, id: U32, seen: U32, serial: U64 },
}

const _: () = assert!(
    LONGEST_HEADER <= 32,
    "a header should not be longer than half a cache line"
);
