//! The batch: committed entries applied in one engine transaction.

use holdfast_engine::mvcc::{ApplyTxn, CompactProgress, MvccError, Store, trees};
use holdfast_proto::error::EtcdError;
use holdfast_proto::etcdserverpb as pb;
use prost::Message as _;

use super::request::Request;
use super::{
    Alarms, Applied, ApplyError, Failure, LeaseEffect, Outcome, Reply, alarm, cluster, header, kv, lease,
    txn, unreadable,
};
use crate::lease::Lessor;
use crate::membership::{self, Membership};
use crate::raft::{Committed, CommittedKind, decode_conf_change};

/// Where the index of the last applied entry stands, as etcd has it: eight bytes, highest first, in the META tree.
const INDEX_KEY: &[u8] = b"consistent_index";
/// Where the term of the last applied entry stands, in the same form.
pub const TERM_KEY: &[u8] = b"term";

/// The state that entries are applied to.
pub struct Applier {
    store: Store,
    membership: Membership,
    alarms: Alarms,
    min_lease_ttl: i64,
    applied: u64,
}

impl Applier {
    /// Over a store, with what it holds of members and alarms. `min_lease_ttl` is in seconds and, like `max_learners`,
    /// must be equal on all members.
    pub fn open(store: Store, min_lease_ttl: i64, max_learners: usize) -> Result<Self, ApplyError> {
        let view = store.view().map_err(|source| ApplyError::Store { index: 0, source })?;
        let applied = view.mark();
        let membership = membership::load(&view, max_learners)?;
        let alarms = Alarms::load(&view).map_err(|source| ApplyError::Store { index: applied, source })?;
        Ok(Self { store, membership, alarms, min_lease_ttl, applied })
    }

    /// A lessor with the leases that the store holds.
    pub fn lessor(&self) -> Result<Lessor, ApplyError> {
        let leases = self.store.view().and_then(|view| lease::load(&view));
        leases.map_err(|source| ApplyError::Store { index: self.applied, source })
    }

    /// Index of the last applied entry.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The members.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The alarms in force.
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// The last compaction; −1 if there never was one.
    pub fn compact_revision(&self) -> Result<i64, ApplyError> {
        let view = self.store.view().map_err(|source| ApplyError::Store { index: self.applied, source })?;
        Ok(view.compact_revision())
    }

    /// Term of the last applied entry; zero before the first.
    pub fn applied_term(&self) -> Result<u64, ApplyError> {
        let failed = |source| ApplyError::Store { index: self.applied, source };
        let view = self.store.view().map_err(failed)?;
        match view.aux(trees::META, TERM_KEY).map_err(failed)? {
            None => Ok(0),
            Some(stored) => {
                let bytes = stored.try_into().map_err(|_| {
                    failed(unreadable(trees::META, TERM_KEY, "the term does not have eight bytes"))
                })?;
                Ok(u64::from_be_bytes(bytes))
            }
        }
    }

    /// Applies entries in order and publishes them together. `over_quota` says that this member's database is over its
    /// quota: requests that need space are applied all the same, as they are on the other members, but their proposers
    /// are told that there is none.
    ///
    /// # Errors
    /// [`ApplyError`]: nothing of the batch is published, and the member must stop.
    ///
    /// # Panics
    /// When an entry is applied twice, or a refused request has changed something: bugs that must not reach the store.
    pub fn apply(&mut self, entries: Vec<Committed>, over_quota: bool) -> Result<Applied, ApplyError> {
        let begun = self.store.begin().map_err(|source| ApplyError::Store { index: self.applied, source });
        let mut batch = Batch { txn: begun?, out: Applied::default(), over_quota };
        for entry in entries {
            let (index, term) = (entry.index, entry.term);
            assert!(index > self.applied, "entry {index} is already applied (up to {})", self.applied);
            self.apply_entry(&mut batch, entry)?;
            self.applied = index;
            batch.out.index = index;
            batch.out.term = term;
        }
        let (index, term) = (batch.out.index, batch.out.term);
        let published = batch
            .txn
            .aux_put(trees::META, INDEX_KEY, &index.to_be_bytes())
            .and_then(|()| batch.txn.aux_put(trees::META, TERM_KEY, &term.to_be_bytes()))
            .and_then(|()| {
                batch.txn.set_mark(index);
                batch.txn.publish()
            });
        published.map_err(|source| ApplyError::Store { index, source })?;
        Ok(batch.out)
    }

    /// Removes at most `max_rows` rows of what the last compaction let go, in a transaction of its own.
    pub fn compact_step(&mut self, max_rows: usize) -> Result<CompactProgress, ApplyError> {
        let failed = |source| ApplyError::Store { index: self.applied, source };
        let mut txn = self.store.begin().map_err(failed)?;
        let progress = txn.compact_step(max_rows).map_err(failed)?;
        if !matches!(progress, CompactProgress::Idle | CompactProgress::Held { .. }) {
            txn.set_mark(self.applied);
            txn.publish().map_err(failed)?;
        }
        Ok(progress)
    }

