//! The life of the server, in etcd's order: directory, listeners, member, serving, stopping.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::datadir::{DataDir, DataDirError};
use super::node::{Context, End, Node};
use super::{lines, notify, signals};
use crate::config::url::texts;
use crate::config::{ClusterError, ClusterState, Config, InitialCluster, Url};
use crate::http::{Access, ClientHttp, HealthSource, PeerSource, metrics_router, peer_router};
use crate::listen::{BindError, Front, HttpService, Listener, Server, Settings, bind};
use crate::logging::{Log, json};
use crate::metrics::Metrics;

/// How long requests may still take once the member has failed: most of them can only wait in vain.
const FAILED_PATIENCE: Duration = Duration::from_secs(1);

/// Why a server did not come up. Logged as `discovery failed`, which is what etcd calls it; status 1.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("file descriptor limit of etcd process is too low; please set higher (limit {0}, at least {reserved})", reserved = signals::RESERVED_DESCRIPTORS + 1)]
    Descriptors(u64),
    #[error("cannot catch signals: {0}")]
    Signals(std::io::Error),
    #[error("{0}")]
    Node(Box<dyn Error + Send + Sync>),
}

/// How the process is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// With this status.
    Exit(i32),
    /// By this signal.
    Signal(signals::Signal),
}

/// Runs a member until it ends.
pub(super) async fn run<N: Node>(config: Config, log: Log) -> Ended {
    let config = Arc::new(config);
    match start::<N>(&config, log).await {
        Ok(running) => running.serve().await,
        Err(error) => {
            tracing::error!(severity = "fatal", error = %error, "discovery failed");
            Ended::Exit(1)
        }
    }
}

/// Open sockets, not served yet.
struct Listeners {
    peer: Vec<Listener>,
    client: Vec<Listener>,
    client_http: Vec<Listener>,
    metrics: Vec<Listener>,
}

/// A server with a member in it.
struct Running<N> {
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    node: Arc<N>,
    /// Clients and metrics, which end before the member does.
    front: Server,
    /// Peers, which the member needs until it is stopped.
    peers: Server,
    client: Vec<Listener>,
    client_http: Vec<Listener>,
}

async fn start<N: Node>(config: &Arc<Config>, log: Log) -> Result<Running<N>, StartError> {
    let data_dir = Arc::new(DataDir::open(config)?);
    let listeners = open_listeners(config)?;
    let limit = signals::connection_limit().map_err(StartError::Descriptors)?;
    let bootstrap = if data_dir.initialized() { None } else { Some(initial_cluster(config)?) };
    lines::starting(config, data_dir.initialized(), bootstrap.as_ref());
    let metrics = Arc::new(Metrics::new(config.extensive_metrics));
    metrics.server.quota_backend_bytes.set(config.quota_backend_bytes.map_or(0, |bytes| bytes as i64));
    metrics.before_scrape(move |metrics| {
        let told = metrics.server.log_lines_dropped.get();
        metrics.server.log_lines_dropped.inc_by(log.dropped().saturating_sub(told));
    });
    let context = Context { config: Arc::clone(config), metrics: Arc::clone(&metrics), data_dir, bootstrap };
    let node = Arc::new(N::start(context).await.map_err(StartError::Node)?);
    metrics.server.set_member_id(node.member_id());
    let mut running = Running {
        config: Arc::clone(config),
        metrics,
        node,
        front: Server::new(limit),
        peers: Server::new(limit),
        client: listeners.client,
        client_http: listeners.client_http,
    };
    running.serve_peers(listeners.peer);
    running.serve_metrics(listeners.metrics);
    lines::serving(config, running.node.member_id());
    Ok(running)
}

fn open_listeners(config: &Config) -> Result<Listeners, BindError> {
    let open = |urls: &[Url]| {
        urls.iter().map(|url| bind(url, config.socket_reuse_port)).collect::<Result<Vec<_>, _>>()
    };
    tracing::info!("listen-peer-urls" = ?json(&texts(&config.listen_peer_urls)), "configuring peer listeners");
    let peer = open(&config.listen_peer_urls)?;
    tracing::info!("listen-client-urls" = ?json(&texts(&config.listen_client_urls)), "configuring client listeners");
    let client = open(&config.listen_client_urls)?;
    let client_http = open(&config.listen_client_http_urls)?;
    let metrics = open(&config.listen_metrics_urls)?;
    Ok(Listeners { peer, client, client_http, metrics })
}

/// The cluster of a first start, checked against what this member advertises.
fn initial_cluster(config: &Config) -> Result<InitialCluster, ClusterError> {
    let cluster = config.initial_cluster()?;
    match config.initial_cluster_state {
        ClusterState::New => cluster.verify_bootstrap(&config.name, &config.advertise_peer_urls)?,
        ClusterState::Existing => cluster.verify_join(&config.name)?,
    }
    Ok(cluster)
}

