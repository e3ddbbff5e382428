//! The thread that holds tokens: takes them, gives them up, takes them again.
//!
//! Each hold lies on the stack of the function that took the token, so holds end in
//! the order opposite to their beginnings, and their number has no limit. The oldest
//! hold of a token stands for all that the thread has of it.

use core::cell::Cell;
use core::marker::PhantomData;
use core::{iter, mem, ptr};

use super::{Exclusive, Held, Shared, Token};
use crate::critical::MayBlock;
use crate::machine::{Nanos, Park};
use crate::rwlock::raw::{Mode, NoUnwinding, RawLock};

/// How often a thread lets go of what it has, because the next token is not free,
/// before it becomes insistent.
const PATIENCE: u32 = if cfg!(loom) { 1 } else { 10 };

/// How often a thread looks at a token that is not free before it goes to sleep:
/// holders run, so most are done with it soon.
const GLANCES: u32 = if cfg!(loom) { 0 } else { 50 };

/// What only one holder's things have: no two lifetimes `'t` are the same.
pub(super) type Brand<'t> = fn(&'t ()) -> &'t ();

/// The running thread, as the holder of tokens. It is made where a thread starts, or
/// comes into the kernel, of the leave to block, and handed down instead of that.
///
/// A reference to data under a token borrows the holder. All that may block takes it
/// by `&mut`; so no such reference is alive then, while tokens are given up. What
/// blocks and knows nothing of tokens asks for a [`MayBlock`], which is to be had in
/// [`Holder::block`] only:
///
/// ```compile_fail,E0502
/// # use darner_lwkt::{Holder, MayBlock, Park, RwLock, Token};
/// fn sleep_with_token<M: Park>(leave: &mut MayBlock<M>, token: &Token<M, u64>, lock: &RwLock<M, u64>) {
///     Holder::scope(leave, |holder| {
///         holder.shared(token, |_, _| *lock.read(leave))
///     });
/// }
/// ```
///
/// Its functions are for thread context outside of critical sections.
///
/// ```compile_fail,E0277
/// # use darner_lwkt::{Holder, Park};
/// fn other_thread<M: Park>(holder: &mut Holder<M>) {
///     fn send<T: Send>(_: T) {}
///     send(holder);
/// }
/// ```
pub struct Holder<'t, M: Park> {
    /// The newest hold of the thread; null if it has none. Also makes the holder
    /// neither `Send` nor `Sync`.
    newest: *const Hold<M>,
    _brand: PhantomData<Brand<'t>>,
}

/// A token held once, on the stack of who took it.
pub(super) struct Hold<M: Park> {
    token: *const RawLock<M>,
    mode: Mode,
    /// The next older hold of the thread, or null.
    older: *const Hold<M>,
    /// The oldest hold of the same token; null if this is it.
    oldest: *const Hold<M>,
    /// How the oldest hold had the token when this came.
    before: Mode,
    /// Of the oldest hold: how the thread has the token, or had it until it was
    /// given up.
    owned: Cell<Mode>,
    /// Of the oldest hold: the token's generation when it was last given up.
    generation: Cell<u64>,
    /// Of the oldest hold: how often the generation was another one after that.
    changes: Cell<u64>,
}

impl<M: Park> Holder<'static, M> {
    /// Calls `run` with the thread as a holder of tokens.
    ///
    /// The thread must not end within `run`: its tokens would be taken for ever.
    pub fn scope<R>(
        _leave: &mut MayBlock<M>,
        run: impl for<'t> FnOnce(&mut Holder<'t, M>) -> R,
    ) -> R {
        run(&mut Holder {
            newest: ptr::null(),
            _brand: PhantomData,
        })
    }
}

impl<'t, M: Park> Holder<'t, M> {
    /// Takes `token` exclusively for the length of `run`; may block. The thread may
    /// have the token already: even shared, which becomes exclusive then.
    ///
    /// # Panics
    /// When it would have to wait in a critical section.
    #[inline]
    pub fn exclusive<T, R>(
        &mut self,
        token: &Token<M, T>,
        run: impl for<'h> FnOnce(Exclusive<'h, 't, M, T>, &mut Self) -> R,
    ) -> R {
        let hold = self.new_hold(&token.raw, Mode::Exclusive);
        let ended = self.take(&hold);
        run(
            Exclusive {
                held: Held::of(token, &hold),
            },
            ended.holder,
        )
    }

