//! Answers as Go's `net/http` makes them.

use axum::body::Body;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};

/// Go's type for text.
pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// JSON.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A body of this type, with status 200.
pub(super) fn ok(content_type: HeaderValue, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Go's `http.Error`: text, `nosniff`, a line break at the end.
pub(super) fn error(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = ok(TEXT, format!("{text}\n"));
    *response.status_mut() = status;
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// 405, naming the one method that is right.
pub(super) fn only(method: &'static str) -> Response<Body> {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    response
}

/// 404, or the way to the path without doubled slashes and dots, as Go's router shows it.
pub(super) async fn not_found(request: Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    let clean = clean_path(path);
    if clean == path {
        return error(StatusCode::NOT_FOUND, "404 page not found");
    }
    let target = match request.uri().query() {
        Some(query) => format!("{clean}?{query}"),
        None => clean,
    };
    let Ok(location) = HeaderValue::from_str(&target) else {
        return error(StatusCode::NOT_FOUND, "404 page not found");
    };
    let link = escape(&target);
    let mut response = if matches!(*request.method(), Method::GET | Method::HEAD) {
        ok(
            HeaderValue::from_static("text/html; charset=utf-8"),
            format!("<a href=\"{link}\">Moved Permanently</a>.\n\n"),
        )
    } else {
        Response::new(Body::empty())
    };
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response.headers_mut().insert(LOCATION, location);
    response
}

/// The path without empty, `.` and `..` segments. It begins with one slash, so that no redirect leaves this host.
fn clean_path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut clean = format!("/{}", kept.join("/"));
    if path.ends_with('/') && clean != "/" {
        clean.push('/');
    }
    clean
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

/// The values of a parameter in the query, percent-decoded; empty ones too.
pub(super) fn query_values(request: &Request<Body>, name: &str) -> Vec<String> {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(key, _)| decode(key) == name)
        .map(|(_, value)| decode(value))
        .collect()
}

/// `%41` and `+` undone. What is no escape stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[at], escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (path, clean) in [
            ("/version", "/version"),
            ("//version", "/version"),
            ("//evil.com/x", "/evil.com/x"),
            ("/a/../b/./c", "/b/c"),
            ("/../..", "/"),
            ("/a/", "/a/"),
            ("/", "/"),
        ] {
            assert_eq!(clean_path(path), clean, "{path}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let request = Request::get("/x?exclude=A%20b&exclude=&exclude&other=1&%65xclude=c+d&exclude=%zz")
            .body(Body::empty())
            .unwrap();
        assert_eq!(query_values(&request, "exclude"), ["A b", "", "", "c d", "%zz"]);
    }
}
