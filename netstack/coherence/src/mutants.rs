//! Guards that tests take out, to see that it is noticed.
//!
//! With the feature `mutants` one guard of `Mutant` can be switched off for a
//! thread. Without it, `guard!` is its condition, and nothing of this is compiled.

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
    extern crate std;

    use core::cell::Cell;

    macro_rules! mutants {
        ($($(#[$about:meta])* $part:ident { $($(#[$doc:meta])* $name:ident,)* })*) => {
            /// A guard that can be taken out.
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            pub enum Mutant {
                $($($(#[$doc])* $name,)*)*
            }

            impl Mutant {
                $($(#[$about])* pub const $part: &[Self] = &[$(Self::$name,)*];)*
            }
        };
    }

    include!("mutants/list.rs");

    std::thread_local! {
        static CHOSEN: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Takes a guard out, in this thread, and puts back the one that was out before.
    pub fn take_out(mutant: Option<Mutant>) {
        CHOSEN.set(mutant);
    }

    /// Whether a guard is taken out.
    #[must_use]
    pub fn taken_out(mutant: Mutant) -> bool {
        CHOSEN.get() == Some(mutant)
    }
}