    /// Takes `token`, together with others that share it, for the length of `run`; may
    /// block. The thread may have the token already, exclusively or shared.
    ///
    /// # Panics
    /// When it would have to wait in a critical section.
    #[inline]
    pub fn shared<T, R>(
        &mut self,
        token: &Token<M, T>,
        run: impl for<'h> FnOnce(Shared<'h, 't, M, T>, &mut Self) -> R,
    ) -> R {
        let hold = self.new_hold(&token.raw, Mode::Shared);
        let ended = self.take(&hold);
        run(
            Shared {
                held: Held::of(token, &hold),
            },
            ended.holder,
        )
    }

    /// [`Holder::exclusive`], if nobody else has or waits for the token; `None` if
    /// somebody does. Does not block: other tokens stay with the thread.
    #[inline]
    pub fn try_exclusive<T, R>(
        &mut self,
        token: &Token<M, T>,
        run: impl for<'h> FnOnce(Exclusive<'h, 't, M, T>, &mut Self) -> R,
    ) -> Option<R> {
        let hold = self.new_hold(&token.raw, Mode::Exclusive);
        let ended = self.try_take(&hold)?;
        Some(run(
            Exclusive {
                held: Held::of(token, &hold),
            },
            ended.holder,
        ))
    }

    /// [`Holder::shared`], if nobody has the token exclusively or waits for it;
    /// `None` if somebody does. Does not block: other tokens stay with the thread.
    #[inline]
    pub fn try_shared<T, R>(
        &mut self,
        token: &Token<M, T>,
        run: impl for<'h> FnOnce(Shared<'h, 't, M, T>, &mut Self) -> R,
    ) -> Option<R> {
        let hold = self.new_hold(&token.raw, Mode::Shared);
        let ended = self.try_take(&hold)?;
        Some(run(
            Shared {
                held: Held::of(token, &hold),
            },
            ended.holder,
        ))
    }

    /// Calls `wait`, which may block, while the thread has none of its tokens; has all
    /// of them again when this returns, for which it may have to wait.
    ///
    /// ```
    /// # use darner_lwkt::{Holder, Park, RwLock, Token};
    /// fn count<M: Park>(holder: &mut Holder<M>, token: &Token<M, u64>, lock: &RwLock<M, u64>) {
    ///     holder.exclusive(token, |mut sum, holder| {
    ///         // The tokens are given up only if the lock is not free.
    ///         let added = lock
    ///             .try_read()
    ///             .unwrap_or_else(|| holder.block(|leave| lock.read(leave)));
    ///         *sum.get_mut(holder) += *added;
    ///     });
    /// }
    /// ```
    pub fn block<R>(&mut self, wait: impl FnOnce(&mut MayBlock<M>) -> R) -> R {
        self.give_up();
        // Also if `wait` panics: those who unwind have the tokens.
        let _again = TakenAgain(self);
        // SAFETY: the holder was made of a leave that is borrowed by it.
        wait(&mut unsafe { MayBlock::assume() })
    }

    /// [`Park::park`], while the thread has none of its tokens: blocks until it is
    /// unparked or `deadline` has come, or for no reason not at all.
    pub fn park(&mut self, deadline: Option<Nanos>) {
        self.block(|leave| M::park(leave, deadline));
    }

    /// Panics if the thread has a newer hold of the same token, in mode `than` or an
    /// even more exclusive one.
    #[inline(always)]
    pub(super) fn assert_none_newer(&self, hold: &Hold<M>, than: Mode) {
        if !ptr::eq(self.newest, hold) {
            self.assert_none_between(hold, than);
        }
    }

