//! What a flag is: one row of the table, and the kinds of value that it can hold.

use super::duration::GoDuration;
use super::number::{self, NumberError};
use super::url::{UrlError, UrlList};

/// One row of the table of flags. Parser, environment, help and defaults all come from it.
#[derive(Debug)]
pub struct Flag {
    /// The name without dashes.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// The default, written as a user would write it.
    pub default: &'static str,
    /// What becomes of a value.
    pub support: Support,
    /// Our sentence about it.
    pub help: &'static str,
}

/// The syntax of a flag's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`; the bare flag means true, and a value needs the equals sign.
    Bool,
    /// An unsigned integer of 64 bits.
    Uint,
    /// An unsigned integer of 32 bits. (etcd's own flag type, whose errors are worded differently.)
    Uint32,
    /// A signed integer of 64 bits.
    Int,
    /// A Go duration.
    Duration,
    /// A comma-separated list of URLs, or one of these words.
    Urls(&'static [&'static str]),
    /// A comma-separated set of words.
    Words,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A flag of long ago: takes anything, with or without a value, and does nothing.
    Ignored,
}

/// What becomes of a flag's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does what it does in etcd.
    Used,
    /// It tunes a part that this server does not have; accepted with a warning that tells why.
    NoEffect(&'static str),
    /// The feature behind it is not there; any value but the default stops the start.
    Refused,
}

/// A flag's value, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// [`Kind::Text`] and [`Kind::Choice`].
    Text(String),
    /// [`Kind::Bool`].
    Bool(bool),
    /// [`Kind::Uint`] and [`Kind::Uint32`].
    Uint(u64),
    /// [`Kind::Int`].
    Int(i64),
    /// [`Kind::Duration`].
    Duration(GoDuration),
    /// [`Kind::Urls`].
    Urls(UrlList),
    /// [`Kind::Words`], sorted, each once.
    Words(Vec<String>),
    /// [`Kind::Ignored`].
    Nothing,
}

/// Why a value was refused, in the words of Go's `flag` package or of etcd's own flag types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A number, boolean or duration that could not be read.
    #[error("{0}")]
    Number(&'static str),
    /// The text of a bare `strconv` error.
    #[error("{0}")]
    Strconv(String),
    /// A word that is not among those allowed.
    #[error("invalid value")]
    Choice,
    /// A URL that is none.
    #[error(transparent)]
    Url(#[from] UrlError),
}

impl From<NumberError> for ValueError {
    fn from(error: NumberError) -> Self {
        Self::Number(error.flag_text())
    }
}

impl Flag {
    /// Whether the bare flag stands for `=true` and the next argument is left alone.
    pub fn is_bool(&self) -> bool {
        matches!(self.kind, Kind::Bool | Kind::Ignored)
    }

    /// Reads a value on top of the one that is there (only lists of URLs look at it).
    pub fn read(&self, text: &str, before: &Value) -> Result<Value, ValueError> {
        Ok(match self.kind {
            Kind::Text => Value::Text(text.to_owned()),
            Kind::Bool => Value::Bool(number::parse_bool(text).ok_or(ValueError::Number("parse error"))?),
            Kind::Uint => Value::Uint(number::parse_uint(text, 64)?),
            Kind::Uint32 => Value::Uint(
                number::parse_uint(text, 32)
                    .map_err(|error| ValueError::Strconv(error.strconv_text(text)))?,
            ),
            Kind::Int => Value::Int(number::parse_int(text)?),
            Kind::Duration => {
                Value::Duration(GoDuration::parse(text).map_err(|_| ValueError::Number("parse error"))?)
            }
            Kind::Urls(words) => {
                let mut list = if let Value::Urls(list) = before { list.clone() } else { UrlList::default() };
                list.set(text, words)?;
                Value::Urls(list)
            }
            Kind::Words => {
                let mut words: Vec<String> = text.split(',').map(str::to_owned).collect();
                words.sort();
                words.dedup();
                Value::Words(words)
            }
            Kind::Choice(allowed) if allowed.contains(&text) => Value::Text(text.to_owned()),
            Kind::Choice(_) => return Err(ValueError::Choice),
            Kind::Ignored => Value::Nothing,
        })
    }

    /// The default, read. A list whose default is the empty text is empty.
    ///
    /// # Panics
    /// When the table holds a default that its own kind does not take; a test reads every row.
    pub fn default_value(&self) -> Value {
        match self.kind {
            Kind::Urls(_) if self.default.is_empty() => return Value::Urls(UrlList::default()),
            Kind::Words if self.default.is_empty() => return Value::Words(Vec::new()),
            _ => {}
        }
        self.read(self.default, &Value::Nothing)
            .expect("every default in the table is a value of its own kind")
    }

    /// The environment variable that stands for the flag.
    pub fn variable(&self) -> String {
        format!("ETCD_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }
}
