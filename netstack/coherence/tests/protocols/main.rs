//! The protocols of pages, range locks and waiting places, driven by hand, at random, and in every order; and
//! with each guard taken out.
//!
//! One program, so that what surrounds the nodes is compiled once.
#![cfg_attr(
    not(feature = "mutants"),
    allow(dead_code, reason = "some of it is for guards that are taken out")
)]

mod common;
mod locking;
mod surroundings;
mod waiting;

mod adapting;
#[cfg(feature = "mutants")]
mod guards_of_pages;
#[cfg(feature = "mutants")]
mod guards_of_sync;
mod holds;
mod locks;
mod model;
mod parking;
mod programs;
mod ranges;
mod replicas;
mod rows;
mod schedules;
mod sync_hostile;
mod views;
