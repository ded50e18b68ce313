//! Flags: how one is declared, and the values of all flags of a command line.

use std::{collections::BTreeMap, time::Duration};

use crate::go_text::{duration, number};

/// What a flag's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Needs no value: `--prefix` is `--prefix=true`.
    Bool,
    /// A signed 64-bit number.
    Int,
    /// A Go duration such as `5s`.
    Duration,
    /// Any text.
    Text,
    /// Comma-separated; repeating the flag appends.
    List,
}

/// One row of a table of flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// Long name, without the dashes.
    pub(crate) name: &'static str,
    /// The one-letter name, if it has one.
    pub(crate) short: Option<char>,
    /// What its value is.
    pub(crate) kind: Kind,
    /// The default, as one would type it.
    pub(crate) default: &'static str,
    /// One sentence for the help.
    pub(crate) help: &'static str,
}

impl Flag {
    const fn new(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Self {
        Self { name, short: None, kind, default, help }
    }

    /// A switch that is off by default.
    pub(crate) const fn switch(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Bool, "false", help)
    }

    /// A switch that is on by default.
    pub(crate) const fn switch_on(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Bool, "true", help)
    }

    /// A number that is 0 by default.
    pub(crate) const fn int(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Int, "0", help)
    }

    /// A text.
    pub(crate) const fn text(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Text, default, help)
    }

    /// A duration.
    pub(crate) const fn duration(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Duration, default, help)
    }

    /// A list of texts.
    pub(crate) const fn list(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::List, default, help)
    }

    /// The same flag with a one-letter name.
    pub(crate) const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// `--name`, or `-w, --name` when there is a short one: how error messages call it.
    pub(crate) fn label(&self) -> String {
        match self.short {
            Some(letter) => format!("-{letter}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }

    /// Reads a value typed for this flag.
    fn read(&self, text: &str) -> Result<Value, String> {
        Ok(match self.kind {
            Kind::Bool => Value::Bool(number::parse_bool(text)?),
            Kind::Int => Value::Int(number::parse_flag_int(text)?),
            Kind::Duration => Value::Duration(duration::parse(text)?),
            Kind::Text => Value::Text(text.to_owned()),
            Kind::List => {
                Value::List(text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect())
            }
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Bool(bool),
    Int(i64),
    Duration(Duration),
    Text(String),
    List(Vec<String>),
}

#[derive(Debug, Clone)]
struct Setting {
    flag: Flag,
    value: Value,
    changed: bool,
}

/// The values of all flags that a command knows; each starts at its default.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    settings: BTreeMap<&'static str, Setting>,
}

impl Values {
    /// Adds flags with their defaults.
    pub(crate) fn declare(&mut self, flags: &[Flag]) {
        for flag in flags {
            let value = flag.read(flag.default).expect("every default in the tables is a valid value");
            self.settings.insert(flag.name, Setting { flag: *flag, value, changed: false });
        }
    }

    /// The declaration of a flag, if the command knows it.
    pub(crate) fn find(&self, name: &str) -> Option<Flag> {
        self.settings.get(name).map(|setting| setting.flag)
    }

    /// The declaration of a flag by its one-letter name.
    pub(crate) fn find_short(&self, letter: char) -> Option<Flag> {
        self.settings.values().map(|setting| setting.flag).find(|flag| flag.short == Some(letter))
    }

    /// Sets a flag from text. The first value of a list replaces its default, later ones are appended.
    ///
    /// # Errors
    /// What is wrong with the text, in Go's words.
    pub(crate) fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let setting = self.setting_mut(name);
        let read = setting.flag.read(text)?;
        match (&mut setting.value, read) {
            (Value::List(items), Value::List(more)) if setting.changed => items.extend(more),
            (value, read) => *value = read,
        }
        setting.changed = true;
        Ok(())
    }

    /// Whether the flag was given.
    pub(crate) fn is_changed(&self, name: &str) -> bool {
        self.setting(name).changed
    }

    /// The value of a switch.
    pub(crate) fn bool(&self, name: &str) -> bool {
        matches!(self.setting(name).value, Value::Bool(true))
    }

    /// The value of a number.
    pub(crate) fn int(&self, name: &str) -> i64 {
        match self.setting(name).value {
            Value::Int(value) => value,
            _ => unreachable!("flag {name} is declared with another kind"),
        }
    }

    /// The value of a duration.
    pub(crate) fn duration(&self, name: &str) -> Duration {
        match self.setting(name).value {
            Value::Duration(value) => value,
            _ => unreachable!("flag {name} is declared with another kind"),
        }
    }

    /// The value of a text.
    pub(crate) fn text(&self, name: &str) -> &str {
        match &self.setting(name).value {
            Value::Text(value) => value,
            _ => unreachable!("flag {name} is declared with another kind"),
        }
    }

    /// The value of a list.
    pub(crate) fn list(&self, name: &str) -> &[String] {
        match &self.setting(name).value {
            Value::List(value) => value,
            _ => unreachable!("flag {name} is declared with another kind"),
        }
    }

    /// The value as `--debug` shows it.
    pub(crate) fn shown(&self, name: &str) -> String {
        match &self.setting(name).value {
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Duration(value) => duration::format(*value),
            Value::Text(value) => value.clone(),
            Value::List(items) => format!("[{}]", items.join(",")),
        }
    }

    fn setting(&self, name: &str) -> &Setting {
        self.settings.get(name).unwrap_or_else(|| unreachable!("flag {name} is not in the command's table"))
    }

    fn setting_mut(&mut self, name: &str) -> &mut Setting {
        self.settings
            .get_mut(name)
            .unwrap_or_else(|| unreachable!("flag {name} is not in the command's table"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn values() -> Values {
        let mut values = Values::default();
        values.declare(&[
            Flag::list("endpoints", "a", ""),
            Flag::duration("wait", "5s", ""),
            Flag::int("limit", ""),
            Flag::switch_on("plain", ""),
            Flag::text("out", "simple", "").short('w'),
        ]);
        values
    }

    #[test]
    fn lists_replace_the_default_and_then_grow() {
        let mut values = values();
        assert_eq!(values.list("endpoints"), ["a"]);
        values.set("endpoints", "b,c").unwrap();
        values.set("endpoints", "d").unwrap();
        assert_eq!(values.list("endpoints"), ["b", "c", "d"]);
        assert_eq!(values.shown("endpoints"), "[b,c,d]");
    }

    #[test]
    fn values_are_typed_and_remember_that_they_were_set() {
        let mut values = values();
        assert!(!values.is_changed("limit"));
        values.set("limit", "0x10").unwrap();
        values.set("plain", "false").unwrap();
        assert!(values.is_changed("limit"));
        assert_eq!(values.int("limit"), 16);
        assert!(!values.bool("plain"));
        assert_eq!(values.duration("wait"), Duration::from_secs(5));
        assert_eq!(values.find_short('w').unwrap().label(), "-w, --out");
        assert!(values.set("limit", "abc").is_err());
        assert_eq!(values.int("limit"), 16);
    }
}
