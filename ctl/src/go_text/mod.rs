//! Go's text conventions, as far as they show in etcdctl's output and error messages.
//!
//! Scripts read what etcdctl prints: quoted keys, durations such as `1.27ms`, sizes such as `20 kB`, and the
//! wording of number errors (`strconv.ParseInt: parsing "zz": invalid syntax`). Each of these formats has one
//! small module here.

pub(crate) mod duration;
pub(crate) mod humanize;
pub(crate) mod number;
pub(crate) mod quote;
