//! What all tests share: a world of nodes and links, and those who use them.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod check;
pub mod links;
pub mod model;
pub mod rows;
pub mod schedule;
pub mod users;
pub mod world;