    fn apply_entry(&mut self, batch: &mut Batch, entry: Committed) -> Result<(), ApplyError> {
        let index = entry.index;
        match entry.kind {
            CommittedKind::Empty => batch.out.term_started = Some(entry.term),
            CommittedKind::Request(payload) => {
                let envelope = pb::InternalRaftRequest::decode(payload)
                    .map_err(|source| ApplyError::Decode { index, source })?;
                let id = match (&envelope.header, envelope.id) {
                    (Some(header), 0) => header.id,
                    (_, id) => id,
                };
                let request = Request::from_envelope(envelope)
                    .map_err(|what| ApplyError::UnknownRequest { index, what })?;
                let outcome = self
                    .apply_request(batch, request)
                    .map_err(|source| ApplyError::Store { index, source })?;
                batch.out.replies.push((id, outcome));
            }
            CommittedKind::ConfChange(payload) => {
                let change = decode_conf_change(&payload)
                    .map_err(|source| ApplyError::ConfChange { index, source })?;
                let id = change.request_id;
                let (outcome, accepted) = cluster::conf_change(&mut batch.txn, &mut self.membership, change)
                    .map_err(|source| ApplyError::Store { index, source })?;
                batch.out.membership_changed |= accepted.is_some();
                batch.out.conf_changes.push(accepted);
                batch.out.replies.push((id, outcome));
            }
        }
        Ok(())
    }

    fn apply_request(&mut self, batch: &mut Batch, request: Request) -> Result<Outcome, MvccError> {
        if let Some(refusal) = request.refused_by(&self.alarms) {
            return Ok(Err(refusal));
        }
        let told_no_space = batch.over_quota && request.needs_space();
        let outcome = match self.dispatch(batch, request) {
            Ok(reply) => Ok(reply),
            Err(Failure::Client(error)) => Err(error),
            Err(Failure::Fatal(error)) => return Err(error),
        };
        if told_no_space && outcome.is_ok() {
            batch.out.told_no_space = true;
            return Ok(Err(EtcdError::NoSpace));
        }
        Ok(outcome)
    }

    fn dispatch(&mut self, batch: &mut Batch, request: Request) -> Result<Reply, Failure> {
        let Batch { txn, out, .. } = batch;
        Ok(match request {
            Request::Put(request) => {
                out.counts.puts += 1;
                out.counts.put_bytes += (request.key.len() + request.value.len()) as u64;
                Reply::Put(batch.revision(|txn, _| kv::put(txn, &request))?.stamped())
            }
            Request::DeleteRange(request) => {
                let response = batch.revision(|txn, _| kv::delete_range(txn, &request))?.stamped();
                batch.out.counts.deletes += response.deleted.unsigned_abs();
                Reply::DeleteRange(response)
            }
            Request::Txn(request) => {
                let response = batch.revision(|txn, base| txn::apply(txn, &request, base))?.response;
                batch.out.counts.add_txn(&request, &response);
                Reply::Txn(response)
            }
            Request::Compaction(request) => {
                // The first of a batch alone can have found the one before it complete.
                out.compaction_to_hash = txn.compact(request.revision)?.or(out.compaction_to_hash);
                out.compacted = Some(request.revision);
                Reply::Compaction(pb::CompactionResponse { header: header(txn.revision()) })
            }
            Request::LeaseGrant(request) => {
                let (response, effect) = lease::grant(txn, &request, self.min_lease_ttl)?;
                out.leases.push(effect);
                Reply::LeaseGrant(response)
            }
            Request::LeaseRevoke(request) => {
                let (response, changes) = lease::revoke(txn, request.id)?;
                out.revisions.extend(changes);
                out.leases.push(LeaseEffect::Revoked { id: request.id });
                Reply::LeaseRevoke(response)
            }
            Request::LeaseCheckpoint(request) => {
                out.leases.extend(lease::checkpoint(txn, &request)?);
                Reply::LeaseCheckpoint(pb::LeaseCheckpointResponse { header: header(txn.revision()) })
            }
            Request::Alarm(request) => {
                let (response, changed) = alarm::apply(txn, &mut self.alarms, &request)?;
                out.alarms_changed |= changed;
                Reply::Alarm(response)
            }
            Request::SetVersion(request) => {
                out.membership_changed = true;
                cluster::set_version(txn, &mut self.membership, &request)??
            }
            Request::SetAttributes(request) => {
                out.membership_changed = true;
                cluster::set_attributes(txn, &mut self.membership, &request)??
            }
            Request::Nothing => Reply::Done,
        })
    }
}

struct Batch {
    txn: ApplyTxn,
    out: Applied,
    over_quota: bool,
}

/// A response, and the revision of the store after it.
struct AtRevision<T> {
    response: T,
    revision: i64,
}

impl Batch {
    /// Runs a writing request as one revision. A request that is refused has written nothing.
    fn revision<T>(
        &mut self,
        run: impl FnOnce(&mut ApplyTxn, i64) -> Result<T, Failure>,
    ) -> Result<AtRevision<T>, Failure> {
        let base = self.txn.revision();
        self.txn.begin_revision();
        let result = run(&mut self.txn, base);
        let changes = self.txn.end_revision();
        let response = result.inspect_err(|failure| {
            assert!(
                changes.is_none() || matches!(failure, Failure::Fatal(_)),
                "a refused request has changed the store"
            );
        })?;
        self.out.revisions.extend(changes);
        Ok(AtRevision { response, revision: self.txn.revision() })
    }
}

/// Responses whose header is the revision after them.
trait Stamp {
    fn set_header(&mut self, header: Option<pb::ResponseHeader>);
}

impl Stamp for pb::PutResponse {
    fn set_header(&mut self, header: Option<pb::ResponseHeader>) {
        self.header = header;
    }
}

impl Stamp for pb::DeleteRangeResponse {
    fn set_header(&mut self, header: Option<pb::ResponseHeader>) {
        self.header = header;
    }
}

impl<T: Stamp> AtRevision<T> {
    fn stamped(mut self) -> T {
        self.response.set_header(header(self.revision));
        self.response
    }
}
