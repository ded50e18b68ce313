//! Figures about a database.

/// A root that has been made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The transaction.
    pub txn: u64,
    /// The caller's mark that was published with it.
    pub mark: u64,
}

/// What [`Db::stats`](super::Db::stats) tells. Costs no walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DbStats {
    /// Length of the file.
    pub file_bytes: u64,
    /// Pages that have ever been used and not been given back: meta pages, pages in use, and free pages.
    pub pages: u64,
    /// Pages below that mark which hold nothing that the newest root needs.
    pub free_pages: u64,
    /// `pages` without `free_pages`.
    pub pages_in_use: u64,
    /// Free pages that must wait because the root that a crash would leave, or the one that a checkpoint is making
    /// durable, needs them.
    pub pages_held_by_durable: u64,
    /// Free pages that must wait because a snapshot, and no older durable root, needs them. As of the newest publication:
    /// what a snapshot that has gone held is still counted until then.
    pub pages_held_by_readers: u64,
    /// Pages that nobody has needed for a few intervals between checkpoints: what moving pages off the end can give back.
    pub surplus_pages: u64,
    /// True when a checkpoint would give space back even though nothing has been published since the last one.
    pub wants_checkpoint: bool,
    /// Bytes in a page.
    pub page_size: u32,
    /// Snapshots that are alive.
    pub readers: u64,
    /// Transaction of the oldest root that a snapshot pins.
    pub oldest_reader_txn: Option<u64>,
    /// For how many ticks ([`Db::set_tick`](super::Db::set_tick)) the oldest of them has been there.
    pub oldest_reader_ticks: Option<u64>,
    /// Newest published transaction.
    pub published_txn: u64,
    /// Newest durable transaction.
    pub durable_txn: u64,
    /// Mark of the newest durable transaction.
    pub durable_mark: u64,
    /// Bytes written by publishing since the newest checkpoint began.
    pub published_bytes_since_checkpoint: u64,
}
