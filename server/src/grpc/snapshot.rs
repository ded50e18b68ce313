//! The database as etcd's tools expect it: a bbolt image, sent in blobs, with its hash behind.
//!
//! The image is produced in two walks over one pinned state: the first measures, so that the first message can say how
//! much is to come; the second writes. At no time does more than a few pages stand in memory.

use std::io;
use std::time::Duration;

use holdfast_bbolt::read::DatabaseHash;
use holdfast_bbolt::snapshot::{Blob, BlobWriter};
use holdfast_bbolt::{Emitter, Plan, WriteError};
use holdfast_engine::mvcc::{MvccError, View, meta, trees};
use holdfast_engine::tree::TreeId;
use holdfast_proto::etcdserverpb as pb;
use holdfast_proto::version;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use crate::member::Member;

/// Blobs that may wait for a slow client, of 32 KiB each.
const PENDING_BLOBS: usize = 16;

/// A client that takes no blob for so long has lost its snapshot: it holds back the reuse of pages.
const STALL: Duration = Duration::from_secs(60);

/// etcd's buckets in their order, with the tree that holds each one's entries.
const BUCKETS: [(&str, TreeId); 10] = [
    ("alarm", trees::ALARMS),
    ("auth", trees::AUTH),
    ("authRoles", trees::AUTH_ROLES),
    ("authUsers", trees::AUTH_USERS),
    ("cluster", trees::CLUSTER),
    ("key", trees::RECORDS),
    ("lease", trees::LEASES),
    ("members", trees::MEMBERS),
    ("members_removed", trees::MEMBERS_REMOVED),
    ("meta", trees::META),
];

/// Where etcd keeps the version of its storage; ours writes what a member of that version would have.
const STORAGE_VERSION_KEY: &[u8] = b"storageVersion";

/// Entries of the meta tree that are this engine's own; etcd has no such keys.
const OWN_META: [&[u8]; 3] = [meta::CURRENT_REVISION, meta::COMPACT_CURSOR, meta::MVCC_FORMAT];

/// Entries of the meta bucket that differ between members of one state, and stay out of the database's hash.
const VOLATILE_META: [&[u8]; 3] = [b"consistent_index", b"term", STORAGE_VERSION_KEY];

/// Why a snapshot ended early.
#[derive(Debug, thiserror::Error)]
enum SnapshotError {
    #[error(transparent)]
    Store(#[from] MvccError),
    #[error(transparent)]
    Image(#[from] WriteError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Sends the image of a pinned state. The receiver may stop reading at any time.
pub(super) fn stream(
    member: Member,
    view: View,
    permit: OwnedSemaphorePermit,
) -> mpsc::Receiver<Result<pb::SnapshotResponse, Status>> {
    let (sender, receiver) = mpsc::channel(PENDING_BLOBS);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let result = write_image(&view, |blob| {
            let message = pb::SnapshotResponse {
                header: None,
                remaining_bytes: blob.remaining_bytes,
                blob: blob.data.into(),
                version: version::STORAGE_VERSION.to_owned(),
            };
            let sent = runtime.block_on(tokio::time::timeout(STALL, sender.send(Ok(message))));
            match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client has stopped reading")),
            }
        });
        match result {
            Ok(()) => {}
            Err(error) if sender.is_closed() => {
                tracing::info!(%error, "a client left before its snapshot was complete");
            }
            Err(SnapshotError::Store(error)) => {
                // A client that is gone does not read why.
                let _ = sender.blocking_send(Err(member.store_failed(error)));
            }
            Err(error) => {
                tracing::warn!(%error, "a snapshot has failed");
                // A client that is gone does not read why.
                let _ = sender
                    .blocking_send(Err(Status::unavailable(format!("the snapshot has failed: {error}"))));
            }
        }
    });
    receiver
}

fn write_image(view: &View, send: impl FnMut(Blob) -> io::Result<()>) -> Result<(), SnapshotError> {
    let mut plan = Plan::new();
    for (name, tree) in BUCKETS {
        plan.bucket(name.as_bytes())?;
        entries(view, tree, |key, value| Ok(plan.entry(key.len(), value.len())?))?;
    }
    let layout = plan.finish()?;
    // bbolt counts transactions; the applied index grows like one.
    let txid = view.mark().max(1);
    let mut image = Emitter::new(layout.clone(), txid, BlobWriter::new(layout.file_len(), send))?;
    for (name, tree) in BUCKETS {
        image.bucket(name.as_bytes())?;
        entries(view, tree, |key, value| Ok(image.entry(key, value)?))?;
    }
    image.finish()?.finish()?;
    Ok(())
}

/// Visits the entries of a bucket in order.
fn entries(
    view: &View,
    tree: TreeId,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    let mut storage_version = (tree.0 == trees::META.0).then_some(version::STORAGE_VERSION.as_bytes());
    for entry in view.aux_entries(tree)? {
        let (key, value) = entry?;
        if let Some(version) = storage_version.take_if(|_| key > STORAGE_VERSION_KEY) {
            visit(STORAGE_VERSION_KEY, version)?;
        }
        if tree.0 != trees::META.0 || !OWN_META.contains(&key) {
            visit(key, value)?;
        }
    }
    match storage_version {
        Some(version) => visit(STORAGE_VERSION_KEY, version),
        None => Ok(()),
    }
}

/// The hash over the whole database, as etcd's `Maintenance.Hash` counts it.
pub(super) fn database_hash(view: &View) -> Result<u32, MvccError> {
    let mut hash = DatabaseHash::new();
    for (name, tree) in BUCKETS {
        hash.bucket(name.as_bytes());
        let visited = entries(view, tree, |key, value| {
            if tree.0 != trees::META.0 || !VOLATILE_META.contains(&key) {
                hash.entry(key, value);
            }
            Ok(())
        });
        match visited {
            Ok(()) => {}
            Err(SnapshotError::Store(error)) => return Err(error),
            Err(SnapshotError::Image(_) | SnapshotError::Io(_)) => unreachable!("hashing writes no image"),
        }
    }
    Ok(hash.sum())
}
