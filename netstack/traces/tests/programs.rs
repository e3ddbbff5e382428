//! Every program's result is right over both memories, whatever the number of nodes, and it costs no more than it may.

use darner_traces::{Compared, PROGRAMS, Size, compare};

/// The most of our messages to one of theirs: the programs of the literature, and others.
const MOST: [(&str, f64); 9] = [
    ("sor", 1.25),
    ("is", 1.25),
    ("lu", 1.25),
    ("ep", 1.25),
    // So small that most of it is the first touch of pages.
    ("matmul", 2.0),
    ("water", 1.75),
    ("kmeans", 1.25),
    ("tsp", 1.25),
    ("false_sharing", 2.25),
];

fn small(program: &str, nodes: usize) -> Compared {
    compare(program, nodes, Size::Small).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn results_are_right_on_any_number_of_nodes() {
    for nodes in [1, 2, 3, 4, 5] {
        for program in PROGRAMS {
            small(program, nodes);
        }
    }
}

#[test]
fn eight_nodes_take_no_more_messages_than_they_may() {
    for (program, most) in MOST {
        let compared = small(program, 8);
        let ratio = compared.ratio();
        println!("{program}: {ratio:.3}");
        assert!(ratio <= most, "{program}: {ratio:.3}, {compared:?}");
    }
}

#[test]
fn one_node_says_nothing() {
    for program in PROGRAMS {
        let compared = small(program, 1);
        assert_eq!(compared.ours.counts.messages, 0, "{program}");
        assert_eq!(compared.theirs.counts.messages, 0, "{program}");
    }
}

#[test]
fn the_same_run_takes_the_same_messages() {
    let [one, other] = [(); 2].map(|()| small("tsp", 4).ours);
    assert_eq!((one.counts, one.time), (other.counts, other.time));
}

/// The closed forms of red-black relaxation, with 14 boundary rows and as many half-sweeps as are counted: a barrier for each and one
/// more, and two messages for each row that is fetched.
#[test]
fn the_peer_takes_as_many_messages_as_it_must() {
    let theirs = small("sor", 8).theirs.counts;
    let half_sweeps = 24;
    assert_eq!(
        theirs.messages,
        2 * 14 * half_sweeps + 14 * (half_sweeps + 1)
    );
    assert_eq!(theirs.pages, 14 * half_sweeps);
}
