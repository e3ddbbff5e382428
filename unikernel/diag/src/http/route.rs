//! What can be asked for.

use alloc::vec::Vec;

use crate::metrics;
use crate::report::Report;
use crate::source::{NoMemory, Source};
use crate::{json, metrics::CONTENT_TYPE as METRICS};

const JSON: &str = "application/json";
const PAGE: &[u8] = include_bytes!("page.html");

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A page to look at.
    Page,
    /// All there is, as JSON.
    Report,
    /// Which node, as JSON.
    Node,
    /// Threads, as JSON.
    Threads,
    /// CPUs, as JSON.
    Cpus,
    /// Memory, as JSON.
    Memory,
    /// The network, as JSON.
    Network,
    /// Numbers for Prometheus.
    Metrics,
    /// Whether it answers.
    Health,
}

/// What an answer has in it.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// What is always the same.
    Fixed(&'static [u8]),
    /// What was written for this answer.
    Written(Vec<u8>),
}

impl Content {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Fixed(bytes) => bytes,
            Self::Written(bytes) => bytes,
        }
    }
}

impl Route {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Page,
        Self::Report,
        Self::Node,
        Self::Threads,
        Self::Cpus,
        Self::Memory,
        Self::Network,
        Self::Metrics,
        Self::Health,
    ];

    /// Where it is.
    pub fn path(self) -> &'static str {
        match self {
            Self::Page => "/",
            Self::Report => "/api/report.json",
            Self::Node => "/api/node.json",
            Self::Threads => "/api/threads.json",
            Self::Cpus => "/api/cpus.json",
            Self::Memory => "/api/memory.json",
            Self::Network => "/api/network.json",
            Self::Metrics => "/metrics",
            Self::Health => "/healthz",
        }
    }

    /// What is at `path`.
    pub fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.path() == path)
    }

    /// What kind of content it has, as HTTP names it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Page => "text/html; charset=utf-8",
            Self::Report
            | Self::Node
            | Self::Threads
            | Self::Cpus
            | Self::Memory
            | Self::Network => JSON,
            Self::Metrics => METRICS,
            Self::Health => "text/plain; charset=utf-8",
        }
    }

    /// What there is now.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn content(self, source: &(impl Source + ?Sized)) -> Result<Content, NoMemory> {
        let written = match self {
            Self::Page => return Ok(Content::Fixed(PAGE)),
            Self::Health => return Ok(Content::Fixed(b"ok\n")),
            Self::Report => json::write(&Report::of(source)?),
            Self::Node => json::write(&source.node()?),
            Self::Threads => json::write(&source.threads()?),
            Self::Cpus => json::write(&source.cpus()?),
            Self::Memory => json::write(&source.memory()?),
            Self::Network => json::write(&source.network()?),
            Self::Metrics => metrics::write(&Report::of(source)?),
        };
        written.map(Content::Written)
    }
}
