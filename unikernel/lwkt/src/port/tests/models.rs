//! Every order of what threads do to the same message or queue. A thread that waits
//! for ever makes a model fail.

use std::sync::Arc;

use loom::thread::spawn;

use super::model::{Model, model};
use super::tally::Tally;
use crate::critical::MayBlock;
use crate::message::{Error, Mailbox, Message, Pending, Sent, Terms};
use crate::port::{
    Bounds, Many, Port, QueuePort, Received, Receiver, spin_port, thread_port, wait_any,
};
use crate::sync::atomic::{AtomicBool, Ordering};

type Echo = QueuePort<Model, u32, u32>;

fn leave() -> MayBlock<Model> {
    // SAFETY: the threads of the models are in no critical section when they use it.
    unsafe { MayBlock::assume() }
}

fn put(mailbox: &Mailbox<Model, u32>, port: &Echo, request: u32) -> Pending<Model, u32> {
    match mailbox.put(port, request, Terms::NONE) {
        Ok(Sent::Queued(pending)) => pending,
        Ok(Sent::Done(_)) => panic!("this port has no agent"),
        Err(refused) => panic!("{refused}"),
    }
}

/// Answers messages with their request until the port is closed.
fn serve<Kind>(mut receiver: Receiver<Model, u32, u32, Kind>, tally: &Tally) {
    while let Ok(received) = receiver.wait(&leave(), None) {
        if let Received::Message(message) = received {
            reply(message, tally);
        }
    }
}

fn reply(message: Message<Model, u32, u32>, tally: &Tally) {
    let request = *message.request();
    tally.replied(message.reply(request));
}

#[test]
fn put_against_get() {
    model(4, || {
        let (port, receiver) = thread_port(Bounds::new(1));
        let tally = Tally::new(1);
        let senders = tally.clone();
        spawn(move || {
            senders.answered(Mailbox::new(1).call(&leave(), &port, 1), &[]);
            port.close();
        });
        spawn(move || serve(receiver, &tally));
    });
}

#[test]
fn reply_against_abort() {
    model(4, || {
        let (port, receiver) = thread_port(Bounds::new(1));
        let tally = Tally::new(1);
        let senders = tally.clone();
        spawn(move || {
            let pending = put(&Mailbox::new(1), &port, 1);
            pending.abort();
            senders.answered(pending.wait(&leave()), &[Error::Aborted]);
            port.close();
        });
        spawn(move || serve(receiver, &tally));
    });
}

/// The receiver keeps the message until it hears of the abort.
#[test]
fn abort_wakes_the_receiver() {
    model(4, || {
        let (port, mut receiver) = thread_port::<Model, u32, u32>(Bounds::new(1).kept(2));
        let tally = Tally::new(1);
        let senders = tally.clone();
        spawn(move || {
            let pending = put(&Mailbox::new(1), &port, 1);
            let id = pending.id();
            pending.abort();
            let outcome = pending.wait(&leave());
            assert_eq!(outcome, Err(Error::Aborted), "{id:?}");
            senders.answered(outcome, &[Error::Aborted]);
            port.close();
        });
        spawn(move || {
            let mut kept = None;
            loop {
                match receiver.wait(&leave(), None) {
                    Ok(Received::Message(message)) => kept = Some(message),
                    Ok(Received::Abort(id)) => {
                        assert_eq!(kept.take().map(|kept| kept.id()), Some(id));
                    }
                    Err(_) => break,
                }
            }
            drop(tally);
        });
    });
}

#[test]
fn reply_against_timeout() {
    model(4, || {
        let (port, receiver) = thread_port(Bounds::new(1));
        let tally = Tally::new(1);
        let senders = tally.clone();
        spawn(move || {
            let outcome = Mailbox::new(1).call_with(&leave(), &port, 1, Terms::by(1));
            senders.answered(outcome, &[Error::TimedOut]);
            port.close();
        });
        spawn(move || serve(receiver, &tally));
    });
}

/// The same by way of the mailbox, which must find the answer once.
#[test]
fn reply_against_timeout_in_a_mailbox() {
    model(4, || {
        let (port, receiver) = thread_port::<Model, u32, u32>(Bounds::new(1));
        let tally = Tally::new(1);
        let senders = tally.clone();
        spawn(move || {
            let mut mailbox = Mailbox::new(1);
            let id = mailbox.send(&port, 1, Terms::by(1)).unwrap();
            let answer = mailbox.wait(&leave(), None).unwrap();
            assert_eq!(answer.id, id);
            senders.answered(answer.outcome, &[Error::TimedOut]);
            assert_eq!(mailbox.wait(&leave(), None), Err(Error::NothingSent));
            port.close();
        });
        spawn(move || serve(receiver, &tally));
    });
}

