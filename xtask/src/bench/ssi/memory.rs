//! What the memory that nodes share costs in messages, in stolen pages and in memory.

use super::cluster::Clusters;
use crate::bench::figure::{Figure, Goal};
use crate::error::Result;

/// Stacks, thread-local variables and heap of threads on both nodes: first writes of which no other
/// node learns, beside all; and messages about them.
pub fn private(clusters: &Clusters<'_>) -> Result<Vec<Figure>> {
    let said = clusters.run(2, &[], &["ssi", "private"])?;
    let (silent, asked) = (said.number("silent")?, said.number("asked")?);
    let ratio = Figure::new("ssi/silent_upgrade_ratio", silent / (silent + asked), "");
    let messages = Figure::new("ssi/private_messages", said.number("messages")?, "messages");
    Ok(vec![
        ratio.bigger_is_better().goal(Goal::AtLeast(0.95)),
        messages.goal(Goal::AtMost(0.0)),
    ])
}

/// Pages that were taken from threads before these had done the instruction that wanted them, while three
/// nodes fight for the same ones.
pub fn steals(clusters: &Clusters<'_>) -> Result<Vec<Figure>> {
    let said = clusters.counted(3, &[], &["ssi", "contend", "300"])?;
    let steals = Figure::new(
        "ssi/steals_before_retire",
        said.sum("steals_before_retire")?,
        "pages",
    );
    Ok(vec![
        steals.goal(Goal::AtMost(0.0)),
        Figure::new("ssi/restarts", said.sum("restarts")?, "pages"),
        Figure::new("ssi/hold_waits", said.sum("hold_waits")?, "waits"),
    ])
}

/// What two kernels need for a page that one of them caches, beyond the page.
pub fn cached(clusters: &Clusters<'_>) -> Result<Vec<Figure>> {
    let said = clusters.run(2, &["--mem", "512"], &["ssi", "cached", "4096"])?;
    let pages = said.number("pages")?;
    let each = |bytes: f64| (bytes / pages).round();
    Ok(vec![
        Figure::new(
            "ssi/kernel_bytes_per_cached_page",
            each(said.number("reader_bytes")?),
            "bytes",
        ),
        Figure::new(
            "ssi/kernel_bytes_per_page_cached_elsewhere",
            each(said.number("home_bytes")?),
            "bytes",
        ),
    ])
}
