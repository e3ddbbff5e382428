//! A doubly linked list whose links lie in its elements: nothing is allocated, and
//! an element leaves from any position in a few instructions.
//!
//! A list owns a count of each element ([`Arc`]) while the element is in it; the
//! count moves in and out with the element and is never changed on the way.
//!
//! An element knows where it is: each list has a number that no other ever has,
//! and writes it into the [`Links`] of what is in it. So a list takes out what is
//! its own and nothing else, and an element that is in a list is refused by others.
//! To be in two lists at once an element has two `Links`.
//!
//! Lists are data of one CPU ([`crate::CpuLocal`]), reached by shared references
//! and made of `Cell`s. So are the links of the elements: they belong to whoever
//! may touch the list that the element is in, and of an element in no list to its
//! owner. `Links` is not `Sync`; a type with links in it that is shared by CPUs says
//! `unsafe impl Sync`, and with that promises to hand its elements to the lists of
//! one CPU at a time.

use alloc::sync::Arc;
use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

/// An element's part of a list: a field of the element.
pub struct Links<T> {
    /// The element after this one; the first, if this is the last. Means something
    /// only while the element is in a list, as `previous` does.
    next: Cell<*const T>,
    /// The element before this one; the last, if this is the first.
    previous: Cell<*const T>,
    /// Where the element is.
    place: Cell<Place>,
}

// SAFETY: a list holds a count of what is in it and refers to it by address, so an
// element that is moved to another thread is in no list, and its pointers are
// never followed.
unsafe impl<T> Send for Links<T> {}

impl<T> Links<T> {
    /// The links of an element that is in no list.
    pub const fn new() -> Self {
        Self {
            next: Cell::new(ptr::null()),
            previous: Cell::new(ptr::null()),
            place: Cell::new(Place::NONE),
        }
    }

    /// Whether the element is in a list.
    #[inline(always)]
    pub fn is_linked(&self) -> bool {
        self.place.get() != Place::NONE
    }

    /// Where the element is.
    #[inline(always)]
    pub(crate) fn place(&self) -> Place {
        self.place.get()
    }
}

impl<T> Default for Links<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Which [`Links`] of an element a list uses.
///
/// # Safety
/// `links` returns a field of the element itself, the same one each time, and does
/// nothing else.
pub unsafe trait Adapter {
    /// What is listed.
    type Element;

    /// The links of `element` for this kind of list.
    fn links(element: &Self::Element) -> &Links<Self::Element>;
}

/// A list of counted elements; see the module.
pub struct List<A: Adapter> {
    id: Id,
    ring: Ring<A>,
}

impl<A: Adapter> List<A> {
    /// An empty list.
    pub fn new() -> Self {
        Self {
            id: Id::unique(),
            ring: Ring::new(),
        }
    }

    /// Whether nothing is in the list.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Whether `element` is in this list.
    #[inline(always)]
    pub fn contains(&self, element: &A::Element) -> bool {
        self.id.index_of(A::links(element).place()).is_some()
    }

    /// Puts `element` at the end.
    ///
    /// # Panics
    /// When the element's links are in a list already.
    #[inline]
    pub fn push_back(&self, element: Arc<A::Element>) {
        self.ring.push_back(element, self.id.place(0));
    }

    /// Puts `element` at the beginning.
    ///
    /// # Panics
    /// When the element's links are in a list already.
    #[inline]
    pub fn push_front(&self, element: Arc<A::Element>) {
        self.ring.push_front(element, self.id.place(0));
    }

    /// Takes the first element out.
    #[inline]
    pub fn pop_front(&self) -> Option<Arc<A::Element>> {
        self.ring.pop_front()
    }

    /// Takes the last element out.
    #[inline]
    pub fn pop_back(&self) -> Option<Arc<A::Element>> {
        self.ring.pop_back()
    }

    /// Takes the first element out for which `is_it` says so; `is_it` leaves the list
    /// alone. Takes time in proportion to those before it.
    #[inline]
    pub fn take_first(&self, is_it: impl FnMut(&A::Element) -> bool) -> Option<Arc<A::Element>> {
        self.ring.take_first(is_it)
    }

