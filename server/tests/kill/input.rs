//! The keys and values that are loaded.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;

use crate::common::ctl;

/// Keys with their values, by number.
pub(crate) trait Input: Send + Sync + 'static {
    /// How many there are.
    fn len(&self) -> usize;
    /// What all keys begin with.
    fn prefix(&self) -> &'static str;
    /// The key of this number.
    fn key(&self, number: usize) -> Bytes;
    /// Its value.
    fn value(&self, number: usize) -> Bytes;
    /// The number of a key; `None` for a key that is not among them.
    fn number(&self, key: &[u8]) -> Option<usize>;
}

/// Keys of 32 bytes with values of 256, made from their numbers, in no order.
pub(crate) struct Generated {
    /// How many.
    pub(crate) count: usize,
}

const GENERATED: &str = "/gen/";

/// Spreads numbers over all keys; it is odd, so that no two numbers meet.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl Input for Generated {
    fn len(&self) -> usize {
        self.count
    }

    fn prefix(&self) -> &'static str {
        GENERATED
    }

    fn key(&self, number: usize) -> Bytes {
        let spread = (number as u64).wrapping_mul(SPREAD);
        format!("{GENERATED}{spread:016x}/{number:010}").into()
    }

    fn value(&self, number: usize) -> Bytes {
        let mut value = Vec::with_capacity(256);
        let mut word = number as u64;
        while value.len() < 256 {
            word = word.wrapping_mul(SPREAD).rotate_left(29) ^ number as u64;
            value.extend_from_slice(&word.to_le_bytes());
        }
        value.into()
    }

    fn number(&self, key: &[u8]) -> Option<usize> {
        let number = std::str::from_utf8(key).ok()?.rsplit('/').next()?.parse().ok()?;
        (number < self.count && self.key(number) == key).then_some(number)
    }
}

/// Every package of the machine's Debian mirror, as apt holds its index: the name as the key, the whole stanza as the
/// value.
pub(crate) struct Packages {
    stanzas: Vec<(Bytes, Bytes)>,
    numbers: HashMap<Bytes, usize>,
}

const PACKAGES: &str = "/debian/";

/// Reads files of apt, however they are compressed.
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// Fewer are a mirror of a few packages, which tests little.
const FEWEST: usize = 10_000;

impl Packages {
    /// The packages; why there are none otherwise.
    pub(crate) fn of_this_machine() -> Result<Self, String> {
        if !Path::new(APT_HELPER).exists() {
            return Err(format!("{APT_HELPER} is not there: no machine with apt"));
        }
        let mut list = Command::new("apt-get");
        list.args(["indextargets", "--format", "$(FILENAME)", "Created-By: Packages"]);
        let mut stanzas = Vec::new();
        let mut numbers = HashMap::new();
        for file in ctl::run(list, "").stdout.lines() {
            let mut read = Command::new(APT_HELPER);
            read.args(["cat-file", file]);
            for stanza in ctl::run(read, "").stdout.split("\n\n") {
                let Some(name) = stanza.trim_start().strip_prefix("Package: ") else { continue };
                let name = name.lines().next().unwrap_or_default();
                let key = Bytes::from(format!("{PACKAGES}{name}"));
                // A package that several suites have counts once.
                if !numbers.contains_key(&key) {
                    numbers.insert(key.clone(), stanzas.len());
                    stanzas.push((key, Bytes::from(stanza.to_owned())));
                }
            }
        }
        if stanzas.len() < FEWEST {
            return Err(format!(
                "apt's lists have {} packages; \"apt-get update\" fetches them",
                stanzas.len()
            ));
        }
        Ok(Self { stanzas, numbers })
    }
}

impl Input for Packages {
    fn len(&self) -> usize {
        self.stanzas.len()
    }

    fn prefix(&self) -> &'static str {
        PACKAGES
    }

    fn key(&self, number: usize) -> Bytes {
        self.stanzas[number].0.clone()
    }

    fn value(&self, number: usize) -> Bytes {
        self.stanzas[number].1.clone()
    }

    fn number(&self, key: &[u8]) -> Option<usize> {
        self.numbers.get(key).copied()
    }
}

#[test]
fn generated_keys_tell_their_numbers() {
    let input = Generated { count: 1000 };
    for number in [0, 1, 999] {
        let key = input.key(number);
        assert_eq!((key.len(), input.value(number).len()), (32, 256));
        assert_eq!(input.number(&key), Some(number));
    }
    assert_eq!(input.number(&input.key(1000)), None);
    assert_ne!(input.value(1), input.value(2));
}
