//! A vector on pages of its own.

use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::slice;

use crate::PAGE_BYTES;

/// A page's bytes, of which nothing is known.
#[repr(C, align(4096))]
struct Page([MaybeUninit<u8>; PAGE_BYTES]);

/// A vector that begins at a page's first byte, with nothing else on its pages: see
/// [`PageAligned`](crate::PageAligned), which also gives each element pages of its own:
/// `PageVec<PageAligned<T>>`.
///
/// It is a slice wherever one is wanted.
///
/// ```
/// use darner::PageVec;
///
/// let mut numbers: PageVec<u64> = (0..1000).collect();
/// numbers.push(1000);
/// assert_eq!(numbers.as_ptr().addr() % 4096, 0);
/// assert_eq!(numbers.iter().sum::<u64>(), 500_500);
/// ```
pub struct PageVec<T> {
    /// Its length is its capacity. The first `len` elements of type `T` are in it, one behind the other.
    pages: Vec<Page>,
    len: usize,
    elements: PhantomData<T>,
}

impl<T> Default for PageVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> PageVec<T> {
    /// None; takes no memory.
    pub const fn new() -> Self {
        const {
            assert!(
                align_of::<T>() <= PAGE_BYTES,
                "pages are aligned to 4096 bytes"
            )
        };
        Self {
            pages: Vec::new(),
            len: 0,
            elements: PhantomData,
        }
    }

    /// None, with room for so many.
    ///
    /// # Panics
    /// If these would be more bytes than there are addresses.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut vec = Self::new();
        vec.reserve(capacity);
        vec
    }

    /// How many elements there is room for.
    pub fn capacity(&self) -> usize {
        match size_of::<T>() {
            0 => usize::MAX,
            bytes => self.pages.len() * PAGE_BYTES / bytes,
        }
    }

    /// Makes room for so many more.
    ///
    /// # Panics
    /// If all would be more bytes than there are addresses.
    pub fn reserve(&mut self, more: usize) {
        if self.capacity() - self.len >= more {
            return;
        }
        let wanted = self.len.checked_add(more);
        let bytes = wanted.and_then(|wanted| wanted.checked_mul(size_of::<T>()));
        let pages = bytes
            .expect("more elements than memory can have")
            .div_ceil(PAGE_BYTES);
        self.pages.reserve(pages - self.pages.len());
        // SAFETY: pages have no content that could be invalid.
        unsafe { self.pages.set_len(self.pages.capacity()) };
    }

    /// Adds one at the end.
    pub fn push(&mut self, element: T) {
        self.reserve(1);
        // SAFETY: there is room for it behind the last one.
        unsafe { self.start_mut().add(self.len).write(element) };
        self.len += 1;
    }

    /// Takes the last one.
    pub fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: it is there, and is not counted any more.
        Some(unsafe { self.start().add(self.len).read() })
    }

    /// Drops all but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        let count = self.len - len;
        // A destructor that panics leaves them behind.
        self.len = len;
        // SAFETY: they are there, and are not counted any more.
        unsafe {
            let rest = slice::from_raw_parts_mut(self.start_mut().add(len), count);
            std::ptr::drop_in_place(rest);
        }
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    fn start(&self) -> *const T {
        self.pages.as_ptr().cast()
    }

    fn start_mut(&mut self) -> *mut T {
        self.pages.as_mut_ptr().cast()
    }
}

impl<T> Drop for PageVec<T> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<T> Deref for PageVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: so many are there. Without pages the pointer is aligned as one to pages is.
        unsafe { slice::from_raw_parts(self.start(), self.len) }
    }
}

impl<T> DerefMut for PageVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; `self` is borrowed for as long.
        unsafe { slice::from_raw_parts_mut(self.start_mut(), self.len) }
    }
}

impl<T> Extend<T> for PageVec<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        let elements = elements.into_iter();
        self.reserve(elements.size_hint().0);
        elements.for_each(|element| self.push(element));
    }
}

impl<T> FromIterator<T> for PageVec<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut vec = Self::new();
        vec.extend(elements);
        vec
    }
}

impl<'a, T> IntoIterator for &'a PageVec<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut PageVec<T> {
    type Item = &'a mut T;
    type IntoIter = slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T: Clone> Clone for PageVec<T> {
    fn clone(&self) -> Self {
        self.iter().cloned().collect()
    }
}

impl<T: fmt::Debug> fmt::Debug for PageVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<T: PartialEq> PartialEq for PageVec<T> {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl<T: Eq> Eq for PageVec<T> {}

// SAFETY: it owns its elements, as a vector does, and has no other state.
unsafe impl<T: Send> Send for PageVec<T> {}
// SAFETY: as above: shared, it gives out shared references only.
unsafe impl<T: Sync> Sync for PageVec<T> {}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::PageVec;
    use crate::{PAGE_BYTES, PageAligned};

    #[test]
    fn growth_keeps_what_is_there_on_pages_of_its_own() {
        let mut vec = PageVec::new();
        let mut other: Vec<Box<u8>> = Vec::new();
        for number in 0..10_000_u32 {
            vec.push(number);
            other.push(Box::new(0));
            assert!(vec.as_ptr().addr().is_multiple_of(PAGE_BYTES));
        }
        assert!(vec.iter().copied().eq(0..10_000));
        let pages = vec.as_ptr().addr()..vec.as_ptr().addr() + vec.capacity() * 4;
        assert!(pages.len().is_multiple_of(PAGE_BYTES));
        assert!(
            other
                .iter()
                .all(|byte| !pages.contains(&(&raw const **byte).addr()))
        );
        assert_eq!(vec.pop(), Some(9_999));
        vec.truncate(3);
        assert_eq!(vec[..], [0, 1, 2]);
    }

    #[test]
    fn each_element_is_dropped_once() {
        let counted = Rc::new(());
        let mut vec: PageVec<Rc<()>> = (0..2000).map(|_| counted.clone()).collect();
        vec.truncate(1500);
        assert_eq!(Rc::strong_count(&counted), 1501);
        drop(vec.pop());
        let copy = vec.clone();
        assert_eq!(copy, vec);
        assert_eq!(Rc::strong_count(&counted), 1 + 2 * 1499);
        drop((vec, copy));
        assert_eq!(Rc::strong_count(&counted), 1);
    }

    #[test]
    fn what_has_no_size_and_what_has_a_page() {
        let mut nothing = PageVec::new();
        for _ in 0..5 {
            nothing.push(());
        }
        assert_eq!(nothing.len(), 5);
        let pages: PageVec<PageAligned<u8>> = (0..5).map(PageAligned).collect();
        assert_eq!(size_of_val(&pages[..]), 5 * PAGE_BYTES);
        assert!(pages.iter().map(|page| page.0).eq(0..5));
        assert_eq!(PageVec::<u8>::new()[..], []);
    }

    #[test]
    #[should_panic(expected = "more elements than memory can have")]
    fn too_much_is_refused() {
        PageVec::<u64>::with_capacity(usize::MAX / 4);
    }
}
