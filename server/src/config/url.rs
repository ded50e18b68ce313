//! The URLs of listeners and members: `http://host:port`, `https://…`, `unix://path`, `unixs://path`.
//!
//! etcd reads them with Go's `net/url` and then insists on "host:port" and on no path. Only that subset is read here, with
//! Go's words for what is wrong, because those words are what users search for.

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};

use super::quote::Quoted;

/// What can be at the other end of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS over TCP.
    Https,
    /// A Unix socket.
    Unix,
    /// TLS over a Unix socket.
    Unixs,
}

impl Scheme {
    /// The name before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Unix => "unix",
            Self::Unixs => "unixs",
        }
    }

    /// Whether a Unix socket is meant and not TCP.
    pub fn is_unix(self) -> bool {
        matches!(self, Self::Unix | Self::Unixs)
    }

    /// Whether TLS is asked for.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Unixs)
    }
}

/// One address of a listener or of a member. Ordered and shown by its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    host: String,
    path: String,
    text: String,
}

/// Why a text is not such a URL. The sentences are etcd's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Go's parser could not make sense of it.
    #[error("parse {}: {}", Quoted(.0), .1)]
    Parse(String, String),
    /// Another scheme than the four, or none.
    #[error("URL scheme must be http, https, unix, or unixs: {0}")]
    Scheme(String),
    /// No port, or too many colons.
    #[error("URL address does not have the form \"host:port\": {0}")]
    HostPort(String),
    /// Something after the port.
    #[error("URL must not contain a path: {0}")]
    Path(String),
}

