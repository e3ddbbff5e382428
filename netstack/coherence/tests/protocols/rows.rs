//! Exactly how many messages, hops and copies of pages each operation takes.

use crate::common::rows;

#[test]
fn row_01_read_miss_clean_at_home() {
    rows::row_01_read_miss_clean_at_home();
}

#[test]
fn row_02_read_miss_held_elsewhere() {
    rows::row_02_read_miss_held_elsewhere();
}

#[test]
fn row_02_read_miss_held_elsewhere_unwritten() {
    rows::row_02_read_miss_held_elsewhere_unwritten();
}

#[test]
fn row_02_readers_after_the_first() {
    rows::row_02_readers_after_the_first();
}

#[test]
fn row_03_write_miss_unshared() {
    rows::row_03_write_miss_unshared();
}

#[test]
fn row_04_write_miss_with_sharers() {
    rows::row_04_write_miss_with_sharers();
}

#[test]
fn row_05_write_miss_held_elsewhere() {
    rows::row_05_write_miss_held_elsewhere();
}

#[test]
fn row_06_upgrade_with_sharers() {
    rows::row_06_upgrade_with_sharers();
}

#[test]
fn row_07_upgrade_at_home() {
    rows::row_07_upgrade_at_home();
}

#[test]
fn row_08_private_page_read_then_written() {
    rows::row_08_private_page_read_then_written();
}

#[test]
fn row_09_migratory_hand_off() {
    rows::row_09_migratory_hand_off();
}

#[test]
fn row_10_page_homed_here_and_never_shared() {
    rows::row_10_page_homed_here_and_never_shared();
}

#[test]
fn row_11_evict_clean() {
    rows::row_11_evict_clean();
}

#[test]
fn row_12_evict_dirty() {
    rows::row_12_evict_dirty();
}

#[test]
fn prefetched_pages_cost_their_request_only() {
    rows::prefetched_pages_cost_their_request_only();
}

#[test]
fn streams_of_what_the_home_has_written_come_in_runs() {
    rows::streams_of_what_the_home_has_written_come_in_runs();
}

#[test]
fn race_upgrade_of_a_holder_that_gave_the_page_away() {
    rows::race_upgrade_of_a_holder_that_gave_the_page_away();
}

#[test]
fn race_a_moved_page_that_its_owner_has_dropped_outlives_another_node() {
    rows::race_a_moved_page_that_its_owner_has_dropped_outlives_another_node();
}

#[test]
fn race_a_moved_page_is_lost_with_the_node_that_gave_it_away() {
    rows::race_a_moved_page_is_lost_with_the_node_that_gave_it_away();
}

#[test]
fn race_a_write_back_is_lost_with_the_home_that_it_went_by_way_of() {
    rows::race_a_write_back_is_lost_with_the_home_that_it_went_by_way_of();
}

#[test]
fn race_an_old_write_back_comes_after_a_new_one() {
    rows::race_an_old_write_back_comes_after_a_new_one();
}
