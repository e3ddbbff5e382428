//! What is written for Prometheus is what the format's rules allow, and says what the
//! report says.

use crate::told::example;
use darner_diag::exposition::Exposition;
use darner_diag::metrics;
use darner_diag::report::Report;
use proptest::prelude::*;

fn read(report: &Report) -> Exposition {
    let text = String::from_utf8(metrics::write(report).unwrap()).unwrap();
    Exposition::parse(&text).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"))
}

/// A name, labels, and the number that they have.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

#[test]
fn the_numbers_are_those_of_the_report() {
    let read = read(&example());
    let cases: [Case; 18] = [
        ("uptime_seconds", &[], 61.000_000_001),
        ("start_time_seconds", &[], 1_700_000_000.5),
        ("threads", &[("state", "running")], 1.0),
        ("threads", &[("state", "blocked")], 2.0),
        ("threads_started_total", &[], 17.0),
        ("cpus", &[], 2.0),
        ("cpu_idle_seconds_total", &[("cpu", "1")], 1.5),
        ("cpu_halts_total", &[("cpu", "0")], 33.0),
        (
            "cpu_interrupts_total",
            &[("cpu", "1"), ("kind", "timer")],
            101.0,
        ),
        ("memory_bytes", &[], f64::from(128 << 20)),
        ("heap_in_use_bytes", &[("heap", "kernel")], 2000.0),
        ("heap_refused_frees_total", &[("heap", "program")], 8.0),
        (
            "heap_class_in_use_chunks",
            &[("heap", "program"), ("bytes", "64")],
            9.0,
        ),
        (
            "interface_receive_bytes_total",
            &[("interface", "net0")],
            2.0,
        ),
        ("interface_interrupts_total", &[("interface", "lo")], 6.0),
        (
            "sockets",
            &[("protocol", "tcp"), ("state", "ESTABLISHED")],
            2.0,
        ),
        ("tcp_accepts_total", &[], 2.0),
        ("network_steps_total", &[], 9.0),
    ];
    for (name, labels, value) in cases {
        let name = format!("darner_{name}");
        assert_eq!(read.get(&name, labels), Some(value), "{name} {labels:?}");
    }
    let labels = [
        ("version", "0.1.0"),
        ("program", "a \"quoted\"\\name\n"),
        ("host", "darner"),
    ];
    assert_eq!(read.get("darner_info", &labels), Some(1.0));
}

#[test]
fn all_names_have_the_prefix() {
    let read = read(&example());
    assert!(read.families.len() > 40);
    assert!(read.families.keys().all(|name| name.starts_with("darner_")));
    assert!(read.families.values().all(|numbers| !numbers.is_empty()));
}

#[test]
fn an_empty_report_has_the_same_families() {
    let names = |report| read(report).families.into_keys().collect::<Vec<_>>();
    assert_eq!(names(&Report::default()), names(&example()));
}

proptest! {
    #[test]
    fn any_label_is_read_back(program in "[\\PC\n\"\\\\]*", host in ".*") {
        let mut report = example();
        report.node.program.clone_from(&program);
        report.node.host = Some(host.clone());
        let labels = [("version", "0.1.0"), ("program", &*program), ("host", &*host)];
        prop_assert_eq!(read(&report).get("darner_info", &labels), Some(1.0));
    }
}
