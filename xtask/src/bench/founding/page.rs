//! The page with the results: its prose is written by people, its tables are not.

use std::fs;
use std::path::Path;

use super::results::{Range, Results, Shape, Way};
use super::{CPUS, ROUNDS, plot};
use crate::accel::{Accelerator, Choice};
use crate::bench::guests::Guests;
use crate::error::{Context, Error, Result};
use crate::qemu;

/// The page, in the repository.
const PAGE: &str = "docs/mutex-or-ipi.md";
/// Its plot.
const PLOT: &str = "docs/mutex-or-ipi.svg";
/// The tables stand between these lines of the page.
const BEGIN: &str = "<!-- begin: written by `cargo xtask bench founding` -->";
const END: &str = "<!-- end -->";

/// Rewrites the tables of the page, and the plot.
pub fn write(guests: &Guests<'_>, results: &Results) -> Result<()> {
    let root = &guests.set().root;
    let page = root.join(PAGE);
    let text = fs::read_to_string(&page).context(|| format!("read {}", page.display()))?;
    let tables = measured_on(results.others)? + &tables(results);
    save(&root.join(PLOT), &plot::svg(&results.speeds)?)?;
    save(&page, &with_tables(&text, &tables)?)
}

fn save(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(|| format!("write {}", path.display()))?;
    eprintln!("xtask: wrote {}", path.display());
    Ok(())
}

/// The page with other tables.
fn with_tables(page: &str, tables: &str) -> Result<String> {
    let parts = page
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        return Err(Error::failed(format!(
            "found no place for the tables in {PAGE}, expected the lines `{BEGIN}` and `{END}`: \
             put them where the tables belong"
        )));
    };
    Ok(format!("{before}{BEGIN}\n{tables}{END}{after}"))
}

/// When and with what it was measured.
fn measured_on(others: f64) -> Result<String> {
    let date = time::OffsetDateTime::now_utc().date();
    let host = std::thread::available_parallelism().map_or(1, usize::from);
    let accelerator = match Choice::Auto.resolve()? {
        Accelerator::Tcg => "emulated (TCG)",
        Accelerator::Kvm => "on KVM",
    };
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    Ok(format!(
        "Measured on {date}, on {host} CPUs: {}; the guest's CPUs {accelerator} by {}. Other work took {:.0} % of \
         the host's CPU time. Speeds are medians of {ROUNDS} rounds, with the least and the most in brackets; \
         interrupts are those of one run.\n",
        model(&cpuinfo),
        qemu::version()?,
        others * 100.0,
    ))
}

/// The processor's name for itself.
fn model(cpuinfo: &str) -> &str {
    cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("processor of unknown name", |(_, name)| name)
}

fn tables(results: &Results) -> String {
    let mut text = String::new();
    for (shape, speeds) in Shape::ALL.into_iter().zip(&results.speeds) {
        let columns = CPUS.map(|cpus| format!("{cpus} CPU{}", if cpus == 1 { "" } else { "s" }));
        let rows = Way::ALL.into_iter().zip(speeds);
        text += &table(
            &format!("Speed, {}", shape.title()),
            &columns,
            rows.map(|(way, row)| (way.title(), row.iter().map(range).collect())),
        );
    }
    let columns: Vec<String> = [Shape::Hot, Shape::Spread]
        .into_iter()
        .flat_map(|shape| {
            CPUS[1..]
                .iter()
                .map(move |cpus| format!("{}, {cpus} CPUs", shape.name()))
        })
        .collect();
    let interrupts = |way: usize| {
        [0, 2]
            .into_iter()
            .flat_map(|shape| {
                let by_cpus = results.interrupts[1..].iter();
                by_cpus.map(move |shapes| significant(shapes[shape][way]))
            })
            .collect()
    };
    text += &table(
        "Message interrupts of 1000 updates",
        &columns,
        Way::ALL
            .into_iter()
            .enumerate()
            .map(|(index, way)| (way.title(), interrupts(index))),
    );
    let ways = Way::ALL.map(Way::title).into_iter();
    let instructions = |way: usize| {
        let by_shape = results.instructions.iter();
        by_shape.map(|ways| format!("{:.1}", ways[way])).collect()
    };
    text + &table(
        "Instructions of an update, 1 CPU",
        &Shape::ALL.map(|shape| shape.name().to_owned()),
        ways.chain([TO_ITSELF])
            .enumerate()
            .map(|(index, way)| (way, instructions(index))),
    )
}

/// What [`super::ALWAYS`] is, for readers.
const TO_ITSELF: &str = "message of the CPU to itself";

/// A table, with an empty line before.
fn table<'a>(
    title: &str,
    columns: &[String],
    rows: impl Iterator<Item = (&'a str, Vec<String>)>,
) -> String {
    let mut text = format!("\n| {title} | {} |\n|---|", columns.join(" | "));
    text += &"--:|".repeat(columns.len());
    text.push('\n');
    for (name, cells) in rows {
        text += &format!("| {name} | {} |\n", cells.join(" | "));
    }
    text
}

fn range(range: &Range) -> String {
    format!(
        "**{}** ({}–{})",
        significant(range.median),
        significant(range.least),
        significant(range.most)
    )
}

/// To two significant digits, or to the whole number.
fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let decimals = 1 - value.abs().log10().floor() as i32;
    format!("{value:.*}", decimals.max(0) as usize)
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::some;
    use super::{BEGIN, END, model, significant, tables, with_tables};

    #[test]
    fn only_what_is_between_the_lines_is_replaced() {
        let page = format!("# Title\n{BEGIN}\nold\n{END}\nmore\n");
        let expected = format!("# Title\n{BEGIN}\nnew\n{END}\nmore\n");
        assert_eq!(with_tables(&page, "new\n").unwrap(), expected);
        assert_eq!(with_tables(&expected, "new\n").unwrap(), expected);
        for page in ["", BEGIN, END, &format!("{END}\n{BEGIN}")] {
            let error = with_tables(page, "new\n").unwrap_err().to_string();
            assert!(error.contains(BEGIN), "{error}");
        }
    }

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let tables = tables(&some());
        let mut columns = 0;
        let mut count = 0;
        for line in tables.lines() {
            match line.is_empty() {
                true => (columns, count) = (0, count + 1),
                false if columns == 0 => columns = line.matches('|').count(),
                false => assert_eq!(line.matches('|').count(), columns, "{line}"),
            }
        }
        assert_eq!(count, 5);
        assert!(
            tables.contains("| spin mutex | **1.0** (1.0–1.0) |"),
            "{tables}"
        );
        assert!(tables.contains("| **0.25** (0.25–0.25) |\n"), "{tables}");
        assert!(
            tables.contains("to itself | 36.0 | 36.0 | 36.0 |\n"),
            "{tables}"
        );
    }

    #[test]
    fn two_digits_say_enough() {
        for (value, expected) in [
            (0.0, "0"),
            (0.001_234, "0.0012"),
            (0.36, "0.36"),
            (1.04, "1.0"),
            (12.3, "12"),
            (1234.0, "1234"),
        ] {
            assert_eq!(significant(value), expected);
        }
    }

    #[test]
    fn the_processor_is_named() {
        assert_eq!(
            model("processor\t: 0\nmodel name\t: A B\nmodel name\t: C\n"),
            "A B"
        );
        assert!(model("").contains("unknown"));
    }
}
