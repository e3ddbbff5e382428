//! The report of a page whose only copy was on a node that is gone.

use core::fmt::{self, Display, Formatter};

use super::nodes;
use crate::layout;
use crate::{boot, control, panic};

/// Ends the program, on all nodes, because it touched memory at `address` that is lost. Thread context, no
/// lock held.
pub fn report(address: u64) -> ! {
    if let Some(address) = boot::link_address_of_variable(address) {
        control::record(format_args!("variable {address:x}"));
    }
    panic::lost_everywhere(format_args!(
        "the program needs the memory at {address:#x} ({}), of which the only copy was on a node that is gone: {}",
        Place(address),
        Gone
    ))
}

/// What memory is, by its address.
struct Place(u64);

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(node) = layout::slice_at(self.0) else {
            return f.write_str("a variable of the program");
        };
        match self.0 < layout::slice(node).regions {
            true => write!(f, "the heap of node {node}"),
            false => write!(f, "a thread's stack or a mapping of node {node}"),
        }
    }
}

/// The nodes that are gone.
struct Gone;

impl Display for Gone {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, node) in nodes::gone().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}node {}", node.0)?;
        }
        Ok(())
    }
}
