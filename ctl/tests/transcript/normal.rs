//! What may differ between two runs and is therefore replaced before they are compared.

/// Applies the replacements called so.
pub(crate) fn apply(text: &str, variants: &[String]) -> String {
    let mut text = text.to_owned();
    for variant in variants {
        text = match variant.as_str() {
            // How long something took, and the frame of a table that shows it.
            "took" => squeeze(&durations(&text)),
            // Sizes, indices, hashes: numbers that depend on the server's timing.
            "numbers" => squeeze(&numbers(&text)),
            // etcdctl 3.5 misspells one field with --hex.
            "urls" => text.replace("clientURLS", "clientURLs"),
            // Tables whose cells have been replaced by longer or shorter ones.
            "frame" => squeeze(&text),
            // Lines of several watches, which have no order among them.
            "sorted" => {
                let mut lines: Vec<&str> = text.lines().collect();
                lines.sort_unstable();
                lines.join("\n")
            }
            // Identifiers of leases that have no name.
            "leases" => identifiers(&text),
            _ => text,
        };
    }
    text
}

/// `1.2ms`, `5.002s`, `578µs` become `<T>`.
fn durations(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        out.push_str(before);
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        let unit = ["ns", "µs", "ms", "s"].into_iter().find(|unit| number[end..].starts_with(unit));
        if let Some(unit) = unit {
            out.push_str("<T>");
            rest = &number[end + unit.len()..];
        } else {
            out.push_str(&number[..end]);
            rest = &number[end..];
        }
    }
    out.push_str(rest);
    out
}

/// Every number becomes `<N>`.
fn numbers(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        match (c.is_ascii_digit(), inside) {
            (true, false) => out.push_str("<N>"),
            (true, true) => {}
            (false, _) => out.push(c),
        }
        inside = c.is_ascii_digit();
    }
    out
}

/// Words of 16 hexadecimal digits become `<ID>`.
fn identifiers(text: &str) -> String {
    let is_identifier = |word: &str| word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let word = |word| if is_identifier(word) { "<ID>" } else { word };
    text.split(' ')
        .map(|part| part.split('\n').map(word).collect::<Vec<_>>().join("\n"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Encodes a number as protobuf does.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Replaces the beginning of an encoded header, and the byte with its length before it.
pub(crate) fn without_header(bytes: Vec<u8>, header: &[u8]) -> Vec<u8> {
    match bytes.windows(header.len().max(1)).position(|window| window == header) {
        Some(start) => {
            [&bytes[..start.saturating_sub(1)], b"<header>", &bytes[start + header.len()..]].concat()
        }
        None => bytes,
    }
}

/// Runs of spaces and of dashes become one.
fn squeeze(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if !matches!(c, ' ' | '-') || !out.ends_with(c) {
            out.push(c);
        }
    }
    out
}

/// The lines of stderr that are compared: all but the log, which is JSON.
pub(crate) fn stderr_lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('{') && !line.trim().is_empty()).collect()
}

/// The first line that tells the error.
pub(crate) fn error_line(text: &str) -> &str {
    text.lines().find(|line| line.starts_with("Error:")).unwrap_or("")
}
