//! Several machines that are one system: what a fault takes beside a request by TCP, how much faster
//! two machines are than one, which messages and which memory it costs, and how long it takes to boot.
//!
//! All of it is measured by `xtask cluster`, as a user would start it.

mod cluster;
mod memory;
mod messages;
mod speed;

use self::cluster::Clusters;
use super::coherence;
use super::figure::Figure;
use super::guests::Guests;
use super::host_load::{self, Watch};
use crate::error::Result;

/// All figures of the group.
pub fn measure(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let clusters = Clusters::new(guests)?;
    let watch = Watch::start()?;
    let mut figures = speed::faults(&clusters)?;
    figures.extend(speed::speedups(&clusters)?);
    figures.extend(memory::private(&clusters)?);
    figures.extend(memory::steals(&clusters)?);
    figures.extend(memory::cached(&clusters)?);
    figures.extend(speed::boots(&clusters)?);
    figures.extend(messages::messages(&clusters, &coherence::built(guests)?)?);
    let means = format!(
        "times are longer and speed-ups smaller than they are; {}",
        host_load::AGAIN
    );
    watch.warn(&means)?;
    Ok(figures)
}

/// The middle one of some numbers, the lower of two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(super::median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(super::median(vec![4.0, 1.0]), Some(1.0));
        assert_eq!(super::median(Vec::new()), None);
    }
}
