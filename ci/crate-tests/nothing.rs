//! Nothing: what counts here is the manifest.
