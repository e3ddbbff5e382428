//! Models whose every state is looked at.

use stateright::{Checker, Expectation, Model};
use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
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

/// A property that is violated in some state of a model. All is done by the calling thread, for which alone a
/// guard may be taken out.
pub fn violated<M: Explored>(model: &M) -> Option<&'static str> {
    let properties = model.properties();
    // What has to happen on each path, a bit for each property.
    let awaited = (0_u64..)
        .zip(&properties)
        .filter(|(_, property)| property.expectation == Expectation::Eventually)
        .fold(0, |awaited, (index, _)| awaited | 1 << index);
    let hasher = BuildHasherDefault::<DefaultHasher>::new();
    let mut seen = HashSet::new();
    let mut left: Vec<(M::State, u64)> = Vec::new();
    left.extend(
        model
            .init_states()
            .into_iter()
            .map(|state| (state, awaited)),
    );
    let mut actions = Vec::new();
    while let Some((state, mut awaited)) = left.pop() {
        for (index, property) in properties.iter().enumerate() {
            let holds = (property.condition)(model, &state);
            match property.expectation {
                Expectation::Always if !holds => return Some(property.name),
                Expectation::Eventually if holds => awaited &= !(1 << index),
                _ => {}
            }
        }
        model.actions(&state, &mut actions);
        let mut ends = true;
        for action in actions.drain(..) {
            let next = model.next_state(&state, action);
            let Some(next) = next.filter(|next| model.within_boundary(next)) else {
                continue;
            };
            ends = false;
            if seen.insert(hasher.hash_one(&next)) {
                left.push((next, awaited));
            }
        }
        if ends && awaited != 0 {
            return Some(properties[awaited.trailing_zeros() as usize].name);
        }
    }
    None
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
