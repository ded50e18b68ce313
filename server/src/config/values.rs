//! The values of all flags: what was set by argument or variable, and the table's defaults for the rest.

use std::collections::BTreeMap;

use super::duration::GoDuration;
use super::flag::{Flag, Value, ValueError};
use super::table;
use super::url::UrlList;

/// What every flag stands at.
///
/// The typed readers panic when asked for a flag that is not in the table, or of another kind: that is a mistake in this
/// crate, and the test of [`super::build`] reads every name that is asked for.
#[derive(Debug, Clone, Default)]
pub struct Values {
    set: BTreeMap<&'static str, Value>,
}

impl Values {
    /// Reads `text` as the value of `flag`.
    pub fn set(&mut self, flag: &'static Flag, text: &str) -> Result<(), ValueError> {
        let before = self.set.remove(flag.name).unwrap_or_else(|| flag.default_value());
        let value = flag.read(text, &before)?;
        self.set.insert(flag.name, value);
        Ok(())
    }

    /// Whether an argument or a variable has set the flag, be it to its default.
    pub fn is_set(&self, name: &str) -> bool {
        self.set.contains_key(name)
    }

    /// The flags that stand at something else than their default.
    pub fn changed(&self) -> impl Iterator<Item = &'static Flag> {
        table::all()
            .filter(|flag| self.set.get(flag.name).is_some_and(|value| *value != flag.default_value()))
    }

    /// A text.
    pub fn text(&self, name: &str) -> String {
        match self.get(name) {
            Value::Text(text) => text,
            other => wrong_kind(name, &other),
        }
    }

    /// A boolean.
    pub fn flag(&self, name: &str) -> bool {
        match self.get(name) {
            Value::Bool(on) => on,
            other => wrong_kind(name, &other),
        }
    }

    /// An unsigned integer.
    pub fn uint(&self, name: &str) -> u64 {
        match self.get(name) {
            Value::Uint(number) => number,
            other => wrong_kind(name, &other),
        }
    }

    /// A signed integer.
    pub fn int(&self, name: &str) -> i64 {
        match self.get(name) {
            Value::Int(number) => number,
            other => wrong_kind(name, &other),
        }
    }

    /// A duration.
    pub fn duration(&self, name: &str) -> GoDuration {
        match self.get(name) {
            Value::Duration(duration) => duration,
            other => wrong_kind(name, &other),
        }
    }

    /// A list of URLs.
    pub fn urls(&self, name: &str) -> UrlList {
        match self.get(name) {
            Value::Urls(list) => list,
            other => wrong_kind(name, &other),
        }
    }

    /// A set of words.
    pub fn words(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Value::Words(words) => words,
            other => wrong_kind(name, &other),
        }
    }

    fn get(&self, name: &str) -> Value {
        match self.set.get(name) {
            Some(value) => value.clone(),
            None => match table::find(name) {
                Some(flag) => flag.default_value(),
                None => panic!("the flag {name} is not in the table"),
            },
        }
    }
}

fn wrong_kind(name: &str, value: &Value) -> ! {
    panic!("the flag {name} was asked for as another kind than {value:?}")
}
