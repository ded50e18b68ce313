//! The database as etcd's tools expect it: a bbolt image, sent in blobs, with its hash behind.
//!
//! The image is produced in two walks over one state ([`Image`]): the first measures, so that the first message can say
//! how much is to come; the second writes. At no time does more than a chunk stand in memory, and no root is pinned while
//! a client is waited for.

use std::io;
use std::path::Path;
use std::time::Duration;

use holdfast_bbolt::snapshot::{Blob, BlobWriter};
use holdfast_bbolt::{Emitter, Plan};
use holdfast_engine::mvcc::{MvccError, Store};
use holdfast_proto::etcdserverpb as pb;
use holdfast_proto::version;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use super::image::{Image, ImageError, Sink};
use crate::member::Member;
use crate::member::holds::SNAPSHOT_TICKS;

/// Blobs that may wait for a slow client, of 32 KiB each.
const PENDING_BLOBS: usize = 16;

/// A client that takes no blob for so long has lost its snapshot: it keeps a thread, and it holds back compaction.
const STALL: Duration = Duration::from_secs(60);

/// Sends the image of the newest state. The receiver may stop reading at any time. What does not fit into memory goes
/// into `folder`.
pub(super) fn stream(
    member: Member,
    folder: std::path::PathBuf,
    permit: OwnedSemaphorePermit,
) -> mpsc::Receiver<Result<pb::SnapshotResponse, Status>> {
    let (sender, receiver) = mpsc::channel(PENDING_BLOBS);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let result = write_image(member.store(), &folder, SNAPSHOT_TICKS, |blob| {
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
        let Err(error) = result else { return };
        if sender.is_closed() {
            return tracing::info!(%error, "a client left before its snapshot was complete");
        }
        // A client that is gone does not read why.
        let _ = sender.blocking_send(Err(refusal(&member, error)));
    });
    receiver
}

/// What the client is told of a snapshot that ends early. A store that cannot be read stops the member.
pub(super) fn refusal(member: &Member, error: ImageError) -> Status {
    match error {
        ImageError::Store(MvccError::Outlived { .. }) => {
            tracing::warn!("a snapshot has passed its limit and ends");
            Status::unavailable(format!(
                "etcdserver: the snapshot took longer than {SNAPSHOT_TICKS} seconds and was ended, because it holds \
                 back compaction; try again with a faster connection"
            ))
        }
        ImageError::Store(error) => member.store_failed(error),
        error @ (ImageError::Image(_) | ImageError::Io(_)) => {
            tracing::warn!(%error, "a snapshot has failed");
            Status::unavailable(format!("the snapshot has failed: {error}"))
        }
    }
}

/// Gives the image to `send`, in two walks over one state.
pub(super) fn write_image(
    store: &Store,
    folder: &Path,
    limit_ticks: u64,
    send: impl FnMut(Blob) -> io::Result<()>,
) -> Result<(), ImageError> {
    let mut state = Image::take(store, folder, limit_ticks)?;
    let mut plan = Plan::new();
    state.walk(&mut plan)?;
    let layout = plan.finish()?;
    // bbolt counts transactions; the applied index grows like one.
    let txid = state.mark().max(1);
    let mut image = Emitter::new(layout.clone(), txid, BlobWriter::new(layout.file_len(), send))?;
    state.last_walk(&mut image)?;
    image.finish()?.finish()?;
    Ok(())
}

impl Sink for Plan {
    fn bucket(&mut self, name: &str) -> Result<(), ImageError> {
        Ok(Self::bucket(self, name.as_bytes())?)
    }

    fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), ImageError> {
        Ok(Self::entry(self, key.len(), value.len())?)
    }
}

impl<W: io::Write> Sink for Emitter<W> {
    fn bucket(&mut self, name: &str) -> Result<(), ImageError> {
        Ok(Self::bucket(self, name.as_bytes())?)
    }

    fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), ImageError> {
        Ok(Self::entry(self, key, value)?)
    }
}
