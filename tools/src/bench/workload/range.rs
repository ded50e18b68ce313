//! `range`: the same range again and again, or single keys of a key space.
//!
//! With `--random-keys` each request reads one key of the space that `put` with the same key flags has written:
//! `put --sequential-keys --key-space-size N --total N` writes them all. How many keys were found is counted,
//! and a run that missed some says so: reading keys that do not exist measures another path of the server.

use bytes::Bytes;
use holdfast_proto::etcdserverpb::{RangeRequest, RangeResponse};

use crate::bench::{
    flags::Range,
    keys::{KeySpace, Order},
    load::{self, Plan, Workload},
    run::{self, BenchError, Part, Session},
    wire::{CallError, Frames, Keep, Reply},
};

/// Keys on a page with `--paginate`.
const PAGE_KEYS: i64 = 10_000;

/// The workload: what all its requests have in common, and where the keys come from.
#[derive(Debug)]
pub(crate) struct Reads {
    request: RangeRequest,
    keys: Option<KeySpace>,
    paginate: bool,
    stream: bool,
    frames: Frames,
    /// Single reads that were answered, and those of them that found their key.
    answered: u64,
    found: u64,
}

impl Reads {
    /// The workload that these flags describe.
    pub(crate) fn new(flags: &Range) -> Result<Self, BenchError> {
        let refuse = |text: &str| Err(BenchError::Flags(text.to_owned()));
        let serializable = match flags.consistency.as_str() {
            "l" => false,
            "s" => true,
            _ => return refuse("expected --consistency l or s; see holdfast-bench range --help"),
        };
        if flags.paginate && flags.limit != 0 {
            return refuse("--paginate and --limit are mutually exclusive");
        }
        if flags.keys_only && flags.count_only {
            return refuse("`--keys-only` and `--count-only` cannot be set at the same time");
        }
        if flags.paginate && flags.stream {
            return refuse("--paginate and --stream are mutually exclusive");
        }
        let keys = if flags.random_keys {
            if !flags.bounds.is_empty() || flags.prefix || flags.paginate || flags.stream {
                return refuse("--random-keys takes neither a range nor --prefix, --paginate or --stream");
            }
            let order = if flags.sequential_keys { Order::Sequential } else { Order::Random };
            Some(KeySpace::new(&flags.key_prefix, flags.key_size, flags.key_space_size, order)?)
        } else {
            None
        };
        let mut request = RangeRequest {
            limit: if flags.paginate { PAGE_KEYS } else { flags.limit },
            serializable,
            keys_only: flags.keys_only,
            count_only: flags.count_only,
            ..RangeRequest::default()
        };
        if keys.is_none() {
            (request.key, request.range_end) = bounds(flags)?;
        }
        let (paginate, stream) = (flags.paginate, flags.stream);
        Ok(Self { request, keys, paginate, stream, frames: Frames::default(), answered: 0, found: 0 })
    }

    /// The request for the page after `page`, if there is one. All pages are read at the first one's revision, so
    /// that together they are one range.
    fn next_page(&mut self, page: &RangeResponse, revision: i64) -> Option<Bytes> {
        let last = page.kvs.last().filter(|_| page.more)?;
        let mut key = last.key.to_vec();
        key.push(0);
        let request = RangeRequest { key: key.into(), revision, ..self.request.clone() };
        Some(self.frames.encode(&request))
    }
}

/// First key and end of the range asked for.
fn bounds(flags: &Range) -> Result<(Bytes, Bytes), BenchError> {
    let bytes = |text: &String| Bytes::copy_from_slice(text.as_bytes());
    match (flags.bounds.as_slice(), flags.prefix) {
        ([], false) => Err(BenchError::Flags("expected a key; see holdfast-bench range --help".to_owned())),
        ([_, _, ..], true) => Err(BenchError::Flags("--prefix takes no end of the range".to_owned())),
        ([], true) => Ok((Bytes::from_static(&[0]), Bytes::from_static(&[0]))),
        ([key], true) => Ok(if key.is_empty() {
            (Bytes::from_static(&[0]), Bytes::from_static(&[0]))
        } else {
            (bytes(key), after_prefix(key.as_bytes()))
        }),
        ([key], false) => Ok((bytes(key), Bytes::new())),
        ([key, end, ..], false) => Ok((bytes(key), bytes(end))),
    }
}

/// The first key after all that begin with `prefix`; a single zero byte, etcd's "no end", when there is none.
fn after_prefix(prefix: &[u8]) -> Bytes {
    let Some(last) = prefix.iter().rposition(|&byte| byte != 0xff) else {
        return Bytes::from_static(&[0]);
    };
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    end.into()
}

impl Workload for Reads {
    /// Revision of the first page.
    type Memory = Option<i64>;

