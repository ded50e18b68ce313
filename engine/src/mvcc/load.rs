//! Loading a history that another member, or etcd itself, has written.
//!
//! An import, and a snapshot from another member, bring RECORDS alone, in order. The rows of LIVE, HISTORY and
//! `LEASE_KEYS` follow from them. The history may have been compacted: then the first version that is left of a key
//! names creation and version itself, and a deletion may come without anything that it deleted.
//!
//! `snapshot restore` of etcd can jump over revisions: it writes a record with an empty value at the revision jumped
//! to. etcd takes that for a version of the empty key, which no client can ask for, and hashes it as such; so do we.

use super::error::{MvccError, printable};
use super::keyvalue::KeyValue;
use super::live::VersionInfo;
use super::meta::{self, FINISHED_COMPACT, SCHEDULED_COMPACT};
use super::revision::{RecordKey, Revision};
use super::trees::RECORDS;
use super::txn::ApplyTxn;
use crate::tree::TreeRead;

impl ApplyTxn {
    /// Adds one record of a history: key (17 or 18 bytes) and wire form, as they stand in etcd's bucket `key`. Records
    /// must come in order, and only into a store that holds no later ones. Raises the current revision.
    ///
    /// # Panics
    ///
    /// Inside a revision.
    pub fn load_record(&mut self, key: &[u8], wire: &[u8]) -> Result<(), MvccError> {
        assert!(!self.in_revision(), "loading inside a revision");
        let refuse = |what| MvccError::Load { key: printable(key), what };
        let record = RecordKey::decode(key).ok_or_else(|| refuse("not a revision"))?;
        if self.last_record()?.is_some_and(|last| last >= record.revision) {
            return Err(refuse("it does not come after the records that are there"));
        }
        let kv = KeyValue::decode(wire).ok_or_else(|| refuse("not a key-value"))?;
        if record.tombstone {
            let old = self.reader().live_row(kv.key)?;
            self.write_tombstone(kv.key, record.revision, wire, old.as_ref())?;
        } else {
            let info = version_of(record.revision, &kv, wire.len()).map_err(refuse)?;
            self.write_version(kv.key, &info, wire)?;
        }
        self.last_loaded = Some(record.revision);
        self.position.revision = self.position.revision.max(record.revision.main);
        Ok(())
    }

    /// Sets both marks of compaction as the history that was loaded has them, −1 for none. What was asked for and not
    /// finished there is finished by [`ApplyTxn::compact_step`]. Raises the current revision to the marks.
    pub fn load_compaction(&mut self, scheduled: i64, finished: i64) -> Result<(), MvccError> {
        let scheduled = scheduled.max(finished);
        for (key, main) in [(SCHEDULED_COMPACT, scheduled), (FINISHED_COMPACT, finished)] {
            if main >= 0 {
                meta::write_compaction(&mut self.txn, key, main)?;
            }
        }
        self.position.scheduled = scheduled;
        self.position.finished = finished;
        self.position.revision = self.position.revision.max(scheduled);
        Ok(())
    }

    fn last_record(&self) -> Result<Option<Revision>, MvccError> {
        if self.last_loaded.is_some() {
            return Ok(self.last_loaded);
        }
        let mut cursor = self.txn.cursor(RECORDS);
        cursor.seek_last()?;
        Ok(cursor.entry()?.and_then(|(key, _)| RecordKey::decode(key)).map(|key| key.revision))
    }
}

fn version_of(modified: Revision, kv: &KeyValue<'_>, len: usize) -> Result<VersionInfo, &'static str> {
    if len > 0 && kv.mod_revision != modified.main {
        return Err("its mod revision is not that of its key");
    }
    if kv.create_revision < 0 || kv.create_revision > modified.main || kv.version < 0 {
        return Err("its numbers contradict each other");
    }
    Ok(VersionInfo {
        create_revision: kv.create_revision,
        modified,
        version: kv.version,
        lease: kv.lease,
        record_len: len as u64,
    })
}
