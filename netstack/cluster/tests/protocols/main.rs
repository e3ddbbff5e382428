//! Membership, transactions and ports, driven by hand, at random, and in every order; and with each guard
//! taken out.
//!
//! One program, so that what surrounds the nodes is compiled once.
#![cfg_attr(
    not(feature = "mutants"),
    allow(dead_code, reason = "some of it is for guards that are taken out")
)]

mod common;

#[cfg(feature = "mutants")]
mod guards;
mod model;
mod rows;
mod schedules;
