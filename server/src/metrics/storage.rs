//! Disk and MVCC: the log, the database, keys, watches, compaction.

use prometheus::{Histogram, HistogramVec, IntCounter, IntGauge};

use super::make::handles;

handles! {
    /// The log and the database file.
    DiskMetrics {
        wal_fsync: Histogram = histogram("etcd_disk_wal_fsync_duration_seconds", "Time to make a group of the log durable.", 0.001, 14),
        wal_write: Histogram = histogram("etcd_disk_wal_write_duration_seconds", "Time to write a group of the log.", 0.001, 14),
        wal_write_bytes: IntGauge = gauge("etcd_disk_wal_write_bytes_total", "Bytes written to the log."),
        backend_commit: Histogram = histogram("etcd_disk_backend_commit_duration_seconds", "Time of a checkpoint of the database.", 0.001, 14),
        backend_snapshot: Histogram = histogram("etcd_disk_backend_snapshot_duration_seconds", "Time to send a snapshot of the database.", 0.01, 17),
        backend_defrag: Histogram = histogram("etcd_disk_backend_defrag_duration_seconds", "Time of a defragmentation.", 0.1, 13),
        defrag_inflight: IntGauge = gauge("etcd_disk_defrag_inflight", "1 while a defragmentation runs, else 0."),
        snap_fsync: Histogram = histogram("etcd_snap_fsync_duration_seconds", "Time to make a raft snapshot durable.", 0.001, 14),
        snap_db_fsync: Histogram = histogram("etcd_snap_db_fsync_duration_seconds", "Time to make a received database durable.", 0.001, 14),
        snap_db_save: Histogram = histogram("etcd_snap_db_save_total_duration_seconds", "Time to receive and save a database.", 0.1, 10),
    }
}

handles! {
    /// The storage engine: what etcd has no names for.
    EngineMetrics {
        writer_held: HistogramVec = histograms("holdfast_engine_writer_held_seconds", "Time for which a step has held the writer of the database, by kind of step.", &["step"], super::make::doubling(0.0001, 14)),
        file_bytes: IntGauge = gauge("holdfast_engine_file_bytes", "Length of the database file on the disk."),
        held_by_durable_bytes: IntGauge = gauge("holdfast_engine_held_by_durable_bytes", "Free pages of the database that wait for the next checkpoint, in bytes."),
        held_by_readers_bytes: IntGauge = gauge("holdfast_engine_held_by_readers_bytes", "Free pages of the database that wait for slow readers, in bytes."),
        oldest_reader: IntGauge = gauge("holdfast_engine_oldest_reader_seconds", "For how long the oldest reader has pinned its state of the database; 0 when there is none."),
        scrubbed_pages: IntCounter = counter("holdfast_engine_scrubbed_pages_total", "Pages of the database that the scrubber has compared with their checksums."),
        scrub_faults: IntCounter = counter("holdfast_engine_scrub_faults_total", "Damaged pages that the scrubber has found; the member stops at the first."),
        scrub_rounds: IntCounter = counter("holdfast_engine_scrub_rounds_total", "Rounds of the scrubber through the whole database."),
        scrub_last_round: IntGauge = gauge("holdfast_engine_scrub_last_round_timestamp_seconds", "Unix time at which the scrubber's last full round was complete; 0 after a start."),
        long_reads: IntGauge = gauge("holdfast_engine_long_reads", "Reads in chunks (snapshots, hashes) that hold back physical compaction."),
        oldest_long_read: IntGauge = gauge("holdfast_engine_oldest_long_read_seconds", "Age of the oldest of these reads; 0 when there is none."),
        long_reads_ended: IntCounter = counter("holdfast_engine_long_reads_ended_total", "Reads in chunks that were ended because they passed their limit."),
    }
}

handles! {
    /// Keys and revisions.
    MvccMetrics {
        put: IntCounter = counter("etcd_mvcc_put_total", "Puts applied by this member."),
        delete: IntCounter = counter("etcd_mvcc_delete_total", "Keys deleted by this member."),
        range: IntCounter = counter("etcd_mvcc_range_total", "Ranges read on this member."),
        txn: IntCounter = counter("etcd_mvcc_txn_total", "Transactions applied by this member."),
        hash: Histogram = histogram("etcd_mvcc_hash_duration_seconds", "Time to hash the database.", 0.01, 15),
        hash_rev: Histogram = histogram("etcd_mvcc_hash_rev_duration_seconds", "Time to hash the database at a revision.", 0.01, 15),
        db_total_bytes: IntGauge = gauge("etcd_mvcc_db_total_size_in_bytes", "Bytes that the database file has."),
        db_in_use_bytes: IntGauge = gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes of the database file that are in use."),
        open_read_transactions: IntGauge = gauge("etcd_mvcc_db_open_read_transactions", "Readers that pin a state of the database."),
        keys: IntGauge = gauge("etcd_debugging_mvcc_keys_total", "Keys that exist."),
        current_revision: IntGauge = gauge("etcd_debugging_mvcc_current_revision", "Revision of the store."),
        compact_revision: IntGauge = gauge("etcd_debugging_mvcc_compact_revision", "Revision of the last compaction."),
        put_bytes: IntGauge = gauge("etcd_debugging_mvcc_total_put_size_in_bytes", "Bytes of keys and values put through this member."),
        compaction_keys: IntCounter = counter("etcd_debugging_mvcc_db_compaction_keys_total", "Revisions removed by compaction."),
        compaction_last: IntGauge = gauge("etcd_debugging_mvcc_db_compaction_last", "Unix time of the last compaction; 0 after a start."),
        compaction_pause_ms: Histogram = histogram("etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds", "Time of one step of a compaction.", 1.0, 13),
        compaction_total_ms: Histogram = histogram("etcd_debugging_mvcc_db_compaction_total_duration_milliseconds", "Time of a whole compaction.", 100.0, 14),
    }
}

handles! {
    /// Watches.
    WatchMetrics {
        streams: IntGauge = gauge("etcd_debugging_mvcc_watch_stream_total", "Open watch streams."),
        watchers: IntGauge = gauge("etcd_debugging_mvcc_watcher_total", "Watchers."),
        slow_watchers: IntGauge = gauge("etcd_debugging_mvcc_slow_watcher_total", "Watchers that are behind."),
        events: IntCounter = counter("etcd_debugging_mvcc_events_total", "Events sent to watchers."),
        pending_events: IntGauge = gauge("etcd_debugging_mvcc_pending_events_total", "Events that wait to be sent."),
        send_control: Histogram = histogram("etcd_debugging_server_watch_send_loop_control_stream_duration_seconds", "Time to send an answer that is no event.", 0.001, 14),
        send_progress: Histogram = histogram("etcd_debugging_server_watch_send_loop_progress_duration_seconds", "Time to send a progress notification.", 0.001, 14),
        send_events: Histogram = histogram("etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds", "Time to send a batch of events.", 0.001, 14),
        send_event: Histogram = histogram("etcd_debugging_server_watch_send_loop_watch_stream_duration_per_event_seconds", "Time to send a batch of events, by event.", 0.001, 14),
    }
}
