//! Guards that tests take out, to see that it is noticed.
//!
//! With the feature `mutants` one guard of `Mutant` can be switched off for the whole
//! process. Without it, `guard!` is its condition, and nothing of this is compiled.

/// A condition, or true if the guard is taken out.
macro_rules! guard {
    ($name:ident, $condition:expr) => {{
        #[cfg(feature = "mutants")]
        {
            $crate::mutants::taken_out($crate::mutants::Mutant::$name) || $condition
        }
        #[cfg(not(feature = "mutants"))]
        {
            $condition
        }
    }};
}
pub(crate) use guard;

/// Whether a mutant is planted that does what must not be done.
macro_rules! mutated {
    ($name:ident) => {
        $crate::mutants::guard!($name, false)
    };
}
pub(crate) use mutated;

#[cfg(feature = "mutants")]
pub use planted::{Mutant, take_out, taken_out};

#[cfg(feature = "mutants")]
mod planted {
    use core::sync::atomic::{AtomicUsize, Ordering};

    macro_rules! mutants {
        ($($(#[$about:meta])* $part:ident { $($(#[$doc:meta])* $name:ident,)* })*) => {
            /// A guard that can be taken out.
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            #[repr(usize)]
            pub enum Mutant {
                $($($(#[$doc])* $name,)*)*
            }

            impl Mutant {
                $($(#[$about])* pub const $part: &[Self] = &[$(Self::$name,)*];)*
            }
        };
    }

    include!("mutants/list.rs");

    const NONE: usize = usize::MAX;
    static CHOSEN: AtomicUsize = AtomicUsize::new(NONE);

    /// Takes a guard out, in all threads, and puts back the one that was out before.
    pub fn take_out(mutant: Option<Mutant>) {
        CHOSEN.store(
            mutant.map_or(NONE, |mutant| mutant as usize),
            Ordering::SeqCst,
        );
    }

    /// Whether a guard is taken out.
    #[must_use]
    pub fn taken_out(mutant: Mutant) -> bool {
        CHOSEN.load(Ordering::Relaxed) == mutant as usize
    }
}
