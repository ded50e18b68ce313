//! Bytes from and to clients and peers.

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGaugeVec};

use super::make::{doubling, handles};

handles! {
    /// The network.
    NetworkMetrics {
        client_received_bytes: IntCounter = counter("etcd_network_client_grpc_received_bytes_total", "Bytes of messages from gRPC clients."),
        client_sent_bytes: IntCounter = counter("etcd_network_client_grpc_sent_bytes_total", "Bytes of messages to gRPC clients."),
        stream_failures: IntCounterVec = counters("etcd_network_server_stream_failures_total", "Streams with clients that broke.", &["Type", "API"]),
        active_peers: IntGaugeVec = gauges("etcd_network_active_peers", "1 while the connection to a peer is up.", &["Local", "Remote"]),
        known_peers: IntGaugeVec = gauges("etcd_network_known_peers", "1 for each peer.", &["Local", "Remote"]),
        disconnected_peers: IntCounterVec = counters("etcd_network_disconnected_peers_total", "Connections to peers that broke.", &["Local", "Remote"]),
        peer_sent_bytes: IntCounterVec = counters("etcd_network_peer_sent_bytes_total", "Bytes sent to a peer.", &["To"]),
        peer_received_bytes: IntCounterVec = counters("etcd_network_peer_received_bytes_total", "Bytes received from a peer.", &["From"]),
        peer_sent_failures: IntCounterVec = counters("etcd_network_peer_sent_failures_total", "Messages that could not be sent to a peer.", &["To"]),
        peer_received_failures: IntCounterVec = counters("etcd_network_peer_received_failures_total", "Messages from a peer that could not be taken.", &["From"]),
        peer_round_trip: HistogramVec = histograms("etcd_network_peer_round_trip_time_seconds", "Time of a round trip to a peer.", &["To"], doubling(0.0001, 16)),
        snapshot_send_success: IntCounterVec = counters("etcd_network_snapshot_send_success", "Snapshots sent.", &["To"]),
        snapshot_send_failures: IntCounterVec = counters("etcd_network_snapshot_send_failures", "Snapshots that could not be sent.", &["To"]),
        snapshot_send_inflight: IntGaugeVec = gauges("etcd_network_snapshot_send_inflights_total", "Snapshots being sent.", &["To"]),
        snapshot_send_seconds: HistogramVec = histograms("etcd_network_snapshot_send_total_duration_seconds", "Time to send a snapshot.", &["To"], doubling(0.1, 10)),
        snapshot_receive_success: IntCounterVec = counters("etcd_network_snapshot_receive_success", "Snapshots received.", &["From"]),
        snapshot_receive_failures: IntCounterVec = counters("etcd_network_snapshot_receive_failures", "Snapshots that could not be received.", &["From"]),
        snapshot_receive_inflight: IntGaugeVec = gauges("etcd_network_snapshot_receive_inflights_total", "Snapshots being received.", &["From"]),
        snapshot_receive_seconds: HistogramVec = histograms("etcd_network_snapshot_receive_total_duration_seconds", "Time to receive a snapshot.", &["From"], doubling(0.1, 10)),
    }
}
