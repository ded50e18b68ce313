//! Writes JSON as Go does: fields in the order of their declaration, most of them left out when zero, bytes
//! as base64, and `<`, `>`, `&` escaped so that the text can stand in HTML.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Writes `{…}` with the fields that `fill` adds.
pub(crate) fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fill(&mut Object { out, empty: true });
    out.push(b'}');
}

/// Writes `[…]` with one element for each item.
pub(crate) fn array<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Adds fields to an object. Methods called `…_if` leave the field out when it is zero or empty.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl Object<'_> {
    /// A field whose value `write` adds.
    pub(crate) fn field(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(b',');
        }
        string(self.out, name.as_bytes());
        self.out.push(b':');
        write(self.out);
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.field(name, |out| out.extend_from_slice(json.as_bytes()));
    }

    /// A number.
    pub(crate) fn number(&mut self, name: &str, value: impl Into<i128>) {
        self.raw(name, &value.into().to_string());
    }

    /// A number unless it is zero.
    pub(crate) fn number_if(&mut self, name: &str, value: impl Into<i128>) {
        let value = value.into();
        if value != 0 {
            self.number(name, value);
        }
    }

    /// A boolean.
    pub(crate) fn bool(&mut self, name: &str, value: bool) {
        self.raw(name, if value { "true" } else { "false" });
    }

    /// A boolean if it is true.
    pub(crate) fn bool_if(&mut self, name: &str, value: bool) {
        if value {
            self.bool(name, true);
        }
    }

    /// A text.
    pub(crate) fn string(&mut self, name: &str, value: &[u8]) {
        self.field(name, |out| string(out, value));
    }

    /// A text unless it is empty.
    pub(crate) fn string_if(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.string(name, value.as_bytes());
        }
    }

    /// Bytes unless there are none.
    pub(crate) fn bytes_if(&mut self, name: &str, value: &[u8]) {
        if !value.is_empty() {
            self.field(name, |out| bytes(out, value));
        }
    }

    /// An object.
    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.field(name, |out| object(out, fill));
    }

    /// An array of objects.
    pub(crate) fn objects<T>(&mut self, name: &str, items: &[T], mut fill: impl FnMut(&mut Object<'_>, &T)) {
        self.field(name, |out| array(out, items, |out, item| object(out, |o| fill(o, item))));
    }

    /// An array of objects unless it is empty.
    pub(crate) fn objects_if<T>(&mut self, name: &str, items: &[T], fill: impl FnMut(&mut Object<'_>, &T)) {
        if !items.is_empty() {
            self.objects(name, items, fill);
        }
    }

    /// An array of texts.
    pub(crate) fn strings(&mut self, name: &str, items: &[String]) {
        self.field(name, |out| array(out, items, |out, item| string(out, item.as_bytes())));
    }

    /// An array of texts unless it is empty.
    pub(crate) fn strings_if(&mut self, name: &str, items: &[String]) {
        if !items.is_empty() {
            self.strings(name, items);
        }
    }
}

/// Writes bytes as base64 with padding.
pub(crate) fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(STANDARD.encode(value).as_bytes());
    out.push(b'"');
}

/// Writes a text. What is not UTF-8 becomes the replacement character.
pub(crate) fn string(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    for c in String::from_utf8_lossy(value).chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
            }
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_escaped_for_html() {
        assert_eq!(
            written(|out| string(out, "a\"\\\n\r\t\u{1}<&>\u{2028}ä€".as_bytes())),
            r#""a\"\\\n\r\t\u0001\u003c\u0026\u003e\u2028ä€""#
        );
        assert_eq!(written(|out| string(out, b"a\xffb")), "\"a\u{fffd}b\"");
    }

    #[test]
    fn zero_fields_are_left_out_where_asked() {
        let text = written(|out| {
            object(out, |o| {
                o.number_if("a", 0);
                o.number("b", 0);
                o.number_if("c", u64::MAX);
                o.number_if("c2", i64::MIN);
                o.bool_if("d", false);
                o.bool("e", false);
                o.bytes_if("f", b"");
                o.bytes_if("g", b"\xff\x00");
                o.string_if("h", "");
                o.strings_if("i", &[]);
                o.strings("j", &[]);
                o.objects("k", &[1, 2], |o, n| o.number("n", *n));
                o.object("l", |_| {});
            });
        });
        assert_eq!(
            text,
            r#"{"b":0,"c":18446744073709551615,"c2":-9223372036854775808,"e":false,"g":"/wA=","j":[],"k":[{"n":1},{"n":2}],"l":{}}"#
        );
    }
}
