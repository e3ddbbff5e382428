//! What is written as JSON is what another library reads.

use crate::told::example;
use darner_diag::json;
use darner_diag::report::{Class, Interrupts, Report, Thread};
use proptest::prelude::*;

fn read<T: serde::de::DeserializeOwned>(text: &[u8]) -> T {
    assert_eq!(text.last(), Some(&b'\n'));
    serde_json::from_slice(text).unwrap()
}

#[test]
fn a_report_is_read_back() {
    let report = example();
    assert_eq!(read::<Report>(&json::write(&report).unwrap()), report);
    let empty = Report::default();
    assert_eq!(read::<Report>(&json::write(&empty).unwrap()), empty);
}

#[test]
fn names_are_as_readers_know_them() {
    let value: serde_json::Value = read(&json::write(&example()).unwrap());
    let thread = &value["threads"]["list"][2];
    assert_eq!(thread["kind"], "interrupt");
    assert_eq!(thread["state"], "blocked");
    assert_eq!(thread["waits_for"]["word"], "kernel");
    assert_eq!(thread["waits_for"]["address"], "0xffff800000001234");
    assert_eq!(value["threads"]["omitted"], 1);
    assert_eq!(value["threads"]["blocked"], 2);
    let socket = &value["network"]["sockets"][1];
    assert_eq!(socket["protocol"], "tcp");
    assert_eq!(socket["local"], "10.0.2.15:80");
    assert_eq!(socket["remote"], "[fe80::1]:50000");
    assert_eq!(value["network"]["sockets_omitted"], 1);
    assert_eq!(value["network"]["socket_counts"][1]["count"], 2);
    assert_eq!(value["cpus"][1]["busy_ns"], u64::MAX);
}

/// Longer than what is asked for first, and as long as a report gets.
#[test]
fn a_long_report_is_written_whole() {
    let mut report = example();
    let threads = &mut report.threads.list;
    let one = threads[0].clone();
    *threads = vec![
        Thread {
            id: u32::MAX,
            ..one
        };
        darner_diag::report::MOST_LISTED
    ];
    let one = report.network.sockets[0].clone();
    report.network.sockets = vec![one; darner_diag::report::MOST_LISTED];
    for heap in [&mut report.memory.program, &mut report.memory.kernel] {
        let most = Class {
            size: u64::MAX,
            chunks: u64::MAX,
            in_use: u64::MAX,
        };
        heap.classes = vec![most; 72];
    }
    report.cpus = vec![report.cpus[0].clone(); 64];
    let text = json::write(&report).unwrap();
    assert_eq!(read::<Report>(&text), report);
}

proptest! {
    #[test]
    fn any_text_is_read_back(
        program in ".*",
        host in proptest::option::of(".*"),
        kind in "\\PC*",
        numbers in proptest::collection::vec(any::<u64>(), 2),
    ) {
        let mut report = example();
        report.node.program = program;
        report.node.host = host;
        report.node.uptime_ns = numbers[0];
        report.cpus[0].interrupts.push(Interrupts { kind: kind.into(), count: numbers[1] });
        prop_assert_eq!(read::<Report>(&json::write(&report).unwrap()), report);
    }
}