    /// Takes `element` out; `None` when it is not in this list.
    #[inline]
    pub fn remove(&self, element: &A::Element) -> Option<Arc<A::Element>> {
        if !self.contains(element) {
            return None;
        }
        // SAFETY: only this list writes its number into links, while the element is
        // in its ring.
        Some(unsafe { self.ring.remove(element) })
    }
}

impl<A: Adapter> Default for List<A> {
    fn default() -> Self {
        Self::new()
    }
}

/// The number of a list, or of a structure of many: no two ever have the same.
pub(crate) struct Id(u64);

/// Where an element is: the number of a structure and, in the low bits, which of
/// the structure's rings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u64);

/// Bits of a place that say which ring.
const INDEX_BITS: u32 = 16;

impl Id {
    /// A number not given out before.
    pub fn unique() -> Self {
        // Not of `crate::sync`: no memory is published by it, and loom has nothing
        // to try here.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed) << INDEX_BITS)
    }

    /// The place in ring `index` of this structure; the index is less than 65,536.
    #[inline(always)]
    pub fn place(&self, index: usize) -> Place {
        debug_assert!(index < 1 << INDEX_BITS);
        Place(self.0 | index as u64)
    }

    /// The ring of `place`, if that is a place in this structure.
    #[inline(always)]
    pub fn index_of(&self, place: Place) -> Option<usize> {
        let index = place.0 ^ self.0;
        (index < 1 << INDEX_BITS).then_some(index as usize)
    }
}

impl Place {
    /// Of elements that are in no list. Numbers of structures begin with 1.
    pub const NONE: Self = Self(0);
}

/// The elements of a list without the list's number, in one word: several rings
/// make up a structure with one number.
///
/// The elements are linked in a circle. All pointers in it, and `first`, come from
/// `Arc::into_raw`, each with the count that the ring owns.
pub(crate) struct Ring<A: Adapter> {
    /// Null when the ring is empty.
    first: Cell<*const A::Element>,
}

// SAFETY: a ring owns counted references to its elements. Their links are touched
// through the ring alone while they are in it.
unsafe impl<A: Adapter> Send for Ring<A> where A::Element: Send + Sync {}

impl<A: Adapter> Ring<A> {
    /// An empty ring.
    pub const fn new() -> Self {
        Self {
            first: Cell::new(ptr::null()),
        }
    }