impl<N: Node> Running<N> {
    fn health(&self) -> Arc<dyn HealthSource> {
        Arc::clone(&self.node) as Arc<dyn HealthSource>
    }

    fn serve_peers(&mut self, listeners: Vec<Listener>) {
        let peers = Arc::clone(&self.node) as Arc<dyn PeerSource>;
        let router = peer_router(self.health(), peers, self.node.peer_routes());
        for listener in listeners {
            tracing::info!(address = listener.address(), "serving peer traffic");
            let http = HttpService::Plain(router.clone());
            let front = Front::<N::Grpc>::new(None, http, Arc::clone(&self.metrics));
            self.peers.add(listener, front, Settings::plain());
        }
    }

    fn serve_metrics(&mut self, listeners: Vec<Listener>) {
        let timeout = self.config.request_timeout();
        let router = metrics_router(self.health(), Arc::clone(&self.metrics), timeout);
        for listener in listeners {
            tracing::info!(address = format!("http://{}", listener.address()), "serving metrics");
            let http = HttpService::Plain(router.clone());
            let front = Front::<N::Grpc>::new(None, http, Arc::clone(&self.metrics));
            self.front.add(listener, front, Settings::plain());
        }
    }

    /// Clients come last, when the member can answer them; until then they wait in the kernel's queue.
    fn serve_clients(&mut self) {
        let access = Access::new(&self.config.cors, &self.config.host_whitelist);
        let timeout = self.config.request_timeout();
        let http = HttpService::Client(ClientHttp::new(
            self.health(),
            Arc::clone(&self.metrics),
            access,
            timeout,
            self.node.client_routes(),
        ));
        let split = !self.client_http.is_empty();
        let settings = Settings::new(&self.config);
        let grpc = self.node.grpc();
        for listener in std::mem::take(&mut self.client) {
            announce(&listener, if split { "grpc" } else { "grpc+http" });
            let http = if split { HttpService::None } else { http.clone() };
            let front = Front::new(Some(grpc.clone()), http, Arc::clone(&self.metrics));
            self.front.add(listener, front, settings.clone());
        }
        for listener in std::mem::take(&mut self.client_http) {
            announce(&listener, "http");
            let front = Front::<N::Grpc>::new(None, http.clone(), Arc::clone(&self.metrics));
            self.front.add(listener, front, settings.clone());
        }
    }

    /// Waits until the member can serve, serves, and waits for the end.
    async fn serve(mut self) -> Ended {
        tokio::select! {
            () = self.node.ready() => {}
            end = self.node.ended() => return self.end_by_itself(end).await,
        }
        tracing::info!("ready to serve client requests");
        self.serve_clients();
        let signal = match signals::catch() {
            Ok(signal) => signal,
            Err(error) => {
                let error = StartError::Signals(error);
                tracing::error!(severity = "fatal", error = %error, "discovery failed");
                let patience = self.config.request_timeout();
                self.close(patience).await;
                return Ended::Exit(1);
            }
        };
        notify::ready();
        tokio::select! {
            signal = signal => {
                tracing::info!(signal = signal.as_str(), "received signal; shutting down");
                let patience = self.config.request_timeout();
                self.close(patience).await;
                Ended::Signal(signal)
            }
            end = self.node.ended() => self.end_by_itself(end).await,
        }
    }

    async fn end_by_itself(self, end: End) -> Ended {
        let (code, patience) = match end {
            End::Removed => {
                let id = format!("{:x}", self.node.member_id());
                tracing::warn!(
                    "local-member-id" = id,
                    "server stopped; this member was removed from the cluster"
                );
                (0, self.config.request_timeout())
            }
            End::Failed(reason) => {
                tracing::error!(severity = "fatal", error = reason, "the member has failed");
                (1, FAILED_PATIENCE)
            }
        };
        self.close(patience).await;
        Ended::Exit(code)
    }

    /// Clients first, so that what they have asked for can still be answered within `patience`; then the member; then its
    /// peers.
    async fn close(self, patience: Duration) {
        lines::closing(&self.config, "closing etcd server");
        self.node.stopping();
        self.front.stop(patience).await;
        self.node.stop().await;
        for url in &self.config.listen_peer_urls {
            tracing::info!(address = url.host_port(), "stopping serving peer traffic");
        }
        self.peers.stop(Duration::from_secs(1)).await;
        lines::closing(&self.config, "closed etcd server");
    }
}

fn announce(listener: &Listener, traffic: &str) {
    tracing::info!(
        traffic,
        address = listener.address(),
        "serving client traffic insecurely; this is strongly discouraged!"
    );
}
