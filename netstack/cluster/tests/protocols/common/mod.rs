//! What all tests share: a world of nodes and links, and those who use them.

pub mod check;
pub mod links;
pub mod model;
pub mod rows;
pub mod schedule;
pub mod users;
pub mod world;
