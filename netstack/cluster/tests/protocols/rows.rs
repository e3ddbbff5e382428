//! One thing at a time.

use crate::common::rows::ROWS;

#[test]
fn each_does_what_it_must() {
    for (name, row) in ROWS {
        println!("{name}");
        row();
    }
}