impl Url {
    /// Reads one URL; blanks around it are dropped.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        let parse_error = |why: String| UrlError::Parse(text.to_owned(), why);
        if text.chars().any(|c| c.is_ascii_control()) {
            return Err(parse_error("net/url: invalid control character in URL".into()));
        }
        let Some((scheme, rest)) = split_scheme(text).map_err(parse_error)? else {
            let first_segment = text.split('/').next().unwrap_or(text);
            if first_segment.contains(':') {
                return Err(parse_error("first path segment in URL cannot contain colon".into()));
            }
            return Err(UrlError::Scheme(text.to_owned()));
        };
        let (authority, path, slashes) = match rest.strip_prefix("//") {
            Some(after) => {
                let end = after.find(['/', '?', '#']).unwrap_or(after.len());
                (&after[..end], &after[end..], true)
            }
            None => ("", rest, false),
        };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        check_port(host).map_err(parse_error)?;
        let scheme = match scheme.as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "unix" => Scheme::Unix,
            "unixs" => Scheme::Unixs,
            _ => return Err(UrlError::Scheme(text.to_owned())),
        };
        if !scheme.is_unix() {
            if split_host_port(host).is_none() {
                return Err(UrlError::HostPort(text.to_owned()));
            }
            if path.starts_with('/') {
                return Err(UrlError::Path(text.to_owned()));
            }
        }
        let shown = format!("{}:{}{authority}{path}", scheme.as_str(), if slashes { "//" } else { "" });
        Ok(Self { scheme, host: host.to_owned(), path: path.to_owned(), text: shown })
    }

    /// Reads a comma-separated list and sorts it by text, as etcd does, with repetitions kept.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, UrlError> {
        let mut urls = text.split(',').map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        urls.sort();
        Ok(urls)
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host and port, as in the URL (`[::1]:2379`).
    pub fn host_port(&self) -> &str {
        &self.host
    }

    /// Host without brackets or port; empty for a Unix socket.
    pub fn hostname(&self) -> &str {
        split_host_port(&self.host).map_or("", |(host, _)| host)
    }

    /// The port's text; empty for a Unix socket.
    pub fn port(&self) -> &str {
        split_host_port(&self.host).map_or("", |(_, port)| port)
    }

    /// Where a Unix socket lives: everything after `unix://`.
    pub fn socket_path(&self) -> String {
        format!("{}{}", self.host, self.path)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Display for Url {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialOrd for Url {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Url {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

/// A flag that holds URLs: each once, sorted; or one of a few words that are no URL (`*`, the empty text).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UrlList {
    /// The URLs.
    pub urls: Vec<Url>,
    /// The URLs' texts and the words.
    pub texts: BTreeSet<String>,
}

impl UrlList {
    /// Takes what a flag or variable says. A word among `words` is remembered beside the URLs that are there already, which
    /// is how etcd comes to keep its default listen address when it is told to listen on `""`.
    pub fn set(&mut self, text: &str, words: &[&str]) -> Result<(), UrlError> {
        if self.texts.contains(text) {
            return Ok(());
        }
        if words.contains(&text) {
            self.texts.insert(text.to_owned());
            return Ok(());
        }
        let mut urls = Url::parse_list(text)?;
        urls.dedup();
        self.texts = urls.iter().map(|u| u.text.clone()).collect();
        self.urls = urls;
        Ok(())
    }
}

/// The texts of a list of URLs, for log fields.
pub fn texts(urls: &[Url]) -> Vec<String> {
    urls.iter().map(|u| u.text.clone()).collect()
}

/// `host:port` or `[host]:port` in its two parts, as Go's `net.SplitHostPort`; `None` when it has another form.
pub fn split_host_port(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        let port = after.strip_prefix(':')?;
        return (!host.contains(['[', ']']) && !port.contains([':', '[', ']'])).then_some((host, port));
    }
    let (host, port) = text.split_once(':')?;
    (!port.contains(':') && !text.contains(['[', ']'])).then_some((host, port))
}

/// The scheme in lower case and what follows its colon; `None` when the text has no scheme.
fn split_scheme(text: &str) -> Result<Option<(String, &str)>, String> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("missing protocol scheme".into()),
            ':' => return Ok(Some((text[..at].to_ascii_lowercase(), &text[at + 1..]))),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// A port, where there is one, must be made of digits.
fn check_port(host: &str) -> Result<(), String> {
    let after_host = if host.starts_with('[') {
        let end = host.rfind(']').ok_or("missing ']' in host")?;
        &host[end + 1..]
    } else {
        host.rfind(':').map_or("", |at| &host[at..])
    };
    let valid = after_host.is_empty()
        || after_host.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    if valid { Ok(()) } else { Err(format!("invalid port {} after host", Quoted(after_host))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        let url = Url::parse(" http://127.0.0.1:2379 ").unwrap();
        assert_eq!((url.scheme(), url.hostname(), url.port()), (Scheme::Http, "127.0.0.1", "2379"));
        let url = Url::parse("HTTPS://[::1]:2379").unwrap();
        assert_eq!((url.as_str(), url.hostname(), url.port()), ("https://[::1]:2379", "::1", "2379"));
        let url = Url::parse("unix://localhost:1234").unwrap();
        assert_eq!((url.socket_path(), url.as_str()), ("localhost:1234".into(), "unix://localhost:1234"));
        assert_eq!(Url::parse("unix:///run/holdfast.sock").unwrap().socket_path(), "/run/holdfast.sock");
        assert_eq!(Url::parse("http://:2379").unwrap().hostname(), "");
    }

    #[test]
    fn refuses_in_etcds_words() {
        for (text, message) in [
            ("foo", "URL scheme must be http, https, unix, or unixs: foo"),
            ("", "URL scheme must be http, https, unix, or unixs: "),
            ("ftp://a:1", "URL scheme must be http, https, unix, or unixs: ftp://a:1"),
            ("localhost:2379", "URL scheme must be http, https, unix, or unixs: localhost:2379"),
            ("127.0.0.1:2379", "parse \"127.0.0.1:2379\": first path segment in URL cannot contain colon"),
            (":2379", "parse \":2379\": missing protocol scheme"),
            ("http://x", "URL address does not have the form \"host:port\": http://x"),
            ("http://::1:2379", "URL address does not have the form \"host:port\": http://::1:2379"),
            ("http:x:1", "URL address does not have the form \"host:port\": http:x:1"),
            ("http://x:1/y", "URL must not contain a path: http://x:1/y"),
            ("http://x:1/", "URL must not contain a path: http://x:1/"),
            ("http://x:port", "parse \"http://x:port\": invalid port \":port\" after host"),
            ("http://[::1:2379", "parse \"http://[::1:2379\": missing ']' in host"),
            ("http://a\n:1", "parse \"http://a\\n:1\": net/url: invalid control character in URL"),
        ] {
            assert_eq!(Url::parse(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_list_is_sorted_and_unique() {
        let mut list = UrlList::default();
        list.set("http://b:1,http://a:1,http://b:1", &[]).unwrap();
        assert_eq!(texts(&list.urls), ["http://a:1", "http://b:1"]);
        list.set("", &[""]).unwrap();
        assert_eq!(list.urls.len(), 2, "the empty word leaves the URLs alone");
    }
}
