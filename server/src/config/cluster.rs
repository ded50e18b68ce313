//! The initial cluster: `name=url,name=url`, and the checks that a member makes before it founds or joins one.
//!
//! They matter on a first start only; a member that has a log ignores all `initial-*` flags. The sentences are etcd's, and
//! etcd's users know them well.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, ToSocketAddrs};

use super::quote::Quoted;
use super::url::{Url, UrlError};

/// Members by name, each with its peer URLs (sorted).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InitialCluster(pub BTreeMap<String, Vec<Url>>);

/// Why a member cannot start with the cluster that it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// A URL in the list is none.
    #[error("error setting up initial cluster: {0}")]
    Url(#[from] UrlError),
    /// This member is not in the list.
    #[error("couldn't find local name {} in the initial cluster configuration", Quoted(.0))]
    NoLocalName(String),
    /// The list knows URLs of this member that it does not advertise.
    #[error(
        "--initial-cluster has {missing} but missing from --initial-advertise-peer-urls={advertised} ({why})"
    )]
    NotAdvertised {
        /// `name=url` for each.
        missing: String,
        /// What is advertised.
        advertised: String,
        /// The first pair that differs.
        why: String,
    },
    /// This member advertises URLs that the list does not know.
    #[error("--initial-advertise-peer-urls has {missing} but missing from --initial-cluster={cluster}")]
    NotInCluster {
        /// The URLs.
        missing: String,
        /// What the list would have to say.
        cluster: String,
    },
    /// Two members, or one member twice, have the same URL.
    #[error("initial cluster {0} has duplicate url")]
    Duplicate(String),
}

impl InitialCluster {
    /// Reads the flag's text. A name that comes again adds a URL; a piece without `=` is a name with an empty (bad) URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let mut members: BTreeMap<String, Vec<Url>> = BTreeMap::new();
        for piece in text.split(',').filter(|piece| !piece.is_empty()) {
            let (name, url) = piece.split_once('=').unwrap_or((piece, ""));
            members.entry(name.to_owned()).or_default().push(Url::parse(url)?);
        }
        for urls in members.values_mut() {
            urls.sort();
        }
        Ok(Self(members))
    }

    /// The checks of a member that founds a cluster: its own name is there, its URLs are the ones it advertises, and no URL
    /// stands twice.
    pub fn verify_bootstrap(&self, name: &str, advertised: &[Url]) -> Result<(), ClusterError> {
        self.verify_advertised(name, advertised)?;
        self.verify_unique()
    }

    /// The checks of a member that joins a cluster, which has heard of its URLs already.
    pub fn verify_join(&self, name: &str) -> Result<(), ClusterError> {
        self.local(name)?;
        self.verify_unique()
    }

    fn local(&self, name: &str) -> Result<&[Url], ClusterError> {
        self.0.get(name).map(Vec::as_slice).ok_or_else(|| ClusterError::NoLocalName(name.to_owned()))
    }

    fn verify_advertised(&self, name: &str, advertised: &[Url]) -> Result<(), ClusterError> {
        let listed = self.local(name)?;
        let mut advertised = advertised.to_vec();
        advertised.sort();
        let Err(why) = same_urls(&advertised, listed) else { return Ok(()) };
        let missing = missing_from(listed, &advertised);
        if !missing.is_empty() {
            let missing: Vec<_> = missing.iter().map(|url| format!("{name}={url}")).collect();
            return Err(ClusterError::NotAdvertised {
                missing: missing.join(","),
                advertised: join(&advertised),
                why,
            });
        }
        let missing = missing_from(&advertised, listed);
        let cluster = Self(BTreeMap::from([(name.to_owned(), advertised)]));
        Err(ClusterError::NotInCluster { missing: missing.join(","), cluster: cluster.to_string() })
    }

    fn verify_unique(&self) -> Result<(), ClusterError> {
        let mut seen = BTreeSet::new();
        if self.0.values().flatten().all(|url| seen.insert(url)) {
            Ok(())
        } else {
            Err(ClusterError::Duplicate(self.to_string()))
        }
    }
}

impl std::fmt::Display for InitialCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut pairs: Vec<_> = self
            .0
            .iter()
            .flat_map(|(name, urls)| urls.iter().map(move |url| format!("{name}={url}")))
            .collect();
        pairs.sort();
        f.write_str(&pairs.join(","))
    }
}

fn missing_from(some: &[Url], others: &[Url]) -> Vec<String> {
    some.iter().filter(|url| !others.contains(url)).map(Url::to_string).collect()
}

