//! What a made-up node tells.

mod http;
mod json;
mod metrics;
mod told;
