//! Tokens: they serialise threads only while their holders run.
//!
//! A thread takes any number of tokens in any order, each exclusively or shared with
//! others. When it blocks, for another token or for anything else, all of its tokens
//! are given up, and all are taken again before it goes on. So nobody waits with a
//! token in hand for what another has, and there is no deadlock among tokens,
//! whatever the order. A thread that is preempted keeps its tokens.
//!
//! The price is that data may have changed over every call that may block. The types
//! see to it that no reference survives such a call: data is borrowed against the
//! [`Holder`], and what may block takes the holder by `&mut`. What was only
//! remembered, an index or that something was there, the thread looks at again;
//! [`Exclusive::changes`] tells it whether that is needed.
//!
//! ```
//! use darner_lwkt::{Holder, Park, Token};
//!
//! /// Moves `amount` from one account to another.
//! fn transfer<M: Park>(holder: &mut Holder<M>, from: &Token<M, u64>, to: &Token<M, u64>, amount: u64) {
//!     holder.exclusive(from, |mut from, holder| {
//!         holder.exclusive(to, |mut to, holder| {
//!             // No reference lived while `to` was waited for. Now both are held.
//!             *from.get_mut(holder) -= amount;
//!             *to.get_mut(holder) += amount;
//!         });
//!     });
//! }
//! ```
//!
//! A reference to data cannot live while the thread blocks:
//!
//! ```compile_fail,E0502
//! # use darner_lwkt::{Holder, Park, Token};
//! fn sleep<M: Park>(holder: &mut Holder<M>, token: &Token<M, u64>) {
//!     holder.exclusive(token, |mut hold, holder| {
//!         let value = hold.get_mut(holder);
//!         holder.park(None);
//!         *value += 1;
//!     });
//! }
//! ```
//!
//! nor while it takes another token, for which it may have to wait:
//!
//! ```compile_fail,E0502
//! # use darner_lwkt::{Holder, Park, Token};
//! fn both<M: Park>(holder: &mut Holder<M>, one: &Token<M, u64>, other: &Token<M, u64>) {
//!     holder.shared(one, |one, holder| {
//!         let value = one.get(holder);
//!         holder.shared(other, |other, holder| *value + *other.get(holder))
//!     });
//! }
//! ```
//!
//! nor after the token is let go of:
//!
//! ```compile_fail
//! # use darner_lwkt::{Holder, Park, Token};
//! fn keep<'t, 'a, M: Park>(holder: &'a mut Holder<'t, M>, token: &'a Token<M, u64>) -> &'a u64 {
//!     holder.shared(token, |hold, holder| hold.get(holder))
//! }
//! ```

use core::marker::PhantomData;

use crate::machine::Park;
use crate::rwlock::raw::{Mode, RawLock};
use crate::sync::Racy;
use holder::Hold;

mod holder;

pub use holder::Holder;

/// Data under a token; see the module. [`Holder`] takes it.
///
/// Threads that wait for a token take it in the order in which they came, those that
/// share it together; nobody overtakes them. A token changes hands by one atomic
/// word, and who lets go of it wakes who waits for it.
pub struct Token<M: Park, T> {
    raw: RawLock<M>,
    value: Racy<T>,
}

// SAFETY: one thread at a time reaches the value exclusively, any thread, or many
// share it.
unsafe impl<M: Park, T: Send + Sync> Sync for Token<M, T> {}
// SAFETY: the token owns the value.
unsafe impl<M: Park, T: Send> Send for Token<M, T> {}

impl<M: Park, T> Token<M, T> {
    /// A token that nobody holds.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self {
            raw: RawLock::new(),
            value: Racy::new(value),
        }
    }

    /// A token that nobody holds.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self {
            raw: RawLock::new(),
            value: Racy::new(value),
        }
    }

    /// The data of a token that nobody else can have. Any context.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: the token is borrowed exclusively, so nobody holds it.
        self.value.with_mut(|value| unsafe { &mut *value })
    }
}

/// An exclusively held token: right to its data, while the thread does not block.
///
/// It belongs to one [`Holder`]; others do not open it:
///
/// ```compile_fail,E0521
/// # use darner_lwkt::{Holder, MayBlock, Park, Token};
/// fn other_holder<M: Park>(leave: &mut MayBlock<M>, token: &Token<M, u64>) {
///     Holder::scope(leave, |one| {
///         one.exclusive(token, |hold, one| {
///             one.block(|leave| Holder::scope(leave, |other| *hold.get(other)))
///         })
///     });
/// }
/// ```
pub struct Exclusive<'h, 't, M: Park, T> {
    held: Held<'h, 't, M, T>,
}

/// A token held together with others that share it: right to look at its data, while
/// the thread does not block.
pub struct Shared<'h, 't, M: Park, T> {
    held: Held<'h, 't, M, T>,
}

/// What both have in common.
struct Held<'h, 't, M: Park, T> {
    token: &'h Token<M, T>,
    hold: &'h Hold<M>,
    _holder: PhantomData<holder::Brand<'t>>,
}

impl<'h, 't, M: Park, T> Held<'h, 't, M, T> {
    #[inline(always)]
    fn get<'b>(&'b self, holder: &'b Holder<'t, M>) -> &'b T {
        holder.assert_none_newer(self.hold, Mode::Exclusive);
        // SAFETY: the holder has the token by this hold, and keeps it while it is
        // borrowed. Mutable references come from the newest hold only, and none that
        // is exclusive is newer than this; if this is exclusive itself, it is borrowed.
        self.token.value.with(|value| unsafe { &*value })
    }
}

impl<'t, M: Park, T> Exclusive<'_, 't, M, T> {
    /// The data, for reading. Thread context.
    ///
    /// # Panics
    /// When the thread has taken the token exclusively once more since: the newer hold
    /// has the data.
    #[inline(always)]
    pub fn get<'b>(&'b self, holder: &'b Holder<'t, M>) -> &'b T {
        self.held.get(holder)
    }

    /// The data, for writing. Thread context.
    ///
    /// # Panics
    /// When the thread has taken the token once more since: the newer hold has the
    /// data.
    #[inline(always)]
    pub fn get_mut<'b>(&'b mut self, holder: &'b Holder<'t, M>) -> &'b mut T {
        holder.assert_none_newer(self.held.hold, Mode::Shared);
        // SAFETY: the holder has the token exclusively by this hold, and keeps it
        // while it is borrowed. No newer hold gives out references, nor can one
        // come while the holder is borrowed; older ones do not while this exists.
        self.held
            .token
            .value
            .with_mut(|value| unsafe { &mut *value })
    }

    /// Changes when somebody else has had the token exclusively, and so may have
    /// changed the data, while this thread had given it up. Equal before and after a
    /// call means: what was found before still holds. Thread context.
    #[inline]
    pub fn changes(&self, _holder: &Holder<'t, M>) -> u64 {
        self.held.hold.changes()
    }
}

impl<'t, M: Park, T> Shared<'_, 't, M, T> {
    /// The data. Thread context.
    ///
    /// # Panics
    /// When the thread has taken the token exclusively since: the newer hold has the
    /// data.
    #[inline(always)]
    pub fn get<'b>(&'b self, holder: &'b Holder<'t, M>) -> &'b T {
        self.held.get(holder)
    }

    /// As [`Exclusive::changes`].
    #[inline]
    pub fn changes(&self, _holder: &Holder<'t, M>) -> u64 {
        self.held.hold.changes()
    }
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
