//! Endpoints as users write them: `host:port`, `http://host:port`, `https://…`, `unix://path`,
//! `unixs://path`.

use std::fmt;

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    text: String,
    target: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Tcp { host_and_port: String, tls: bool },
    Unix { path: String, tls: bool },
}

impl Address {
    /// Reads an endpoint. Whether it can be reached, and whether it makes sense at all, shows when it is
    /// dialled.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.trim();
        let target = if let Some((scheme @ ("unix" | "unixs"), path)) = text.split_once(':') {
            Target::Unix { path: path.trim_start_matches("//").to_owned(), tls: scheme == "unixs" }
        } else {
            let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
            let host_and_port = rest.split('/').next().unwrap_or_default().to_owned();
            Target::Tcp { host_and_port, tls: scheme == "https" }
        };
        Self { text: text.to_owned(), target }
    }

    /// Whether the endpoint asks for TLS.
    pub(crate) fn wants_tls(&self) -> bool {
        match self.target {
            Target::Tcp { tls, .. } | Target::Unix { tls, .. } => tls,
        }
    }

    /// The URI to dial.
    pub(crate) fn uri(&self) -> String {
        match &self.target {
            Target::Tcp { host_and_port, .. } => format!("http://{host_and_port}"),
            Target::Unix { path, .. } => format!("unix://{path}"),
        }
    }

    /// Whether there is a port, without which nothing can be dialled.
    pub(crate) fn has_port(&self) -> bool {
        match &self.target {
            Target::Tcp { host_and_port, .. } => {
                host_and_port.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
            }
            Target::Unix { .. } => true,
        }
    }
}

/// As the user wrote it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_an_endpoint() {
        for (text, uri, tls) in [
            ("127.0.0.1:2379", "http://127.0.0.1:2379", false),
            (" localhost:1 ", "http://localhost:1", false),
            ("http://a:1", "http://a:1", false),
            ("http://a:1/", "http://a:1", false),
            ("https://a:1/x", "http://a:1", true),
            ("[::1]:2379", "http://[::1]:2379", false),
            ("unix:///run/x.sock", "unix:///run/x.sock", false),
            ("unix:/run/x.sock", "unix:///run/x.sock", false),
            ("unix://localhost:77", "unix://localhost:77", false),
            ("unixs:///run/x.sock", "unix:///run/x.sock", true),
        ] {
            let address = Address::parse(text);
            assert_eq!(address.uri(), uri);
            assert_eq!(address.wants_tls(), tls);
            assert!(address.has_port());
            assert_eq!(address.to_string(), text.trim());
        }
        assert!(!Address::parse("foo").has_port());
        assert!(!Address::parse("").has_port());
    }
}
