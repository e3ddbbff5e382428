//! Guards that tests take out, to see that it is noticed: as in `darner-coherence`.
//!
//! With the feature `mutants` one guard of `Mutant` can be switched off for a
//! thread. Without it, `mutated!` is false, and nothing of this is compiled.

/// Whether a mutant is planted that does what must not be done.
macro_rules! mutated {
    ($name:ident) => {{
        #[cfg(feature = "mutants")]
        {
            $crate::mutants::is_planted($crate::mutants::Mutant::$name)
        }
        #[cfg(not(feature = "mutants"))]
        {
            false
        }
    }};
}
pub(crate) use mutated;

#[cfg(feature = "mutants")]
pub use planted::{Mutant, is_planted, plant};

#[cfg(feature = "mutants")]
mod planted {
    extern crate std;

    use core::cell::Cell;

    macro_rules! mutants {
        ($($(#[$doc:meta])* $name:ident,)*) => {
            /// A guard that can be taken out.
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            pub enum Mutant {
                $($(#[$doc])* $name,)*
            }

            impl Mutant {
                /// All of them.
                pub const ALL: &[Self] = &[$(Self::$name,)*];
            }
        };
    }

    include!("mutants/list.rs");

    std::thread_local! {
        static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Plants a mutant, for this thread, in place of the one that was.
    pub fn plant(mutant: Option<Mutant>) {
        PLANTED.set(mutant);
    }

    /// Whether this one is planted.
    #[must_use]
    pub fn is_planted(mutant: Mutant) -> bool {
        PLANTED.get() == Some(mutant)
    }
}
