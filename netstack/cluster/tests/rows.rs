//! One thing at a time.

mod common;

use common::rows::ROWS;

#[test]
fn each_does_what_it_must() {
    for (name, row) in ROWS {
        println!("{name}");
        row();
    }
}
