//! Leases as services see them: the lessor under a lock, with the clock that it is judged by.

use std::sync::Arc;
use std::time::Duration;

use holdfast_core::lease::{LeaseTimes, Lessor, RenewRefusal};
use parking_lot::Mutex;

use super::clock::boot_time;

/// Shared by the apply thread, the expiry task and the lease service.
#[derive(Clone)]
pub struct LeaseHandle {
    lessor: Arc<Mutex<Lessor>>,
    /// What a new leader adds to every lease: one election timeout.
    extend: Duration,
}

impl LeaseHandle {
    pub(super) fn new(lessor: Lessor, extend: Duration) -> Self {
        Self { lessor: Arc::new(Mutex::new(lessor)), extend }
    }

    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Lessor) -> R) -> R {
        act(&mut self.lessor.lock())
    }

    /// This member leads, if `leads` still says so.
    pub(super) fn promote_if(&self, now: Duration, leads: impl FnOnce() -> bool) {
        self.with(|lessor| {
            if leads() {
                lessor.promote(now, self.extend);
            }
        });
    }

    pub(super) fn demote(&self) {
        self.with(Lessor::demote);
    }

    /// Gives a lease its full time again; returns the seconds granted.
    ///
    /// # Errors
    /// The lease is unknown or due, or this member does not lead.
    pub fn renew(&self, id: i64) -> Result<i64, RenewRefusal> {
        self.with(|lessor| lessor.renew(id, boot_time()))
    }

    /// What is left of a lease; `None` when there is no such lease.
    pub fn times(&self, id: i64) -> Option<LeaseTimes> {
        self.with(|lessor| lessor.times(id, boot_time()))
    }

    /// All leases; on the leader those that end first come first.
    pub fn list(&self) -> Vec<i64> {
        self.with(|lessor| lessor.list())
    }

    /// At most `limit` leases that are due.
    pub(super) fn take_due(&self, limit: usize) -> Vec<i64> {
        self.with(|lessor| lessor.take_due(boot_time(), limit))
    }
}