    fn keep(&self) -> Keep {
        if self.keys.is_some() || self.paginate { Keep::Messages } else { Keep::Nothing }
    }

    fn path(&self) -> &'static str {
        if self.stream { "/etcdserverpb.KV/RangeStream" } else { "/etcdserverpb.KV/Range" }
    }

    fn request(&mut self, index: u64) -> Bytes {
        if let Some(keys) = &mut self.keys {
            self.request.key = keys.key(index);
        }
        self.frames.encode(&self.request)
    }

    fn answered(&mut self, mut reply: Reply, first: &mut Option<i64>) -> Result<Option<Bytes>, CallError> {
        if self.keys.is_some() {
            let response: RangeResponse = reply.message()?;
            self.answered += 1;
            self.found += u64::from(response.count > 0);
        } else if self.paginate {
            let page: RangeResponse = reply.message()?;
            let revision = *first.get_or_insert(page.header.as_ref().map_or(0, |header| header.revision));
            return Ok(self.next_page(&page, revision));
        }
        Ok(None)
    }
}

/// Runs the subcommand.
pub(crate) async fn run(session: &Session<'_>, flags: &Range) -> Result<(), BenchError> {
    let global = session.global;
    let reads = Reads::new(flags)?;
    let (heading, consistency) = if reads.request.serializable {
        ("bench with serializable range", "serializable")
    } else {
        ("bench with linearizable range", "linearizable")
    };
    let plan = Plan { total: flags.total, rate: flags.rate, sample: global.sample, quiet: global.json };
    let meter = session.meter()?;
    let (report, reads) = load::run(&session.pool, plan, reads).await?;
    let costs = meter.finish(report.successes())?;
    let mut extra = serde_json::Map::new();
    extra.insert("consistency".to_owned(), consistency.into());
    if reads.keys.is_some() {
        extra.insert("keys_found".to_owned(), reads.found.into());
        if reads.found < reads.answered {
            let missed = reads.answered - reads.found;
            eprintln!(
                "warning: {missed} of {} reads found no key; was the key space written?",
                reads.answered
            );
        }
    }
    run::print(global, &[Part { name: "RANGE", heading: Some(heading), ending: "", report, costs, extra }])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::bench::flags::{Cli, Command};
    use holdfast_proto::mvccpb::KeyValue;
    use prost::Message;

    fn reads(line: &[&str]) -> Result<Reads, String> {
        let line = ["b", "range"].iter().chain(line).map(std::ffi::OsString::from);
        let Command::Range(flags) = Cli::read(line).unwrap().command else { panic!("not range") };
        Reads::new(&flags).map_err(|error| error.to_string())
    }

    #[test]
    fn impossible_flags_are_refused_in_etcds_words() {
        assert_eq!(
            reads(&["k", "--paginate", "--limit", "3"]).unwrap_err(),
            "--paginate and --limit are mutually exclusive"
        );
        assert_eq!(
            reads(&["k", "--keys-only", "--count-only"]).unwrap_err(),
            "`--keys-only` and `--count-only` cannot be set at the same time"
        );
        for line in [&[][..], &["k", "--consistency", "x"], &["k", "--random-keys"], &["a", "b", "--prefix"]]
        {
            assert!(reads(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn ranges_are_those_asked_for() {
        let bounds = |line: &[&str]| {
            let request = reads(line).unwrap().request;
            (request.key.to_vec(), request.range_end.to_vec())
        };
        assert_eq!(bounds(&["a"]), (b"a".to_vec(), vec![]));
        assert_eq!(bounds(&["a", "c"]), (b"a".to_vec(), b"c".to_vec()));
        assert_eq!(bounds(&["a", "--prefix"]), (b"a".to_vec(), b"b".to_vec()));
        assert_eq!(bounds(&["--prefix"]), (vec![0], vec![0]));
        assert_eq!(after_prefix(b"a\xff\xff"), &b"b"[..]);
        assert_eq!(after_prefix(b"\xff"), &[0][..]);
    }

    #[test]
    fn pages_follow_each_other_at_one_revision() {
        let mut reads = reads(&["a", "z", "--paginate"]).unwrap();
        let mut page = RangeResponse {
            kvs: vec![KeyValue { key: Bytes::from_static(b"m"), ..KeyValue::default() }],
            more: true,
            ..RangeResponse::default()
        };
        let request = RangeRequest::decode(&reads.next_page(&page, 9).unwrap()[5..]).unwrap();
        assert_eq!((&request.key[..], &request.range_end[..]), (&b"m\0"[..], &b"z"[..]));
        assert_eq!((request.revision, request.limit), (9, PAGE_KEYS));
        page.more = false;
        assert!(reads.next_page(&page, 9).is_none());
    }
}
