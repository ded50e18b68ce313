//! Who may call over plain HTTP: the host whitelist, and CORS.
//!
//! The whitelist guards against DNS rebinding (CVE-2018-5702): a browser that was led here by a name of the attacker's sends
//! that name as `Host`. It is checked before anything else. CORS headers go on every other answer of a client listener, and
//! `OPTIONS` ends there.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, HOST, HeaderMap,
    HeaderValue, ORIGIN,
};
use http::{Method, Request, Response, StatusCode};

use super::answer;
use crate::config::quote::Quoted;
use crate::config::url::split_host_port;

/// The two lists; `*` in a list, or an empty list, allows all.
#[derive(Debug, Clone)]
pub struct Access {
    cors: Arc<BTreeSet<String>>,
    hosts: Arc<BTreeSet<String>>,
}

/// What is to be done with a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Answer this.
    Answer(Box<Response<Body>>),
    /// Serve it and add these headers.
    Serve(HeaderMap),
}

impl Access {
    /// From `--cors` and `--host-whitelist`.
    pub fn new(cors: &BTreeSet<String>, hosts: &BTreeSet<String>) -> Self {
        Self { cors: Arc::new(cors.clone()), hosts: Arc::new(hosts.clone()) }
    }

    pub(super) fn judge(&self, request: &Request<Body>) -> Verdict {
        let host = host_of(request);
        if !allows(&self.hosts, &host) {
            tracing::warn!(host, "rejecting HTTP request to prevent DNS rebinding attacks");
            return Verdict::Answer(Box::new(answer::error(
                StatusCode::MISDIRECTED_REQUEST,
                &misdirected(&host),
            )));
        }
        let headers = self.cors_headers(request);
        if request.method() == Method::OPTIONS {
            let mut response = Response::new(Body::empty());
            *response.headers_mut() = headers;
            return Verdict::Answer(Box::new(response));
        }
        Verdict::Serve(headers)
    }

    fn cors_headers(&self, request: &Request<Body>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let origin = request.headers().get(ORIGIN);
        let allowed = if allows(&self.cors, "*") {
            Some(HeaderValue::from_static("*"))
        } else {
            let known = origin
                .and_then(|origin| origin.to_str().ok())
                .is_some_and(|origin| allows(&self.cors, origin));
            origin.filter(|_| known).cloned()
        };
        if let Some(allowed) = allowed {
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE"),
            );
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("accept, content-type, authorization"),
            );
        }
        headers
    }
}

fn allows(list: &BTreeSet<String>, entry: &str) -> bool {
    list.is_empty() || list.contains("*") || list.contains(entry)
}

/// The host that the client asked for, without its port; the whole text when it is no "host:port".
fn host_of(request: &Request<Body>) -> String {
    let text = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
    };
    split_host_port(text).map_or(text, |(host, _)| host).to_owned()
}

/// etcd's answer, word for word: people find the flag by it.
fn misdirected(host: &str) -> String {
    format!(
        "\netcd received your request, but the Host header was unrecognized.\n\n\
         To fix this, choose one of the following options:\n\
         - Enable TLS, then any HTTPS request will be allowed.\n\
         - Add the hostname you want to use to the whitelist in settings.\n\
         \x20 - e.g. etcd --host-whitelist {}\n\n\
         This requirement has been added to help prevent \"DNS Rebinding\" attacks (CVE-2018-5702).\n",
        Quoted(host)
    )
}
