//! The checks between flags, in etcd's order and words. The first that fails is the one reported.

use std::net::IpAddr;

use holdfast_proto::limits;

use super::Config;
use super::flag::Support;
use super::notice::Notice;
use super::quote::Quoted;
use super::url::{Url, texts};
use super::values::Values;
use crate::logging::{Format, Level, LogConfig, Output};

/// Why a set of flags makes no configuration. Logged as `failed to verify flags`; status 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A log level that zap does not know. (etcd panics: status 2.)
    #[error("unrecognized level: {}", Quoted(.0))]
    Level(String),
    /// A feature of etcd's that is not there yet.
    #[error("--{0} is not supported by this version of holdfast")]
    NotSupported(&'static str),
    /// A URL that asks for TLS.
    #[error("TLS (--{flag}={url}) is not supported by this version of holdfast")]
    Tls {
        /// The flag.
        flag: &'static str,
        /// The URL.
        url: String,
    },
    /// `--advertise-client-urls` is missing.
    #[error("--advertise-client-urls is required when --listen-client-urls is set explicitly")]
    AdvertiseUnset,
    /// Any other check; the sentence is etcd's.
    #[error("{0}")]
    Flags(String),
}

fn flags_error(sentence: impl Into<String>) -> Result<(), VerifyError> {
    Err(VerifyError::Flags(sentence.into()))
}

/// The checks that need nothing but the values.
pub(super) fn values(values: &Values, notices: &mut Vec<Notice>) -> Result<(), VerifyError> {
    for flag in values.changed() {
        match flag.support {
            Support::Refused => return Err(VerifyError::NotSupported(flag.name)),
            Support::NoEffect(why) => notices.push(Notice::NoEffect { flag: flag.name, why }),
            Support::Used => {}
        }
    }
    Ok(())
}

/// The checks on the finished configuration.
pub(super) fn config(config: &Config, notices: &mut Vec<Notice>) -> Result<(), VerifyError> {
    bindable(&config.listen_peer_urls)?;
    bindable(&config.listen_client_urls)?;
    bindable(&config.listen_client_http_urls)?;
    if config.listen_client_http_urls.is_empty() {
        notices.push(Notice::SinglePort);
    }
    bindable(&config.listen_metrics_urls)?;
    if let Err(why) = has_hosts(&config.advertise_peer_urls) {
        let list = texts(&config.advertise_peer_urls).join(",");
        flags_error(format!(
            "--initial-advertise-peer-urls {} must be \"host:port\" ({why})",
            Quoted(&list)
        ))?;
    }
    if let Err(why) = has_hosts(&config.advertise_client_urls) {
        let list = texts(&config.advertise_client_urls).join(",");
        flags_error(format!(
            "--advertise-client-urls {} must be in the format \"host:port\", \"unix:/path/to/socket\" or \
             \"unixs:/path/to/socket\" ({why})",
            Quoted(&list)
        ))?;
    }
    timers(config)?;
    if !config.listen_client_urls.is_empty() && config.advertise_client_urls.is_empty() {
        return Err(VerifyError::AdvertiseUnset);
    }
    match config.auto_compaction_mode.as_str() {
        "periodic" | "revision" => {}
        "" => flags_error("undefined auto-compaction-mode")?,
        mode => flags_error(format!("unknown auto-compaction-mode {}", Quoted(mode)))?,
    }
    if config.name == "default" {
        notices.push(Notice::DefaultName);
    }
    plain_text(config)
}

/// Where and how the log is written.
pub(super) fn logging(values: &Values) -> Result<LogConfig, VerifyError> {
    match values.text("logger").as_str() {
        "zap" => {}
        "capnslog" => flags_error("--logger=capnslog is removed in v3.5")?,
        other => flags_error(format!("unknown logger option {}", Quoted(other)))?,
    }
    let outputs = values.words("log-outputs");
    if outputs.len() > 1 && outputs.iter().any(|output| output == "default") {
        flags_error("multi logoutput for \"default\" is not supported yet")?;
    }
    if outputs.iter().any(|output| output == "systemd/journal") {
        flags_error(
            "--log-outputs=systemd/journal is not supported by this version of holdfast; log to stderr under systemd",
        )?;
    }
    let level = values.text("log-level");
    let level = Level::parse(&level).ok_or(VerifyError::Level(level))?;
    let format = match values.text("log-format").as_str() {
        "json" | "" => Format::Json,
        "console" => Format::Console,
        other => {
            flags_error(format!("unknown log format: {other}, supported values json, console"))?;
            Format::Json
        }
    };
    Ok(LogConfig { outputs: outputs.iter().map(|output| Output::parse(output)).collect(), format, level })
}

fn timers(config: &Config) -> Result<(), VerifyError> {
    let (heartbeat, election) = (config.heartbeat_interval.as_millis(), config.election_timeout.as_millis());
    if heartbeat == 0 {
        flags_error("--heartbeat-interval must be >0 (set to 0ms)")?;
    }
    if election == 0 {
        flags_error("--election-timeout must be >0 (set to 0ms)")?;
    }
    if 5 * heartbeat > election {
        flags_error(format!(
            "--election-timeout[{election}ms] should be at least as 5 times as --heartbeat-interval[{heartbeat}ms]"
        ))?;
    }
    let longest = limits::MAX_ELECTION.as_millis();
    if election > longest {
        flags_error(format!(
            "--election-timeout[{election}ms] is too long, and should be set less than {longest}ms"
        ))?;
    }
    Ok(())
}

/// Listeners take addresses, and of all names only `localhost`: what a name resolves to may change.
fn bindable(urls: &[Url]) -> Result<(), VerifyError> {
    for url in urls.iter().filter(|url| !url.scheme().is_unix()) {
        if url.hostname() != "localhost" && url.hostname().parse::<IpAddr>().is_err() {
            flags_error(format!("expected IP in URL for binding ({url})"))?;
        }
    }
    Ok(())
}

fn has_hosts(urls: &[Url]) -> Result<(), String> {
    match urls.iter().find(|url| !url.scheme().is_unix() && url.hostname().is_empty()) {
        Some(url) => Err(format!("unexpected empty host ({url})")),
        None => Ok(()),
    }
}

/// No listener may ask for TLS, which is not there yet.
fn plain_text(config: &Config) -> Result<(), VerifyError> {
    for (flag, urls) in [
        ("listen-peer-urls", &config.listen_peer_urls),
        ("listen-client-urls", &config.listen_client_urls),
        ("listen-client-http-urls", &config.listen_client_http_urls),
        ("listen-metrics-urls", &config.listen_metrics_urls),
    ] {
        if let Some(url) = urls.iter().find(|url| url.scheme().is_tls()) {
            return Err(VerifyError::Tls { flag, url: url.to_string() });
        }
    }
    Ok(())
}
