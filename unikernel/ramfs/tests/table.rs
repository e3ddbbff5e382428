//! The descriptor table.

#![allow(missing_docs)]

use darner_ramfs::{DescriptorTable, Error};

#[test]
fn the_lowest_free_number_is_given() {
    let mut table = DescriptorTable::new(1024);
    for number in 0..5 {
        assert_eq!(table.insert(number, 0), Ok(number));
    }
    assert_eq!(table.remove(1), Ok(1));
    assert_eq!(table.remove(3), Ok(3));
    assert_eq!(table.remove(3), Err(Error::BadDescriptor));
    assert_eq!(table.insert(10, 2), Ok(3));
    assert_eq!(table.insert(11, 0), Ok(1));
    assert_eq!(table.insert(12, 0), Ok(5));
    assert_eq!(table.insert(13, 100), Ok(100));
    assert_eq!(table.insert(14, 0), Ok(6));
    assert_eq!(table.get(100), Ok(&13));
    assert_eq!(table.get(99), Err(Error::BadDescriptor));
    for bad in [-1, i32::MIN, 101, i32::MAX] {
        assert_eq!(table.get(bad), Err(Error::BadDescriptor));
        assert_eq!(table.get_mut(bad), Err(Error::BadDescriptor));
        assert_eq!(table.remove(bad), Err(Error::BadDescriptor));
    }
}

#[test]
fn the_table_is_bounded() {
    let mut table = DescriptorTable::new(3);
    for number in 0..3 {
        assert_eq!(table.insert('x', 0), Ok(number));
    }
    assert_eq!(table.insert('y', 0), Err(('y', Error::TooManyOpen)));
    assert_eq!(table.insert('y', 7), Err(('y', Error::TooManyOpen)));
    table.remove(0).unwrap();
    assert_eq!(table.insert('z', 0), Ok(0));
}

#[test]
fn the_lowest_is_found_after_any_order() {
    let mut table = DescriptorTable::new(64);
    let mut used = std::collections::BTreeSet::new();
    let mut state = 1_u32;
    for _ in 0..20_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = (state >> 16) % 64;
        if state >> 31 == 0 {
            let from = if state & 1 << 30 == 0 {
                0
            } else {
                number as usize
            };
            let expected = (from as i32..64).find(|free| !used.contains(free));
            let found = table.insert((), from).ok();
            assert_eq!(found, expected, "from {from}");
            used.extend(found);
        } else {
            let was = used.remove(&(number as i32));
            assert_eq!(table.remove(number as i32).is_ok(), was);
        }
    }
}
