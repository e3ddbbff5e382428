//! Prometheus' text exposition format, version 0.0.4, as it is written.

use alloc::vec::Vec;
use core::fmt::{self, Display, Write};

use crate::source::NoMemory;

/// The format, as HTTP names it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a number may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows. Its name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Numbers of one name.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Their name, without the prefix that all have.
    pub name: &'static str,
    /// What they are.
    pub help: &'static str,
    /// What they may do.
    pub kind: Kind,
}

/// A number, in the format's base units.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// Of bytes, of things.
    Number(u64),
    /// Seconds, which are given in nanoseconds.
    Seconds(u64),
}

/// Labels of a number: names, and what they are here.
pub type Labels<'a> = &'a [(&'static str, &'a dyn Display)];

/// A text that grows as long as there is memory.
#[derive(Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// All that was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Begins a family; its numbers follow.
    pub fn family(&mut self, family: Family) -> Result<Samples<'_>, NoMemory> {
        let Family { name, help, kind } = family;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let written = self
            .write_fmt(format_args!("# HELP darner_{name} "))
            .and_then(|()| Escaped(self, &['\\', '\n']).write_str(help))
            .and_then(|()| self.write_fmt(format_args!("\n# TYPE darner_{name} {kind}\n")));
        written.map_err(|_| NoMemory)?;
        Ok(Samples { text: self, name })
    }

    /// A family of one number, without labels.
    pub fn single(&mut self, family: Family, value: Value) -> Result<(), NoMemory> {
        self.family(family)?.sample(&[], value)
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.try_reserve(text.len()).map_err(|_| fmt::Error)?;
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// The numbers of a family.
pub struct Samples<'a> {
    text: &'a mut Text,
    name: &'static str,
}

impl Samples<'_> {
    /// One more. No two have the same labels.
    pub fn sample(&mut self, labels: Labels<'_>, value: Value) -> Result<(), NoMemory> {
        self.write(labels, value).map_err(|_| NoMemory)
    }

    fn write(&mut self, labels: Labels<'_>, value: Value) -> fmt::Result {
        write!(self.text, "darner_{}", self.name)?;
        for (index, (label, is)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            write!(self.text, "{before}{label}=\"")?;
            write!(Escaped(self.text, &['\\', '\n', '"']), "{is}")?;
            self.text.write_str("\"")?;
        }
        let end = if labels.is_empty() { " " } else { "} " };
        self.text.write_str(end)?;
        match value {
            Value::Number(number) => writeln!(self.text, "{number}"),
            Value::Seconds(ns) => {
                const SECOND: u64 = 1_000_000_000;
                writeln!(self.text, "{}.{:09}", ns / SECOND, ns % SECOND)
            }
        }
    }
}

/// Escapes these characters.
struct Escaped<'a>(&'a mut Text, &'static [char]);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(self.1) {
            let plain = part.trim_end_matches(self.1);
            self.0.write_str(plain)?;
            match &part[plain.len()..] {
                "" => {}
                "\n" => self.0.write_str("\\n")?,
                other => {
                    self.0.write_str("\\")?;
                    self.0.write_str(other)?;
                }
            }
        }
        Ok(())
    }
}
