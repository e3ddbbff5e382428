//! What one CPU runs, step by step, against a model: threads with random programs must
//! take their steps in the order that the model says, and their waits must end as it
//! says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use proptest::prelude::*;

use super::super::TICK;
use super::program::{
    FIRST_INTERRUPT, Ref, now, park, park_until, prepare, set_priority, start, unpark, work,
    yield_now,
};
use super::world::{Config, run_first, world};
use crate::machine::Nanos;
use crate::scheduler::Wakeup;

/// Threads of a case, of which some are started by others.
const THREADS: usize = 6;
const FIRST: usize = 3;
/// Priorities of the model, and the one that interrupted threads wait at.
const LEVELS: usize = 64;
const INTERRUPTED: u8 = FIRST_INTERRUPT - 1;

/// What a thread does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Work(Nanos),
    Yield,
    Park,
    /// For so long at most.
    ParkFor(Nanos),
    Unpark(usize),
    SetPriority(usize, u8),
    /// Starts the next thread.
    Start,
}

#[derive(Clone, Debug)]
struct Program {
    priority: u8,
    steps: Vec<Step>,
}

/// What happens, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A thread begins its step of that number, at that time.
    Begins(usize, usize, Nanos),
    /// A thread's wait has ended.
    Woken(usize, Wakeup),
}

fn programs() -> impl Strategy<Value = Vec<Program>> {
    // Few priorities and times, so that threads meet.
    let priority = || prop_oneof![Just(10), Just(11), Just(12), 0..32u8];
    let time = || {
        prop_oneof![
            Just(1),
            Just(1_000),
            Just(TICK / 2),
            Just(TICK),
            Just(2 * TICK),
            1..3 * TICK
        ]
    };
    let step = prop_oneof![
        3 => time().prop_map(Step::Work),
        3 => Just(Step::Yield),
        3 => Just(Step::Park),
        3 => time().prop_map(Step::ParkFor),
        4 => (0..THREADS).prop_map(Step::Unpark),
        2 => (0..THREADS, priority()).prop_map(|(thread, to)| Step::SetPriority(thread, to)),
        1 => Just(Step::Start),
    ];
    let own = prop_oneof![
        3 => priority(),
        1 => FIRST_INTERRUPT..FIRST_INTERRUPT + 2,
    ];
    let program = (own, prop::collection::vec(step, 0..12))
        .prop_map(|(priority, steps)| Program { priority, steps });
    prop::collection::vec(program, THREADS)
}

/// Runs the programs on the scheduler.
fn run_scheduler(programs: &[Program]) -> Vec<Event> {
    /// The threads, and how many have been started.
    struct Threads {
        all: OnceLock<Vec<Ref>>,
        started: AtomicUsize,
        events: Arc<Mutex<Vec<Event>>>,
    }

    impl Threads {
        fn all(&self) -> &[Ref] {
            self.all.get().expect("set first")
        }

        fn start_next(&self) -> bool {
            let next = self.started.load(Ordering::Relaxed);
            let Some(thread) = self.all().get(next) else {
                return false;
            };
            self.started.store(next + 1, Ordering::Relaxed);
            if next + 1 == THREADS {
                // It counts itself.
                start(thread, None);
                world().release();
            } else {
                start(thread, None);
            }
            true
        }

        fn log(&self, event: Event) {
            self.events.lock().unwrap().push(event);
        }

        fn run(&self, me: usize, program: &Program) {
            for (number, &step) in program.steps.iter().enumerate() {
                self.log(Event::Begins(me, number, now()));
                match step {
                    Step::Work(time) => work(time),
                    Step::Yield => yield_now(),
                    Step::Park => {
                        park();
                        self.log(Event::Woken(me, Wakeup::Unparked));
                    }
                    Step::ParkFor(time) => {
                        let outcome = park_until(now() + time);
                        self.log(Event::Woken(me, outcome));
                    }
                    Step::Unpark(thread) => unpark(&self.all()[thread]),
                    Step::SetPriority(thread, priority) => {
                        let thread = &self.all()[thread];
                        if !thread.priority().is_interrupt() {
                            set_priority(thread, priority);
                        }
                    }
                    Step::Start => {
                        self.start_next();
                    }
                }
            }
        }
    }

    let events = Arc::new(Mutex::new(Vec::new()));
    let threads = Arc::new(Threads {
        all: OnceLock::new(),
        started: AtomicUsize::new(0),
        events: events.clone(),
    });
    let stuck = Arc::downgrade(&threads);
    let config = Config {
        drift: 0,
        when_stuck: Some(Arc::new(move || {
            let threads = stuck.upgrade().expect("somebody is blocked");
            if !threads.start_next() {
                threads.all().iter().for_each(unpark);
            }
        })),
        ..Config::of(1)
    };
    let programs = programs.to_vec();
    run_first(config, move || {
        let all = programs.into_iter().enumerate().map(|(number, program)| {
            let threads = threads.clone();
            prepare(program.priority, move || threads.run(number, &program))
        });
        let _ = threads.all.set(all.collect());
        for _ in 0..FIRST {
            threads.start_next();
        }
        drop(threads);
        world().run_idle();
    });
    Arc::into_inner(events)
        .expect("all threads have ended")
        .into_inner()
        .unwrap()
}