    #[inline(never)]
    fn assert_none_between(&self, hold: &Hold<M>, than: Mode) {
        let conflict = self
            .holds()
            .take_while(|newer| !ptr::eq(*newer, hold))
            .any(|newer| {
                ptr::eq(newer.token, hold.token)
                    && (newer.mode == Mode::Exclusive || than == Mode::Shared)
            });
        assert!(
            !conflict,
            "data was asked for by an older hold of a token, while the thread has a newer one: use that"
        );
    }

    /// The holds of the thread, the newest first.
    fn holds(&self) -> impl Iterator<Item = &Hold<M>> {
        // SAFETY: holds are in the list until their functions end, so all in it exist.
        let (newest, older) = unsafe {
            (self.newest.as_ref(), |hold: &&'_ Hold<M>| {
                hold.older.as_ref()
            })
        };
        iter::successors(newest, older)
    }

    /// One hold for each token that the thread holds, or gave up.
    fn tokens(&self) -> impl Iterator<Item = &Hold<M>> {
        self.holds().filter(|hold| hold.oldest.is_null())
    }

    /// A hold of `token` that has not begun yet.
    #[inline(always)]
    fn new_hold(&self, token: &RawLock<M>, mode: Mode) -> Hold<M> {
        let oldest = self
            .holds()
            .find(|hold| ptr::eq(hold.token, token))
            .map(Hold::oldest);
        Hold {
            token,
            mode,
            older: self.newest,
            oldest: oldest.map_or(ptr::null(), ptr::from_ref),
            before: oldest.map_or(mode, |oldest| oldest.owned.get()),
            owned: Cell::new(mode),
            generation: Cell::new(0),
            changes: Cell::new(0),
        }
    }

    /// Begins `hold`, if that needs no waiting.
    #[inline(always)]
    fn try_take<'a>(&'a mut self, hold: &'a Hold<M>) -> Option<Ended<'a, 't, M>> {
        hold.try_begin().then(|| {
            self.newest = hold;
            Ended { holder: self, hold }
        })
    }

    /// Begins `hold`.
    #[inline(always)]
    fn take<'a>(&'a mut self, hold: &'a Hold<M>) -> Ended<'a, 't, M> {
        if hold.try_begin() {
            self.newest = hold;
        } else {
            self.contend(hold);
        }
        Ended { holder: self, hold }
    }

    /// Begins `hold`, of a token that is not free.
    #[cold]
    #[inline(never)]
    fn contend(&mut self, hold: &Hold<M>) {
        assert!(
            !M::is_critical(),
            "a token is taken in a critical section, and is not free: take it before the section, or try it"
        );
        let glances = if M::cpus() > 1 { GLANCES } else { 0 };
        for _ in 0..glances {
            M::pause();
            if hold.try_begin() {
                self.newest = hold;
                return;
            }
        }
        self.give_up();
        self.newest = hold;
        let oldest = hold.oldest();
        if hold.mode == Mode::Exclusive {
            oldest.owned.set(Mode::Exclusive);
        }
        self.take_all(Some(oldest));
    }

    /// Lets go of all tokens. The holds go on.
    pub(super) fn give_up(&self) {
        let stays = NoUnwinding;
        for hold in self.tokens() {
            hold.generation
                .set(hold.token().release_changed(hold.owned.get()));
        }
        mem::forget(stays);
    }

    /// Takes all tokens, of which the thread has none; the `first` one first.
    ///
    /// It has either all or none of them when it waits. After several rounds in vain
    /// it takes them in the order of their addresses, and keeps what it has while
    /// it waits for the next. Nobody waits with a later token for an earlier one,
    /// and tokens are handed on in the order of arrival, so that ends.
    fn take_all(&self, first: Option<&Hold<M>>) {
        let stays = NoUnwinding;
        let mut wanted = first.map(ptr::from_ref);
        let mut rounds = 0;
        while let Some(busy) = self.try_take_all(wanted) {
            wanted = Some(busy);
            rounds += 1;
            if rounds == PATIENCE {
                self.take_in_order();
                break;
            }
        }
        for hold in self.tokens() {
            hold.notice_changes();
        }
        mem::forget(stays);
    }

    /// Waits for the `wanted` token, and takes all others if they are free. If one is
    /// not, returns its hold, and has none.
    fn try_take_all(&self, wanted: Option<*const Hold<M>>) -> Option<*const Hold<M>> {
        let is_wanted = |hold: &Hold<M>| wanted.is_some_and(|wanted| ptr::eq(wanted, hold));
        for hold in self.tokens().filter(|hold| is_wanted(hold)) {
            hold.wait();
        }
        let others = || self.tokens().filter(|hold| !is_wanted(hold));
        let busy = others().find(|hold| !hold.token().try_take(hold.owned.get()))?;
        let taken = others().take_while(|hold| !ptr::eq(*hold, busy));
        for hold in taken.chain(self.tokens().filter(|hold| is_wanted(hold))) {
            hold.token().release(hold.owned.get());
        }
        Some(busy)
    }

    /// Takes all tokens in the order of their addresses.
    pub(super) fn take_in_order(&self) {
        let mut last = ptr::null();
        while let Some(hold) = self
            .tokens()
            .filter(|hold| hold.token > last)
            .min_by_key(|hold| hold.token)
        {
            hold.wait();
            last = hold.token;
        }
    }
}

