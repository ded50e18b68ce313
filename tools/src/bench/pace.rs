//! `--rate`: at most so many requests started in a second.
//!
//! A limiter holds at most one unused start (Go's rate limiter with burst 1): a generator that fell behind
//! does not catch up with a burst. Starts are handed out, in the order asked, by one task that a kernel timer
//! wakes every 100 µs or less often; the runtime's own timer counts in milliseconds, which at 20,000 requests a
//! second would send bursts of 20 and measure the queue that they make.

use std::{
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task::JoinHandle};

/// Shortest time between two wake-ups of the limiter. Shorter would spend the generator's core on timers;
/// longer would show in the latency of paced requests.
const SHORTEST_TICK: Duration = Duration::from_micros(100);

/// Hands out starts at a rate.
#[derive(Debug)]
pub struct Limiter {
    starts: Option<Rc<Semaphore>>,
    pacer: Option<JoinHandle<()>>,
}

impl Limiter {
    /// A limiter of `rate` starts per second; 0 is no limit. Must be made inside a local task set.
    pub fn new(rate: u64) -> io::Result<Self> {
        if rate == 0 {
            return Ok(Self { starts: None, pacer: None });
        }
        let interval = Duration::from_nanos((1_000_000_000 / rate).max(1));
        let starts = Rc::new(Semaphore::new(1));
        let ticker = ticker::Ticker::new(interval.max(SHORTEST_TICK))?;
        let pacer = tokio::task::spawn_local(pace(Rc::clone(&starts), rate, ticker));
        Ok(Self { starts: Some(starts), pacer: Some(pacer) })
    }

    /// Returns when the caller may start a request.
    pub async fn wait(&self) {
        if let Some(starts) = &self.starts {
            starts.acquire().await.expect("the semaphore is never closed").forget();
        }
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        if let Some(pacer) = &self.pacer {
            pacer.abort();
        }
    }
}

/// Adds the starts that have become due since the last tick, and drops those that nobody wanted.
async fn pace(starts: Rc<Semaphore>, rate: u64, mut ticker: ticker::Ticker) {
    let began = Instant::now();
    let mut given: u64 = 0;
    loop {
        ticker.tick().await;
        let due = (began.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
        starts.add_permits((due - given) as usize);
        given = due;
        let unused = starts.available_permits();
        starts.forget_permits(unused.saturating_sub(1));
    }
}

/// A timer of the kernel's own resolution.
#[cfg(target_os = "linux")]
mod ticker {
    use std::{io, os::fd::OwnedFd, time::Duration};

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use tokio::io::{Interest, unix::AsyncFd};

    /// Fires every `period`.
    pub(super) struct Ticker(AsyncFd<OwnedFd>);

    impl Ticker {
        pub(super) fn new(period: Duration) -> io::Result<Self> {
            let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            let period = Timespec { tv_sec: period.as_secs() as _, tv_nsec: period.subsec_nanos() as _ };
            timerfd_settime(
                &timer,
                TimerfdTimerFlags::empty(),
                &Itimerspec { it_interval: period, it_value: period },
            )?;
            Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
        }

        pub(super) async fn tick(&mut self) {
            let mut expirations = [0u8; 8];
            let read = self.0.async_io(Interest::READABLE, |timer| Ok(rustix::io::read(timer, &mut expirations)?));
            read.await.expect("a timer that is armed can be read");
        }
    }
}

/// The runtime's timer, where there is no other.
#[cfg(not(target_os = "linux"))]
mod ticker {
    use std::{io, time::Duration};

    /// Fires every `period`, at least every millisecond.
    pub(super) struct Ticker(tokio::time::Interval);

    impl Ticker {
        #[expect(clippy::unnecessary_wraps, reason = "the kernel's timer may fail")]
        pub(super) fn new(period: Duration) -> io::Result<Self> {
            Ok(Self(tokio::time::interval(period.max(Duration::from_millis(1)))))
        }

        pub(super) async fn tick(&mut self) {
            self.0.tick().await;
        }
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
        let local = tokio::task::LocalSet::new();
        for (rate, starts) in [(100, 11), (20_000, 2001)] {
            let elapsed = local.block_on(&runtime, starts_within(rate, starts));
            // The first start is there at once; whole ticks may be rounded in our favour by one.
            let least = Duration::from_secs_f64(f64::from(starts - 2) / rate as f64);
            assert!(elapsed >= least, "{starts} starts at {rate}/s took {elapsed:?}");
        }
    }

    #[test]
    fn unused_starts_are_not_saved_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
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
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let limiter = Limiter::new(0).unwrap();
            assert!(limiter.starts.is_none());
            limiter.wait().await;
        });
    }
}
