//! Memory of a host for the links of free frames, which counts what is done to it.

#![allow(dead_code, reason = "not every test looks at everything")]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use darner_frames::{Frame, FrameMemory, Links};

/// What is in the memory and has been done to it.
#[derive(Default)]
pub struct Counts {
    /// What was last written to each frame that was ever touched.
    pub links: RefCell<HashMap<Frame, Links>>,
    /// Reads and writes of links.
    pub accesses: Cell<u64>,
}

impl Counts {
    /// How many frames have been written to at some time.
    pub fn touched(&self) -> u64 {
        self.links.borrow().len() as u64
    }

    fn count(&self) {
        self.accesses.set(self.accesses.get() + 1);
    }
}

/// Links by frame.
pub struct Memory(Rc<Counts>);

impl Memory {
    /// No frame has been touched.
    pub fn new() -> (Self, Rc<Counts>) {
        let counts = Rc::<Counts>::default();
        (Self(Rc::clone(&counts)), counts)
    }
}

impl FrameMemory for Memory {
    fn read_links(&self, frame: Frame) -> Links {
        self.0.count();
        self.0.links.borrow()[&frame]
    }

    fn write_links(&mut self, frame: Frame, links: Links) {
        self.0.count();
        self.0.links.borrow_mut().insert(frame, links);
    }
}

/// A table for `frames`, with rubbish in it, as fresh RAM may have.
pub fn table(frames: u64) -> &'static mut [u8] {
    let bytes: Vec<u8> = (0..frames).map(|index| (index * 37 + 0x40) as u8).collect();
    Vec::leak(bytes)
}
