//! `--rate`: at most so many requests started in a second.
//!
//! A limiter holds at most one unused start (Go's rate limiter with burst 1): a generator that fell behind
//! does not catch up with a burst. Starts are handed out in the order asked, by a thread that does nothing but
//! sleep for 100 µs or longer and count what has become due; the runtime's own timer counts in milliseconds,
//! which at 20,000 requests a second would send bursts of 20 and measure the queue that they make.

use std::{
    io,
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

/// Shortest sleep of the limiter. Shorter would spend the generator's core on waking up; longer would show in
/// the latency of paced requests.
const SHORTEST_TICK: Duration = Duration::from_micros(100);
/// Longest sleep of the limiter, so that its thread ends soon after its run at any rate.
const LONGEST_TICK: Duration = Duration::from_millis(50);

/// Hands out starts at a rate.
#[derive(Debug)]
pub(crate) struct Limiter(Option<Arc<Semaphore>>);

impl Limiter {
    /// A limiter of `rate` starts per second; 0 is no limit.
    pub(crate) fn new(rate: u64) -> io::Result<Self> {
        if rate == 0 {
            return Ok(Self(None));
        }
        let starts = Arc::new(Semaphore::new(1));
        let shared = Arc::downgrade(&starts);
        thread::Builder::new().name("pace".to_owned()).spawn(move || pace(&shared, rate))?;
        Ok(Self(Some(starts)))
    }

    /// Returns when the caller may start a request.
    pub(crate) async fn wait(&self) {
        if let Some(starts) = &self.0 {
            starts.acquire().await.expect("the semaphore is never closed").forget();
        }
    }
}

/// Adds the starts that have become due since the last tick, and drops those that nobody wanted; ends with the
/// limiter.
fn pace(starts: &Weak<Semaphore>, rate: u64) {
    let began = Instant::now();
    let interval = Duration::from_nanos(1_000_000_000 / rate);
    let mut given: u64 = 0;
    loop {
        thread::sleep(interval.clamp(SHORTEST_TICK, LONGEST_TICK));
        let Some(starts) = starts.upgrade() else { return };
        let due = (began.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
        starts.add_permits((due - given) as usize);
        given = due;
        let unused = starts.available_permits();
        starts.forget_permits(unused.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn starts_within(rate: u64, starts: u32) -> Duration {
        let limiter = Limiter::new(rate).unwrap();
        let began = Instant::now();
        for _ in 0..starts {
            limiter.wait().await;
        }
        began.elapsed()
    }

    /// A rate is an upper bound: however slow the machine is, the starts take no less than their time.
    #[test]
    fn no_faster_than_the_rate() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (rate, starts) in [(100, 11), (20_000, 2001)] {
            let elapsed = runtime.block_on(starts_within(rate, starts));
            // The first start is there at once; whole ticks may be rounded in our favour by one.
            let least = Duration::from_secs_f64(f64::from(starts - 2) / rate as f64);
            assert!(elapsed >= least, "{starts} starts at {rate}/s took {elapsed:?}");
        }
    }

    #[test]
    fn unused_starts_are_not_saved_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let limiter = Limiter::new(50).unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            let began = Instant::now();
            for _ in 0..4 {
                limiter.wait().await;
            }
            assert!(began.elapsed() >= Duration::from_millis(40), "a burst of saved starts");
        });
    }

    #[test]
    fn no_rate_is_no_limit() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let limiter = Limiter::new(0).unwrap();
            assert!(limiter.0.is_none());
            limiter.wait().await;
        });
    }
}
