//! Lists by hand: order, ownership, and what belongs where.

use std::sync::Arc;

use super::{Adapter, Links, List};

/// Can be in two lists at once.
struct Item {
    name: u32,
    left: Links<Item>,
    right: Links<Item>,
}

struct Left;
struct Right;

// SAFETY: returns a field, always the same.
unsafe impl Adapter for Left {
    type Element = Item;
    fn links(element: &Item) -> &Links<Item> {
        &element.left
    }
}

// SAFETY: returns a field, always the same.
unsafe impl Adapter for Right {
    type Element = Item;
    fn links(element: &Item) -> &Links<Item> {
        &element.right
    }
}

#[allow(clippy::arc_with_non_send_sync, reason = "lists own an Arc")]
fn item(name: u32) -> Arc<Item> {
    Arc::new(Item {
        name,
        left: Links::new(),
        right: Links::new(),
    })
}

fn names<A: Adapter<Element = Item>>(list: &List<A>) -> Vec<u32> {
    std::iter::from_fn(|| list.pop_front())
        .map(|element| element.name)
        .collect()
}

#[test]
fn both_ends() {
    let list = List::<Left>::new();
    assert!(list.is_empty() && list.pop_front().is_none() && list.pop_back().is_none());
    list.push_back(item(2));
    list.push_back(item(3));
    list.push_front(item(1));
    list.push_back(item(4));
    assert_eq!(list.pop_back().unwrap().name, 4);
    assert_eq!(names(&list), [1, 2, 3]);
    assert!(list.is_empty());
}

#[test]
fn removal_at_any_position() {
    for removed in 0..4 {
        let list = List::<Left>::new();
        let items: Vec<_> = (0..4).map(item).collect();
        for item in &items {
            list.push_back(item.clone());
        }
        let out = list.remove(&items[removed]).unwrap();
        assert!(Arc::ptr_eq(&out, &items[removed]));
        assert!(!out.left.is_linked());
        assert!(list.remove(&items[removed]).is_none());
        list.push_back(out);
        let mut expected = vec![0, 1, 2, 3];
        expected.retain(|&name| name != removed as u32);
        expected.push(removed as u32);
        assert_eq!(names(&list), expected);
    }
}

#[test]
fn the_first_that_is_asked_for() {
    let list = List::<Left>::new();
    assert!(list.take_first(|_| true).is_none());
    for name in [1, 2, 3, 2] {
        list.push_back(item(name));
    }
    let twos = list.take_first(|item| item.name == 2).unwrap();
    assert!(!twos.left.is_linked());
    assert!(list.take_first(|item| item.name == 4).is_none());
    assert_eq!(list.take_first(|item| item.name < 4).unwrap().name, 1);
    assert_eq!(names(&list), [3, 2]);
}

#[test]
fn the_last_reference_may_be_the_lists() {
    let list = List::<Left>::new();
    list.push_back(item(1));
    list.push_back(item(2));
    assert_eq!(Arc::strong_count(&list.pop_front().unwrap()), 1);
    assert_eq!(names(&list), [2]);
}

#[test]
fn in_two_lists_by_two_links() {
    let left = List::<Left>::new();
    let right = List::<Right>::new();
    let items: Vec<_> = (0..3).map(item).collect();
    for item in &items {
        left.push_back(item.clone());
        right.push_front(item.clone());
        assert_eq!(Arc::strong_count(item), 3);
    }
    assert!(left.remove(&items[1]).is_some());
    assert!(right.contains(&items[1]) && !left.contains(&items[1]));
    assert_eq!(names(&left), [0, 2]);
    assert_eq!(names(&right), [2, 1, 0]);
    assert!(items.iter().all(|item| Arc::strong_count(item) == 1));
}

#[test]
fn a_list_leaves_alone_what_is_in_another() {
    let one = List::<Left>::new();
    let other = List::<Left>::new();
    let item = item(1);
    one.push_back(item.clone());
    assert!(other.remove(&item).is_none());
    // A list may move while elements are in it.
    let moved = Box::new(one);
    assert!(moved.contains(&item) && !other.contains(&item));
    assert!(moved.remove(&item).is_some());
    other.push_back(item.clone());
    assert!(other.contains(&item) && !moved.contains(&item));
}

#[test]
#[should_panic(expected = "in a list was put into a list")]
fn in_one_list_at_a_time() {
    let item = item(1);
    let list = List::<Left>::new();
    list.push_back(item.clone());
    List::<Left>::new().push_back(item);
}

#[test]
fn a_dropped_list_gives_back_its_elements() {
    let items: Vec<_> = (0..3).map(item).collect();
    let list = List::<Left>::new();
    for item in &items {
        list.push_back(item.clone());
    }
    drop(list);
    for item in &items {
        assert_eq!(Arc::strong_count(item), 1);
        assert!(!item.left.is_linked());
    }
}
