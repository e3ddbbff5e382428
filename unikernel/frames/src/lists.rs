//! The lists of free blocks, one for each order, linked through the blocks.

use crate::{Frame, MAX_ORDER, Order};

/// No frame: the end of a list.
const NONE: Frame = Frame::MAX;
const ORDERS: usize = MAX_ORDER as usize + 1;

/// What is kept in the first frame of a free block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Links {
    previous: Frame,
    next: Frame,
}

impl Links {
    /// Neighbours of a block: those of the two that there are.
    pub(crate) fn neighbours(self) -> impl Iterator<Item = Frame> {
        [self.previous, self.next]
            .into_iter()
            .filter(|&frame| frame != NONE)
    }
}

/// Access to free frames. Only frames that were added and are free are asked for, and
/// links are read from frames only to which they were written since.
pub trait FrameMemory {
    /// The links that were last written to `frame`.
    fn read_links(&self, frame: Frame) -> Links;

    /// Stores `links` in `frame`.
    fn write_links(&mut self, frame: Frame, links: Links);
}

/// The heads of the lists, and the orders that have one.
pub(crate) struct Lists {
    heads: [Frame; ORDERS],
    occupied: u32,
}

const _: () = assert!(ORDERS <= u32::BITS as usize);

impl Lists {
    pub const fn new() -> Self {
        Self {
            heads: [NONE; ORDERS],
            occupied: 0,
        }
    }

    /// A free block of the smallest order from `order` up that has one.
    pub fn smallest(&self, order: Order) -> Option<(Frame, Order)> {
        let order = (self.occupied >> order).trailing_zeros() + order;
        let &head = self.heads.get(order as usize)?;
        Some((head, order))
    }

    /// The largest order that has a free block.
    pub fn largest(&self) -> Option<Order> {
        self.occupied.checked_ilog2()
    }

    /// Puts the block first in the list of its order.
    pub fn push(&mut self, memory: &mut impl FrameMemory, frame: Frame, order: Order) {
        let next = self.heads[order as usize];
        let previous = NONE;
        memory.write_links(frame, Links { previous, next });
        if next != NONE {
            let links = memory.read_links(next);
            let previous = frame;
            memory.write_links(next, Links { previous, ..links });
        }
        self.heads[order as usize] = frame;
        self.occupied |= 1 << order;
    }

    /// Takes a block out of the list of its order. `links` are those in it.
    pub fn remove(
        &mut self,
        memory: &mut impl FrameMemory,
        Links { previous, next }: Links,
        order: Order,
    ) {
        if next != NONE {
            let links = memory.read_links(next);
            memory.write_links(next, Links { previous, ..links });
        }
        if previous != NONE {
            let links = memory.read_links(previous);
            memory.write_links(previous, Links { next, ..links });
        } else {
            self.heads[order as usize] = next;
            if next == NONE {
                self.occupied &= !(1 << order);
            }
        }
    }
}
