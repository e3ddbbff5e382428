//! The table in the documentation is what is done.

mod common;

use common::kinds;

const TABLE: &str = include_str!("../../../docs/wire.md");

/// Kind, name and bytes of each row that has them.
fn rows() -> Vec<(u8, String, usize)> {
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let kind = u8::from_str_radix(cells.next()?.strip_prefix("0x")?, 16).ok()?;
        let name = cells.next()?.trim_matches('`').to_owned();
        Some((kind, name, cells.next()?.parse().ok()?))
    };
    TABLE.lines().filter_map(row).collect()
}

#[test]
fn every_kind_is_in_the_table() {
    let expected: Vec<_> = kinds()
        .into_iter()
        .map(|(kind, _)| (kind.number(), format!("{kind:?}"), kind.header_bytes()))
        .collect();
    assert_eq!(rows(), expected);
}
