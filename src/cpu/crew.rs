//! Carries tasks out on several threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Looks that the calling thread takes for the others to finish before it sleeps: some tens of microseconds. Being
/// woken takes as long, and a small tensor is normalized in less.
const LOOKS: usize = 1 << 14;

/// Carries the tasks out, in order, each on one thread. In parallel these are the calling thread, which need not wait
/// for any other to wake up, and those of the current rayon pool.
pub(super) fn for_each<T: Send>(parallel: bool, tasks: Vec<T>, task: impl Fn(T) + Send + Sync) {
    let threads = if parallel { rayon::current_num_threads().min(tasks.len()) } else { 1 };
    if threads <= 1 {
        return tasks.into_iter().for_each(task);
    }
    // Each thread has its own stretch of tasks, and so of memory; the first that are done take from the ends of others.
    let mut tasks = tasks.into_iter();
    let mut queues = Vec::with_capacity(threads);
    for left in (1..=threads).rev() {
        let share = tasks.len().div_ceil(left);
        queues.push(Mutex::new(tasks.by_ref().take(share).collect::<VecDeque<T>>()));
    }
    let queue = |thread: usize| queues[thread].lock().unwrap_or_else(PoisonError::into_inner);
    let next = |thread: usize| {
        let own = queue(thread).pop_front();
        own.or_else(|| (1..threads).find_map(|other| queue((thread + other) % threads).pop_back()))
    };
    let work = |thread: usize| {
        while let Some(next) = next(thread) {
            task(next);
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
