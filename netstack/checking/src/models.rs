//! Models whose every state is looked at.

use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Instant;

/// A model that can be explored.
pub trait Explored:
    Model<
        State: Clone + Debug + Hash + PartialEq + Send + Sync,
        Action: Clone + Debug + PartialEq + Send + Sync,
    > + Send
    + Sync
    + 'static
{
}

impl<M> Explored for M where
    M: Model<
            State: Clone + Debug + Hash + PartialEq + Send + Sync,
            Action: Clone + Debug + PartialEq + Send + Sync,
        > + Send
        + Sync
        + 'static
{
}

/// Explores a model, and has all its properties hold. How many states it has.
///
/// # Panics
///
/// When a property does not hold.
pub fn explore<M: Explored>(name: &str, model: M) -> usize {
    let checker = explored(name, model);
    checker.assert_properties();
    checker.unique_state_count()
}

/// As [`explore`], of a model that may be too small for what happens only sometimes.
///
/// # Panics
///
/// When a property is violated.
pub fn explore_part<M: Explored>(name: &str, model: M) -> usize {
    let checker = explored(name, model);
    for (property, path) in checker.discoveries() {
        assert!(
            is_sometimes(&checker, property),
            "{property}: {:?}",
            path.into_actions()
        );
    }
    checker.unique_state_count()
}

/// A property that is violated in some state of a model.
pub fn violated<M: Explored>(model: M) -> Option<&'static str> {
    let checker = model
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    let found = checker.discoveries();
    found
        .into_keys()
        .find(|property| !is_sometimes(&checker, property))
}

fn explored<M: Explored>(name: &str, model: M) -> impl Checker<M> {
    let start = Instant::now();
    let checker = model.checker().threads(1).spawn_dfs().join();
    println!(
        "{name}: {} unique states, {:.1} s",
        checker.unique_state_count(),
        start.elapsed().as_secs_f64()
    );
    checker
}

/// Whether a property is one of what happens only sometimes: to find it is no violation.
fn is_sometimes<M: Explored>(checker: &impl Checker<M>, name: &str) -> bool {
    let properties = checker.model().properties();
    let mut named = properties.iter().filter(|property| property.name == name);
    named.all(|property| property.expectation == Expectation::Sometimes)
}
