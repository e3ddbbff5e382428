//! What serves stacks on a wire, made of frames.
