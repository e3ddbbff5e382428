//! What the byte of a frame says.

use crate::Order;

/// What starts at a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing: the frame is inside of a block.
    Inside,
    /// A block that somebody has.
    Allocated(Order),
    /// A block in the list of its order.
    Free(Order),
}

const ALLOCATED: u8 = 0x40;
const FREE: u8 = 0x80;
const ORDER: u8 = 0x3f;

impl State {
    /// The byte of a frame that is inside.
    pub const INSIDE: u8 = 0;

    pub fn from_byte(byte: u8) -> Self {
        let order = Order::from(byte & ORDER);
        match byte & !ORDER {
            ALLOCATED => Self::Allocated(order),
            FREE => Self::Free(order),
            _ => Self::Inside,
        }
    }

    pub fn byte(self) -> u8 {
        match self {
            Self::Inside => Self::INSIDE,
            Self::Allocated(order) => ALLOCATED | order as u8,
            Self::Free(order) => FREE | order as u8,
        }
    }
}
