//! Wrong calls are refused, and nothing has changed then.

use darner_frames::{AddError, Buddy, FreeError, MAX_ORDER, MOST_SEGMENTS};

mod common;

use common::{Memory, table};

fn buddy() -> Buddy<'static, Memory> {
    let mut buddy = Buddy::new(Memory::new().0);
    buddy.add(1000..3000, table(2000)).unwrap();
    buddy
}

#[test]
fn free_of_what_is_not_allocated() {
    let mut buddy = buddy();
    assert_eq!(
        buddy.free(1024, 0),
        Err(FreeError::NotOurs),
        "before any use"
    );
    let block = buddy.allocate(5).unwrap();
    assert!(block.is_multiple_of(64), "a larger block could start there");
    for frame in [0, 999, 3000, 2999, u64::MAX] {
        assert_eq!(buddy.free(frame, 0), Err(FreeError::NotOurs), "{frame}");
    }
    assert_eq!(buddy.free(block, MAX_ORDER + 1), Err(FreeError::NotABlock));
    assert_eq!(buddy.free(block, u32::MAX), Err(FreeError::NotABlock));
    assert_eq!(buddy.free(block + 1, 1), Err(FreeError::NotABlock));
    assert_eq!(buddy.free(block, 6), Err(FreeError::PartlyFree));
    assert_eq!(buddy.free(block, 5), Ok(()));
    for order in 0..=6 {
        assert_eq!(buddy.free(block, order), Err(FreeError::AlreadyFree));
    }
    assert_eq!(buddy.free(block + 8, 3), Err(FreeError::AlreadyFree));
    assert_eq!(buddy.free_frames(), buddy.total());
}

#[test]
fn parts_of_a_block_are_freed_once() {
    let mut buddy = buddy();
    let block = buddy.allocate(6).unwrap();
    assert_eq!(buddy.free(block + 5, 0), Ok(()));
    assert_eq!(buddy.free(block + 5, 0), Err(FreeError::AlreadyFree));
    assert_eq!(buddy.free(block + 4, 1), Err(FreeError::PartlyFree));
    assert_eq!(buddy.free(block, 6), Err(FreeError::PartlyFree));
    assert_eq!(buddy.free(block + 32, 5), Ok(()));
    for frame in (block..block + 32).filter(|&frame| frame != block + 5) {
        assert_eq!(buddy.free(frame, 0), Ok(()), "{}", frame - block);
    }
    assert_eq!(
        buddy.allocate(6),
        Some(block),
        "the parts are one block again"
    );
}

#[test]
fn blocks_are_freed_as_the_one_they_make_up() {
    let mut buddy = Buddy::new(Memory::new().0);
    buddy.add(64..128, table(64)).unwrap();
    let parts = [5, 4, 3, 2, 1, 0, 0].map(|order| buddy.allocate(order).unwrap());
    assert_eq!(buddy.free(parts[3], 2), Ok(()));
    assert_eq!(buddy.free(64, 6), Err(FreeError::PartlyFree));
    assert_eq!(
        buddy.free(parts[0], 5),
        Ok(()),
        "a refused free has changed something"
    );
    assert_eq!(
        [5, 2].map(|order| buddy.allocate(order).is_some()),
        [true; 2]
    );
    assert_eq!(buddy.free(64, 6), Ok(()));
    assert_eq!(buddy.free(64, 6), Err(FreeError::AlreadyFree));
    assert_eq!(buddy.free_frames(), 64);
    assert_eq!(buddy.allocate(6), Some(64));
}

#[test]
fn segments_that_cannot_be() {
    let mut buddy = buddy();
    assert_eq!(buddy.add(5..5, &mut []), Err(AddError::Empty));
    #[expect(clippy::reversed_empty_ranges)]
    let reversed = 6..5;
    assert_eq!(buddy.add(reversed, &mut []), Err(AddError::Empty));
    assert_eq!(buddy.add(5..7, table(1)), Err(AddError::StatesLength));
    for (start, end) in [
        (999, 1001),
        (2999, 3001),
        (1500, 1600),
        (0, 4000),
        (1000, 3000),
    ] {
        let added = buddy.add(start..end, table(end - start));
        assert_eq!(added, Err(AddError::Overlap), "{start}..{end}");
    }
    for n in 1..MOST_SEGMENTS as u64 {
        assert_eq!(buddy.add(3000 + n..3001 + n, table(1)), Ok(()));
    }
    assert_eq!(buddy.add(0..1, table(1)), Err(AddError::TooMany));
    assert_eq!(buddy.total(), 2000 + MOST_SEGMENTS as u64 - 1);
}

#[test]
#[should_panic(expected = "the free frame 0x6 was written to")]
fn a_link_to_a_frame_in_use_is_not_followed() {
    let (memory, counts) = Memory::new();
    let mut buddy = Buddy::new(memory);
    buddy.add(0..8, table(8)).unwrap();
    while buddy.allocate(0).is_some() {}
    for frame in [2, 4, 6] {
        buddy.free(frame, 0).unwrap();
    }
    let stale = counts.links.borrow()[&6];
    assert_eq!((buddy.allocate(0), buddy.allocate(0)), (Some(6), Some(4)));
    buddy.free(6, 0).unwrap();
    counts.links.borrow_mut().insert(6, stale);
    buddy.allocate(0);
}
