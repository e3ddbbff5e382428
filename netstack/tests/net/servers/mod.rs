//! What serves stacks on a wire, made of frames.

pub mod dhcp;
pub mod machine;
pub mod names;
pub mod router;
