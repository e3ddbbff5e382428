//! A value on pages of its own.

use std::ops::{Deref, DerefMut};

/// A value that begins at a page's first byte, with nothing else on its pages.
///
/// Memory moves between nodes page by page. What threads of different nodes write belongs on
/// different pages, or each write of one takes the page from the others.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use darner::PageAligned;
///
/// let counters: Vec<PageAligned<AtomicU64>> =
///     darner::nodes().map(|_| PageAligned::default()).collect();
/// counters[darner::here().number()].fetch_add(1, Ordering::Relaxed);
/// assert_eq!(size_of_val(&counters[0]), 4096);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C, align(4096))]
pub struct PageAligned<T>(pub T);

/// A value in the heap, on pages of its own.
///
/// ```
/// let shared = darner::PageBox::new(std::sync::Mutex::new(0).into());
/// *shared.lock().unwrap() += 1;
/// ```
pub type PageBox<T> = Box<PageAligned<T>>;

impl<T> From<T> for PageAligned<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for PageAligned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for PageAligned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