/// A thread of the model.
struct Modelled {
    program: Program,
    priority: u8,
    next_step: usize,
    token: bool,
    wait: Wait,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    No,
    /// It is blocked, until its deadline if it has one.
    Blocked(Option<(Nanos, usize)>),
    /// Its wait has ended, and it has not run since.
    Ended(Wakeup),
}

/// What the scheduler is to do, on one CPU.
struct Model {
    threads: Vec<Modelled>,
    started: usize,
    ready: Vec<VecDeque<usize>>,
    /// Who is due when. Equals come in the order of their waits.
    deadlines: BTreeMap<(Nanos, usize), usize>,
    waits: usize,
    running: Option<usize>,
    now: Nanos,
    tick: Nanos,
    turn_over: bool,
    events: Vec<Event>,
}

impl Model {
    fn run(programs: &[Program], now: Nanos) -> Vec<Event> {
        let threads = programs.iter().map(|program| Modelled {
            program: program.clone(),
            priority: program.priority,
            next_step: 0,
            token: false,
            wait: Wait::No,
        });
        let mut model = Self {
            threads: threads.collect(),
            started: 0,
            ready: vec![VecDeque::new(); LEVELS],
            deadlines: BTreeMap::new(),
            waits: 0,
            running: None,
            now,
            tick: 0,
            turn_over: false,
            events: Vec::new(),
        };
        for _ in 0..FIRST {
            model.start_next();
        }
        while model.next_runs() {
            while let Some(me) = model.running {
                model.step(me);
            }
        }
        model.events
    }

    /// Ready threads, the ones that have to run next first.
    fn best(&self) -> Option<u8> {
        (0..LEVELS as u8).rfind(|&at| !self.ready[usize::from(at)].is_empty())
    }

    /// The CPU has nothing to run: it waits for a deadline or is helped, unless all
    /// threads have ended.
    fn next_runs(&mut self) -> bool {
        while self.best().is_none() {
            if let Some((&(deadline, _), _)) = self.deadlines.first_key_value() {
                self.now = self.now.max(deadline);
                self.expire();
            } else if self.start_next() {
            } else if self
                .threads
                .iter()
                .any(|thread| matches!(thread.wait, Wait::Blocked(_)))
            {
                (0..THREADS).for_each(|thread| self.unpark(thread));
            } else {
                return false;
            }
        }
        self.tick = self.now + TICK;
        self.turn_over = false;
        self.take_best();
        true
    }

    fn take_best(&mut self) {
        let best = self.best();
        self.running = best.and_then(|best| self.ready[usize::from(best)].pop_front());
        if best == Some(INTERRUPTED) {
            self.go_on();
        }
        if let Some(me) = self.running
            && let Wait::Ended(outcome) = self.threads[me].wait
        {
            self.threads[me].wait = Wait::No;
            self.events.push(Event::Woken(me, outcome));
        }
    }

    fn step(&mut self, me: usize) {
        let thread = &mut self.threads[me];
        let number = thread.next_step;
        let Some(&step) = thread.program.steps.get(number) else {
            return self.take_best();
        };
        thread.next_step += 1;
        self.events.push(Event::Begins(me, number, self.now));
        match step {
            Step::Work(time) => self.work(time),
            Step::Yield => self.give_way(true),
            Step::Park => self.park(me, None),
            Step::ParkFor(time) => self.park(me, Some(self.now + time)),
            Step::Unpark(thread) => {
                self.unpark(thread);
                self.give_way(false);
            }
            Step::SetPriority(thread, _) if self.threads[thread].priority > INTERRUPTED => {}
            Step::SetPriority(thread, priority) => {
                let old = std::mem::replace(&mut self.threads[thread].priority, priority);
                let queue = &mut self.ready[usize::from(old)];
                if old != priority
                    && let Some(at) = queue.iter().position(|&ready| ready == thread)
                {
                    queue.remove(at);
                    self.ready[usize::from(priority)].push_back(thread);
                }
                self.give_way(false);
            }
            Step::Start => {
                self.start_next();
                self.give_way(false);
            }
        }
    }

