//! Owners at the same time.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::environment::heap;
use crate::class::LARGEST;

const OWNERS: usize = 4;

struct Parcel(NonNull<u8>, Layout, u8);

// SAFETY: it is handed over.
unsafe impl Send for Parcel {}

/// Random numbers: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % limit
    }
}

/// Every owner allocates, and sends what it has to any other, who frees it.
#[test]
fn memory_goes_round_between_owners() {
    let heap = heap(512, OWNERS);
    let (senders, receivers): (Vec<SyncSender<Parcel>>, Vec<Receiver<Parcel>>) =
        (0..OWNERS).map(|_| sync_channel(200)).unzip();
    thread::scope(|scope| {
        for (owner, receiver) in receivers.into_iter().enumerate() {
            let (heap, senders) = (&heap, senders.clone());
            scope.spawn(move || {
                let mut local = heap.claim(owner).unwrap();
                let mut random = Random(owner as u64 * 77 + 1);
                let free = |local: &mut crate::Local<'_, _>, Parcel(memory, layout, content)| {
                    // SAFETY: it was allocated like that, and filled.
                    unsafe {
                        let bytes = core::slice::from_raw_parts(memory.as_ptr(), layout.size());
                        assert!(bytes.iter().all(|&byte| byte == content));
                        local.deallocate(memory, layout);
                    }
                };
                for turn in 0..20_000 {
                    let size = match random.below(20) {
                        0 => random.below(2 * LARGEST),
                        _ => 8 + 8 * random.below(20),
                    };
                    let layout = Layout::from_size_align(size.max(1), 8).unwrap();
                    let memory = local.allocate(layout).expect("memory");
                    let content = turn as u8;
                    // SAFETY: it is ours.
                    unsafe { memory.write_bytes(content, layout.size()) };
                    let to = &senders[random.below(OWNERS)];
                    if let Err(back) = to.try_send(Parcel(memory, layout, content)) {
                        let (std::sync::mpsc::TrySendError::Full(parcel)
                        | std::sync::mpsc::TrySendError::Disconnected(parcel)) = back;
                        free(&mut local, parcel);
                    }
                    while let Ok(parcel) = receiver.try_recv() {
                        free(&mut local, parcel);
                    }
                    match random.below(1000) {
                        0 => {
                            local.reclaim();
                        }
                        1..10 => local.collect(),
                        _ => {}
                    }
                }
                drop(senders);
                for parcel in receiver {
                    free(&mut local, parcel);
                }
            });
        }
        drop(senders);
    });
    for _ in 0..2 {
        for owner in 0..OWNERS {
            heap.claim(owner).unwrap().reclaim();
        }
    }
    assert_eq!(heap.environment.chunks.there(), 0);
    assert!(heap.environment.misused.lock().unwrap().is_empty());
}