fn join(urls: &[Url]) -> String {
    urls.iter().map(Url::as_str).collect::<Vec<_>>().join(",")
}

/// Whether two sorted lists name the same addresses, first by text and then with host names resolved.
fn same_urls(a: &[Url], b: &[Url]) -> Result<(), String> {
    if a == b {
        return Ok(());
    }
    if a.len() != b.len() {
        return Err(format!("len({:?}) != len({:?})", super::url::texts(a), super::url::texts(b)));
    }
    let (mut left, mut right) = (resolve_all(a)?, resolve_all(b)?);
    left.sort();
    right.sort();
    match left.iter().zip(&right).find(|(l, r)| l.0 != r.0) {
        None => Ok(()),
        Some((l, r)) => Err(format!(
            "{}(resolved from {}) != {}(resolved from {})",
            Quoted(&l.0),
            Quoted(&l.1),
            Quoted(&r.0),
            Quoted(&r.1)
        )),
    }
}

/// Each URL with its host name resolved to an address, beside its own text.
fn resolve_all(urls: &[Url]) -> Result<Vec<(String, String)>, String> {
    urls.iter().map(|url| Ok((resolve(url)?, url.to_string()))).collect()
}

fn resolve(url: &Url) -> Result<String, String> {
    let host = url.hostname();
    if url.scheme().is_unix() || host.is_empty() || host.parse::<IpAddr>().is_ok() {
        return Ok(url.to_string());
    }
    let addresses = url
        .host_port()
        .to_socket_addrs()
        .map_err(|error| format!("failed to resolve {} ({error})", Quoted(url.as_str())))?;
    // IPv4 first, as Go's resolver hands them out.
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort_by_key(std::net::SocketAddr::is_ipv6);
    match addresses.first() {
        Some(address) => Ok(format!("{}://{address}", url.scheme().as_str())),
        None => Err(format!("failed to resolve {} (no address)", Quoted(url.as_str()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str) -> Vec<Url> {
        Url::parse_list(text).unwrap()
    }

    #[test]
    fn reads_and_shows() {
        let cluster = InitialCluster::parse("b=http://h:2,a=http://h:1,b=http://g:2,").unwrap();
        assert_eq!(cluster.to_string(), "a=http://h:1,b=http://g:2,b=http://h:2");
        assert_eq!(InitialCluster::parse("").unwrap(), InitialCluster::default());
        assert!(InitialCluster::parse("lonely").is_err());
    }

    #[test]
    fn verifies_in_etcds_words() {
        let cluster = InitialCluster::parse("n1=http://127.0.0.1:2380").unwrap();
        assert_eq!(cluster.verify_bootstrap("n1", &urls("http://127.0.0.1:2380")), Ok(()));
        assert_eq!(
            cluster.verify_bootstrap("default", &urls("http://127.0.0.1:2380")).unwrap_err().to_string(),
            "couldn't find local name \"default\" in the initial cluster configuration"
        );
        assert_eq!(
            cluster.verify_bootstrap("n1", &urls("http://127.0.0.1:2390")).unwrap_err().to_string(),
            "--initial-cluster has n1=http://127.0.0.1:2380 but missing from \
             --initial-advertise-peer-urls=http://127.0.0.1:2390 (\"http://127.0.0.1:2390\"(resolved from \
             \"http://127.0.0.1:2390\") != \"http://127.0.0.1:2380\"(resolved from \"http://127.0.0.1:2380\"))"
        );
        assert_eq!(
            cluster
                .verify_bootstrap("n1", &urls("http://127.0.0.1:2380,http://127.0.0.1:9"))
                .unwrap_err()
                .to_string(),
            "--initial-advertise-peer-urls has http://127.0.0.1:9 but missing from \
             --initial-cluster=n1=http://127.0.0.1:2380,n1=http://127.0.0.1:9"
        );
        let twice = InitialCluster::parse("a=http://h:1,b=http://h:1").unwrap();
        assert_eq!(
            twice.verify_join("a").unwrap_err().to_string(),
            "initial cluster a=http://h:1,b=http://h:1 has duplicate url"
        );
    }

    #[test]
    fn a_host_name_equals_its_address() {
        let cluster = InitialCluster::parse("n=http://localhost:2380").unwrap();
        assert_eq!(cluster.verify_bootstrap("n", &urls("http://127.0.0.1:2380")), Ok(()));
    }
}