    fn start_next(&mut self) -> bool {
        if self.started == THREADS {
            return false;
        }
        self.make_ready(self.started);
        self.started += 1;
        true
    }

    fn make_ready(&mut self, thread: usize) {
        let priority = usize::from(self.threads[thread].priority);
        self.ready[priority].push_back(thread);
    }

    fn work(&mut self, time: Nanos) {
        self.now += time;
        self.expire();
        if self.now >= self.tick {
            self.tick = self.now + TICK;
            self.turn_over = true;
            self.give_way_at_tick();
        } else {
            self.give_way(false);
        }
    }

    fn expire(&mut self) {
        while let Some(entry) = self.deadlines.first_entry()
            && entry.key().0 <= self.now
        {
            let thread = entry.remove();
            self.threads[thread].wait = Wait::Ended(Wakeup::TimedOut);
            self.make_ready(thread);
        }
    }

    fn park(&mut self, me: usize, deadline: Option<Nanos>) {
        if std::mem::take(&mut self.threads[me].token) {
            return self.events.push(Event::Woken(me, Wakeup::Unparked));
        }
        let deadline = deadline.map(|deadline| {
            self.waits += 1;
            (deadline, self.waits)
        });
        if let Some(deadline) = deadline {
            self.deadlines.insert(deadline, me);
        }
        self.threads[me].wait = Wait::Blocked(deadline);
        self.take_best();
    }

    fn unpark(&mut self, thread: usize) {
        match self.threads[thread].wait {
            Wait::Blocked(deadline) => {
                if let Some(deadline) = deadline {
                    self.deadlines.remove(&deadline);
                }
                self.threads[thread].wait = Wait::Ended(Wakeup::Unparked);
                self.make_ready(thread);
            }
            // It will see that when its wait ends, and take it for the same.
            Wait::Ended(Wakeup::Unparked) => {}
            _ => self.threads[thread].token = true,
        }
    }

    /// The running thread lets others run: those of higher priority, and of the same if
    /// it `yields`.
    fn give_way(&mut self, yields: bool) {
        let Some(me) = self.running else {
            return;
        };
        let priority = self.threads[me].priority;
        let better = self.best().is_some_and(|best| best > priority);
        let equal = self.best() == Some(priority);
        if !(better || equal && yields) {
            return;
        }
        if !yields && self.is_interrupted() {
            return;
        }
        let queue = &mut self.ready[usize::from(priority)];
        if yields || std::mem::take(&mut self.turn_over) {
            queue.push_back(me);
        } else {
            queue.push_front(me);
        }
        self.take_best();
    }

    /// If an interrupt thread has to run, it preempts the running thread, which is the
    /// next when there is none any more.
    fn is_interrupted(&mut self) -> bool {
        let Some(me) = self.running else {
            return false;
        };
        let priority = self.threads[me].priority;
        let interrupted = self
            .best()
            .is_some_and(|best| best > priority && best > INTERRUPTED);
        if interrupted {
            self.ready[usize::from(priority.max(INTERRUPTED))].push_front(me);
            self.take_best();
        }
        interrupted
    }

    /// A thread that was interrupted runs again: it may have lost its turn meanwhile, or
    /// another of the program's may be more important.
    fn go_on(&mut self) {
        let me = self.running.expect("it has just been taken");
        let priority = self.threads[me].priority;
        let best = self.best();
        if best.is_some_and(|best| best > priority) {
            self.give_way(false);
        } else if best == Some(priority) && self.turn_over {
            self.give_way_at_tick();
        }
    }

    /// The running thread's turn is over.
    fn give_way_at_tick(&mut self) {
        let Some(me) = self.running else {
            return;
        };
        let priority = self.threads[me].priority;
        if self.is_interrupted() || priority > INTERRUPTED {
            return;
        }
        if self.best().is_some_and(|best| best >= priority) {
            self.turn_over = false;
            self.ready[usize::from(priority)].push_back(me);
            self.take_best();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn threads_run_in_the_order_of_the_model(programs in programs()) {
        let ran = run_scheduler(&programs);
        let start = 1_000_000;
        prop_assert_eq!(ran, Model::run(&programs, start));
    }
}
