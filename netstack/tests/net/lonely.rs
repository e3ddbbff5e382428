//! Connections whose other end does not behave.
