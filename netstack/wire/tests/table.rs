//! The table in the documentation is what is done.

mod common;

use common::{cluster, kinds, locks, parking};

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

/// Kinds and names of those that are not of one length.
fn rows_of_parts() -> Vec<(u8, String)> {
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let kind = u8::from_str_radix(cells.next()?.strip_prefix("0x")?, 16).ok()?;
        let name = cells.next()?.trim_matches('`').to_owned();
        cells
            .next()?
            .parse::<usize>()
            .is_err()
            .then_some((kind, name))
    };
    TABLE.lines().filter_map(row).collect()
}

#[test]
fn every_kind_of_parts_is_in_the_table() {
    let cluster = cluster::kinds().into_iter();
    let cluster = cluster.map(|(kind, _)| (kind as u8, format!("{kind:?}")));
    let locks = locks::kinds().into_iter();
    let locks = locks.map(|(kind, _)| (kind as u8, format!("{kind:?}")));
    let parking = parking::kinds().into_iter();
    let parking = parking.map(|(kind, _)| (kind as u8, format!("{kind:?}")));
    let expected: Vec<_> = cluster.chain(locks).chain(parking).collect();
    assert_eq!(rows_of_parts(), expected);
}

#[test]
fn every_kind_is_in_the_table() {
    let expected: Vec<_> = kinds()
        .into_iter()
        .map(|(kind, _)| (kind.number(), format!("{kind:?}"), kind.header_bytes()))
        .collect();
    assert_eq!(rows(), expected);
}