impl<M: Park> Hold<M> {
    fn token(&self) -> &RawLock<M> {
        // SAFETY: the function on whose stack the hold lies borrows the token.
        unsafe { &*self.token }
    }

    /// The oldest hold of the same token.
    fn oldest(&self) -> &Self {
        // SAFETY: an older hold ends later.
        unsafe { self.oldest.as_ref() }.unwrap_or(self)
    }

    /// How often somebody else may have changed the data since the thread first took
    /// the token.
    pub(super) fn changes(&self) -> u64 {
        self.oldest().changes.get()
    }

    /// Gets for the thread what this hold needs of the token beyond what the thread
    /// has of it, if nobody is in the way.
    #[inline(always)]
    fn try_begin(&self) -> bool {
        if self.oldest.is_null() {
            return self.token().try_take(self.mode);
        }
        let owned = &self.oldest().owned;
        if self.mode == Mode::Shared || owned.get() == Mode::Exclusive {
            return true;
        }
        let upgraded = self.token().try_upgrade();
        if upgraded {
            owned.set(Mode::Exclusive);
        }
        upgraded
    }

    /// Gives back what this hold needed beyond what the thread had.
    #[inline(always)]
    fn end(&self) {
        if self.oldest.is_null() {
            self.token().release_changed(self.owned.get());
        } else if self.oldest().owned.replace(self.before) != self.before {
            self.token().downgrade();
        }
    }

    /// Takes the token; the thread does not have it.
    fn wait(&self) {
        let mode = self.owned.get();
        if !self.token().try_take(mode) {
            // SAFETY: a hold is of a holder, which was made of a leave that is borrowed by it.
            let leave = unsafe { MayBlock::assume() };
            self.token().wait(&leave, mode, None);
        }
    }

    /// Counts a change if others had the token exclusively while it was given up.
    fn notice_changes(&self) {
        if self.token().generation() != self.generation.get() {
            self.changes.set(self.changes.get() + 1);
        }
    }
}

impl<'h, M: Park, T> Held<'h, '_, M, T> {
    /// What a hold that has begun gives access to.
    fn of(token: &'h Token<M, T>, hold: &'h Hold<M>) -> Self {
        Self {
            token,
            hold,
            _holder: PhantomData,
        }
    }
}

/// Ends a hold when it is dropped.
struct Ended<'a, 't, M: Park> {
    holder: &'a mut Holder<'t, M>,
    hold: &'a Hold<M>,
}

impl<M: Park> Drop for Ended<'_, '_, M> {
    #[inline(always)]
    fn drop(&mut self) {
        self.holder.newest = self.hold.older;
        self.hold.end();
    }
}

/// Takes all tokens again when it is dropped.
struct TakenAgain<'a, 't, M: Park>(&'a Holder<'t, M>);

impl<M: Park> Drop for TakenAgain<'_, '_, M> {
    fn drop(&mut self) {
        self.0.take_all(None);
    }
}