    /// Whether nothing is in the ring.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first.get().is_null()
    }

    /// Puts `element` at the end and notes in it that it is at `place`.
    #[inline(always)]
    pub fn push_back(&self, element: Arc<A::Element>, place: Place) {
        self.link(element, place);
    }

    /// Puts `element` at the beginning and notes in it that it is at `place`.
    #[inline(always)]
    pub fn push_front(&self, element: Arc<A::Element>, place: Place) {
        self.first.set(self.link(element, place));
    }

    /// Puts `element` between the last and the first. If there are none, it is both.
    #[inline(always)]
    fn link(&self, element: Arc<A::Element>, place: Place) -> *const A::Element {
        if A::links(&element).is_linked() {
            refuse();
        }
        let element = Arc::into_raw(element);
        // SAFETY: the count taken out of the `Arc` keeps the element.
        let links = A::links(unsafe { &*element });
        links.place.set(place);
        let first = self.first.get();
        if first.is_null() {
            links.next.set(element);
            links.previous.set(element);
            self.first.set(element);
        } else {
            // SAFETY: it is in this ring, so the ring's count keeps it.
            let before_first = &A::links(unsafe { &*first }).previous;
            let last = before_first.replace(element);
            links.next.set(first);
            links.previous.set(last);
            // SAFETY: as for the first.
            A::links(unsafe { &*last }).next.set(element);
        }
        element
    }

    /// Takes the first element out.
    #[inline(always)]
    pub fn pop_front(&self) -> Option<Arc<A::Element>> {
        let first = self.first.get();
        // SAFETY: what `first` points to is in the ring.
        (!first.is_null()).then(|| unsafe { self.unlink(first) })
    }

    /// Takes the first element out, as [`Arc::into_raw`] gives it; null when there is
    /// none. Calls `emptied` if it was the only one.
    #[inline(always)]
    pub fn pop_front_raw(&self, emptied: impl FnOnce()) -> *const A::Element {
        let first = self.first.get();
        if !first.is_null() {
            // SAFETY: what `first` points to is in the ring.
            unsafe { self.unlink_raw(first, emptied) };
        }
        first
    }

    /// Takes the last element out.
    #[inline(always)]
    pub fn pop_back(&self) -> Option<Arc<A::Element>> {
        let first = self.first.get();
        if first.is_null() {
            return None;
        }
        // SAFETY: the ring's count keeps the first element; the one before it is the
        // last of the same ring.
        Some(unsafe { self.unlink(A::links(&*first).previous.get()) })
    }

    /// Takes the first element out for which `is_it` says so.
    #[inline(always)]
    fn take_first(&self, mut is_it: impl FnMut(&A::Element) -> bool) -> Option<Arc<A::Element>> {
        let first = self.first.get();
        if first.is_null() {
            return None;
        }
        let mut at = first;
        loop {
            // SAFETY: it is in this ring, so the ring's count keeps it.
            let element = unsafe { &*at };
            if is_it(element) {
                // SAFETY: as above.
                return Some(unsafe { self.unlink(at) });
            }
            at = A::links(element).next.get();
            if ptr::eq(at, first) {
                return None;
            }
        }
    }

    /// Takes `element` out.
    ///
    /// # Safety
    /// The element is in this ring.
    #[inline(always)]
    pub unsafe fn remove(&self, element: &A::Element) -> Arc<A::Element> {
        // The pointer must be the one from `Arc::into_raw`, which may reach the
        // count as well; a neighbour has it.
        // SAFETY: the neighbour is in this ring, so the ring's count keeps it; what
        // comes after it is the element.
        unsafe {
            let previous = A::links(element).previous.get();
            self.unlink(A::links(&*previous).next.get())
        }
    }

    /// Takes `element` out.
    ///
    /// # Safety
    /// The pointer is from this ring.
    #[inline(always)]
    unsafe fn unlink(&self, element: *const A::Element) -> Arc<A::Element> {
        // SAFETY: as the caller says; the pointer is from `Arc::into_raw`, and the count
        // that the ring owned goes to the caller.
        unsafe {
            self.unlink_raw(element, || ());
            Arc::from_raw(element)
        }
    }

    /// Takes `element` out; its count is the caller's then. Calls `emptied` if it was
    /// the only one.
    ///
    /// # Safety
    /// The pointer is from this ring.
    #[inline(always)]
    unsafe fn unlink_raw(&self, element: *const A::Element, emptied: impl FnOnce()) {
        // SAFETY: it is in this ring, so the ring's count keeps it.
        let links = A::links(unsafe { &*element });
        let next = links.next.get();
        if ptr::eq(next, element) {
            self.first.set(ptr::null());
            emptied();
        } else {
            let previous = links.previous.get();
            // SAFETY: neighbours are in this ring.
            unsafe {
                A::links(&*next).previous.set(previous);
                A::links(&*previous).next.set(next);
            }
            if ptr::eq(self.first.get(), element) {
                self.first.set(next);
            }
        }
        links.place.set(Place::NONE);
    }

    /// All elements, in their order, out of this ring. They keep their places: until
    /// each is popped, nobody may ask where it is.
    pub fn take(&self) -> Self {
        Self {
            first: Cell::new(self.first.replace(ptr::null())),
        }
    }

    /// The least `key` of all elements; `None` when there are none, or more than
    /// `limit`. `key` leaves the ring alone.
    pub fn least(&self, limit: usize, key: impl Fn(&A::Element) -> u64) -> Option<u64> {
        let first = self.first.get();
        if first.is_null() {
            return None;
        }
        let mut least = u64::MAX;
        let mut at = first;
        for _ in 0..limit {
            // SAFETY: it is in this ring, which does not change meanwhile.
            let element = unsafe { &*at };
            least = least.min(key(element));
            at = A::links(element).next.get();
            if ptr::eq(at, first) {
                return Some(least);
            }
        }
        None
    }
}

impl<A: Adapter> Drop for Ring<A> {
    /// Gives back the counts.
    fn drop(&mut self) {
        while self.pop_front().is_some() {}
    }
}

/// For an element that is in a list already; kept out of the way of those that push.
#[cold]
#[inline(never)]
pub(crate) fn refuse() -> ! {
    panic!("an element that is in a list was put into a list: take it out of the first one before")
}

#[cfg(all(test, not(loom)))]
mod tests;