/// A late reply does not end up as the answer to the next message in the same slot.
#[test]
fn reply_against_abandoned_handle() {
    model(4, || {
        let (port, mut receiver) = thread_port::<Model, u32, u32>(Bounds::new(2));
        spawn(move || {
            let mailbox = Mailbox::new(1);
            match put(&mailbox, &port, 1).try_get() {
                Ok(outcome) => assert_eq!(outcome, Ok(1)),
                Err(pending) => drop(pending),
            }
            assert_eq!(put(&mailbox, &port, 2).wait(&leave()), Ok(2));
            port.close();
        });
        spawn(move || {
            while let Ok(received) = receiver.wait(&leave(), None) {
                if let Received::Message(message) = received {
                    let request = *message.request();
                    let in_time = message.reply(request).is_ok();
                    assert!(in_time || request == 1);
                }
            }
        });
    });
}

/// The receiver answers one message and ends; the port closes under the senders.
#[test]
fn reply_against_exit() {
    model(3, || {
        let (port, mut receiver) = thread_port(Bounds::new(2));
        let tally = Tally::new(2);
        for _ in 0..2 {
            let (port, tally) = (port.clone(), tally.clone());
            spawn(move || {
                let outcome = Mailbox::new(1).call(&leave(), &port, 1);
                tally.answered(outcome, &[Error::Closed, Error::Dropped]);
            });
        }
        spawn(move || {
            if let Ok(Some(Received::Message(message))) = receiver.get() {
                reply(message, &tally);
            }
            let taken = receiver.get();
            drop(receiver);
            drop(taken);
        });
    });
}

#[test]
fn put_against_close() {
    model(3, || {
        let (port, receiver) = thread_port(Bounds::new(1));
        let tally = Tally::new(1);
        let (senders, closers) = (tally.clone(), port.clone());
        spawn(move || {
            let outcome = Mailbox::new(1).call(&leave(), &port, 1);
            senders.answered(outcome, &[Error::Closed]);
        });
        spawn(move || closers.close());
        spawn(move || serve(receiver, &tally));
    });
}

#[test]
fn forward_against_abort() {
    model(3, || {
        let (first, mut forwarder) = thread_port::<Model, u32, u32>(Bounds::new(1));
        let (second, receiver) = thread_port(Bounds::new(1));
        let tally = Tally::new(1);
        let (senders, forwarders) = (tally.clone(), tally.clone());
        let last = second.clone();
        spawn(move || {
            let pending = put(&Mailbox::new(1), &first, 1);
            pending.abort();
            senders.answered(pending.wait(&leave()), &[Error::Aborted]);
            first.close();
            last.close();
        });
        spawn(move || {
            while let Ok(received) = forwarder.wait(&leave(), None) {
                if let Received::Message(message) = received
                    && let Err(refused) = message.forward(&second)
                {
                    let known = [Error::Aborted, Error::Closed, Error::Over];
                    assert!(known.contains(&refused.error), "{refused:?}");
                }
            }
            drop(forwarders);
        });
        spawn(move || serve(receiver, &tally));
    });
}

/// A sender that goes on as another thread: as if it had moved to another CPU.
#[test]
fn order_of_a_sender_that_moves() {
    model(3, || {
        let (port, mut receiver) = thread_port::<Model, u32, u32>(Bounds::new(4));
        let moved = Arc::new(AtomicBool::new(false));
        for sender in [10, 20] {
            let (port, moved) = (port.clone(), moved.clone());
            spawn(move || {
                if sender == 20 {
                    port.tell(20, Terms::NONE).unwrap();
                    while !moved.load(Ordering::Acquire) {
                        loom::thread::yield_now();
                    }
                    port.tell(11, Terms::NONE).unwrap();
                } else {
                    port.tell(10, Terms::NONE).unwrap();
                    moved.store(true, Ordering::Release);
                }
            });
        }
        spawn(move || {
            let mut requests = Vec::new();
            while requests.len() < 3 {
                match receiver.wait(&leave(), None) {
                    Ok(Received::Message(message)) => requests.push(*message.request()),
                    _ => panic!("nobody aborts or closes"),
                }
            }
            requests.retain(|request| *request != 20);
            assert_eq!(requests, [10, 11]);
        });
    });
}

/// Two senders each send two messages.
#[test]
fn order_of_two_senders() {
    model(3, || {
        let (port, mut receiver) = thread_port::<Model, u32, u32>(Bounds::new(4));
        for sender in [10, 20] {
            let port = port.clone();
            spawn(move || {
                port.tell(sender, Terms::NONE).unwrap();
                port.tell(sender + 1, Terms::NONE).unwrap();
            });
        }
        spawn(move || {
            let mut last = [9, 19];
            for _ in 0..4 {
                let Ok(Received::Message(message)) = receiver.wait(&leave(), None) else {
                    panic!("nobody aborts or closes")
                };
                let sender = (*message.request() / 10 - 1) as usize;
                assert_eq!(*message.request(), last[sender] + 1);
                last[sender] += 1;
            }
        });
    });
}

