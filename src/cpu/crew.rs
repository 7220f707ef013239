//! Carries tasks out on several threads.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Looks that the calling thread takes for the others to finish before it sleeps: some tens of microseconds. Being
/// woken takes as long, and a small tensor is normalized in less.
const LOOKS: usize = 1 << 14;

/// Rounds in which a thread of the pool looks for more before it sleeps: about as long as waking it would take, some 100
/// microseconds. To be asleep costs more than that where a system wakes a thread on the processor that the calling one
/// runs on: Linux does, in virtual machines, if the others are halted.
const ROUNDS: usize = 1 << 8;

thread_local! {
    static LINGERS: Cell<bool> = const { Cell::new(false) };
}

/// Has this thread of the pool take whatever the pool has for it, for a while, when it is done with what it does.
fn linger() {
    if LINGERS.get() {
        return;
    }
    rayon::spawn(|| {
        // Another thread may have taken it.
        if LINGERS.replace(true) {
            return;
        }
        let mut round = 0;
        while round < ROUNDS {
            round = if rayon::yield_now() == Some(rayon::Yield::Executed) { 0 } else { round + 1 };
            std::thread::yield_now();
        }
        LINGERS.set(false);
    });
}

/// The way that a thread goes through its tasks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Forth,
    /// From the last one, after a pass that went forth: what that pass has read last is still in the caches.
    Back,
}

/// Carries the tasks out, each on one thread. In parallel these are the calling thread, which need not wait for any other
/// to wake up, and those of the current rayon pool. What a thread's tasks use one after the other, `new` makes once for
/// them all.
pub(super) fn for_each<T: Send, W>(
    parallel: bool,
    way: Way,
    mut tasks: Vec<T>,
    new: impl Fn() -> W + Send + Sync,
    task: impl Fn(&mut W, T) + Send + Sync,
) {
    let threads = if parallel { rayon::current_num_threads().min(tasks.len()) } else { 1 };
    if threads <= 1 {
        let workspace = &mut new();
        if way == Way::Back {
            tasks.reverse();
        }
        return tasks.into_iter().for_each(|next| task(workspace, next));
    }
    // Each thread has its own stretch of tasks, and so of memory; the first that are done take from the ends of others.
    let mut tasks = tasks.into_iter();
    let mut queues = Vec::with_capacity(threads);
    for left in (1..=threads).rev() {
        let share = tasks.len().div_ceil(left);
        let mut queue: VecDeque<T> = tasks.by_ref().take(share).collect();
        if way == Way::Back {
            queue.make_contiguous().reverse();
        }
        queues.push(Mutex::new(queue));
    }
    let queue = |thread: usize| queues[thread].lock().unwrap_or_else(PoisonError::into_inner);
    let next = |thread: usize| {
        let own = queue(thread).pop_front();
        own.or_else(|| (1..threads).find_map(|other| queue((thread + other) % threads).pop_back()))
    };
    let work = |thread: usize| {
        let mut workspace = None;
        while let Some(next) = next(thread) {
            task(workspace.get_or_insert_with(&new), next);
        }
    };
    let active = AtomicUsize::new(0);
    rayon::in_place_scope(|scope| {
        for thread in 1..threads {
            let (work, active) = (&work, &active);
            scope.spawn(move |_| {
                active.fetch_add(1, Ordering::Relaxed);
                work(thread);
                active.fetch_sub(1, Ordering::Release);
                linger();
            });
        }
        work(0);
        for _ in 0..LOOKS {
            if active.load(Ordering::Acquire) == 0 {
                break;
            }
            std::hint::spin_loop();
        }
    });
}