/// Two senders, one place: each is woken when it is its turn.
#[test]
fn room_wakes_senders() {
    model(3, || {
        let (port, mut receiver) = thread_port(Bounds::new(1));
        let tally = Tally::new(2);
        for request in [1, 2] {
            let (port, tally) = (port.clone(), tally.clone());
            spawn(move || {
                let outcome = Mailbox::new(1).call(&leave(), &port, request);
                assert_eq!(outcome, Ok(request));
                tally.answered(outcome, &[]);
            });
        }
        spawn(move || {
            for _ in 0..2 {
                match receiver.wait(&leave(), None) {
                    Ok(Received::Message(message)) => reply(message, &tally),
                    _ => panic!("nobody aborts or closes"),
                }
            }
        });
    });
}

/// A sender that gives up does not take another's wake-up along.
#[test]
fn room_is_not_lost_with_a_sender_that_gives_up() {
    model(2, || {
        let (port, mut receiver) = thread_port::<Model, u32, u32>(Bounds::new(1));
        port.tell(0, Terms::NONE).unwrap();
        let waiting = port.clone();
        spawn(move || {
            let outcome = Mailbox::<_, u32>::new(1).call_with(&leave(), &port, 1, Terms::by(1));
            assert!(matches!(
                outcome,
                Err(Error::TimedOut | Error::Dropped | Error::Closed)
            ));
        });
        spawn(move || {
            let outcome = Mailbox::<_, u32>::new(1).call(&leave(), &waiting, 2);
            assert_eq!(outcome, Ok(2));
            waiting.close();
        });
        spawn(move || {
            while let Ok(received) = receiver.wait(&leave(), None) {
                if let Received::Message(message) = received
                    && *message.request() == 2
                {
                    message.reply(2).unwrap();
                }
            }
        });
    });
}

/// Two receivers of one port, two messages: none of either waits in vain.
#[test]
fn two_receivers() {
    model(3, || {
        let (port, receiver) = spin_port::<Model, u32, u32>(Bounds::new(2));
        let receivers: [Receiver<_, _, _, Many>; 2] = [receiver.clone(), receiver];
        for mut receiver in receivers {
            spawn(move || {
                let received = receiver.wait(&leave(), None);
                assert!(matches!(received, Ok(Received::Message(_))));
            });
        }
        spawn(move || {
            for request in [1, 2] {
                port.tell(request, Terms::NONE).unwrap();
            }
        });
    });
}

/// A receiver that gives up has the other one woken in its place.
#[test]
fn message_is_not_lost_with_a_receiver_that_gives_up() {
    model(3, || {
        let (port, mut patient) = spin_port::<Model, u32, u32>(Bounds::new(1));
        let mut hasty = patient.clone();
        let closer = port.clone();
        spawn(move || match hasty.wait(&leave(), Some(1)) {
            Ok(Received::Message(_)) => closer.close(),
            Ok(Received::Abort(_)) => panic!("nobody aborts"),
            Err(error) => assert_eq!(error, Error::TimedOut),
        });
        spawn(move || {
            let received = patient.wait(&leave(), None);
            assert!(matches!(
                received,
                Ok(Received::Message(_)) | Err(Error::Closed)
            ));
        });
        spawn(move || assert_eq!(port.tell(1, Terms::NONE).map_err(|it| it.error), Ok(())));
    });
}

/// A thread that waits for a port and for a reply sees both.
#[test]
fn wait_for_any() {
    model(3, || {
        let (inbox, mut receiver) = thread_port::<Model, u32, u32>(Bounds::new(1));
        let (server, served) = thread_port(Bounds::new(1));
        let tally = Tally::new(1);
        let servers = tally.clone();
        spawn(move || inbox.tell(1, Terms::NONE).unwrap());
        spawn(move || serve(served, &servers));
        spawn(move || {
            let mut mailbox = Mailbox::new(1);
            mailbox.send(&server, 2, Terms::NONE).unwrap();
            let mut seen = [false; 2];
            while seen != [true; 2] {
                let ready = wait_any(&leave(), &mut [&mut receiver, &mut mailbox], None).unwrap();
                seen[ready] |= match ready {
                    0 => matches!(receiver.get(), Ok(Some(_))),
                    _ => mailbox
                        .get()
                        .map(|answer| tally.answered(answer.outcome, &[]))
                        .is_some(),
                };
            }
            server.close();
        });
    });
}
