//! `watch`: creates watchers on streams, then writes what they watch and counts the events.
//!
//! The first report tells how long each watcher took to create; on each stream one is created after the other.
//! The second tells how long each event took from the start of its put until the watcher had it, on this
//! machine's clock: puts and events are matched by revision. (Go's tool measures only its own handling of an
//! event there.)

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use holdfast_proto::etcdserverpb::{
    PutRequest, PutResponse, WatchCreateRequest, WatchRequest, WatchResponse, watch_request::RequestUnion,
};
use tokio::{sync::Notify, task::JoinSet};

use crate::bench::{
    flags::Watch,
    keys::{KeySpace, Order},
    load::Pool,
    pace::Limiter,
    progress::Progress,
    report::{Recorder, Report},
    run::{self, BenchError, Part, Session},
    wire::{CallError, Caller, Frames, Keep, Stream},
};

/// Streams that etcd allows on a connection.
const STREAMS_PER_CONNECTION: usize = 100;
/// Value of every put, as in etcd's tool.
const VALUE: &[u8] = b"data";
/// When the puts are done and no event has come for this long, the missing ones are counted as an error.
const EVENT_PATIENCE: Duration = Duration::from_secs(10);

/// The keys that are watched, by these flags; a key may be among them more than once.
pub(crate) fn watched_keys(flags: &Watch) -> Result<Vec<Bytes>, BenchError> {
    let order = if flags.sequential_keys { Order::Sequential } else { Order::Random };
    let mut space = KeySpace::new("", flags.key_size, flags.key_space_size, order)?;
    if flags.watched_key_total == 0 {
        return Err(BenchError::Flags("expected positive --watched-key-total, got (0)".to_owned()));
    }
    Ok((0..flags.watched_key_total).map(|index| space.key(index as u64)).collect())
}

/// Runs the subcommand.
pub(crate) async fn run(session: &Session<'_>, flags: &Watch) -> Result<(), BenchError> {
    let keys = Rc::new(watched_keys(flags)?);
    let (have, need) = (session.pool.connections(), 1 + flags.streams / STREAMS_PER_CONNECTION);
    if have < need {
        eprintln!("warning: grpc limits 100 streams per client connection, have {have} but need {need}");
    }
    let meter = session.meter()?;
    let (created, streams) = create(session, flags, &keys).await?;
    let costs = meter.finish(created.successes())?;
    let extra = serde_json::Map::new();
    let heading = Some("Watch creation summary:");
    let creation = Part { name: "WATCH-MAKE", heading, ending: "", report: created, costs, extra };

    let meter = session.meter()?;
    let (events, puts) = exchange(session, flags, &keys, streams).await?;
    // One event is the unit of the costs: the puts that make them are far fewer with many watchers.
    let costs = meter.finish(events.successes())?;
    let mut extra = serde_json::Map::new();
    extra.insert("puts".to_owned(), serde_json::to_value(&puts).map_err(std::io::Error::from)?);
    let heading = Some("Watch events received summary:");
    run::print(
        session.global,
        &[creation, Part { name: "WATCH-PUT", heading, ending: "", report: events, costs, extra }],
    )
}

/// Opens all streams and creates all watchers; watcher i of all watches key i modulo their number.
async fn create(
    session: &Session<'_>,
    flags: &Watch,
    keys: &Rc<Vec<Bytes>>,
) -> Result<(Report, Vec<Stream>), BenchError> {
    let total = (flags.streams * flags.per_stream) as u64;
    let recorder = Rc::new(RefCell::new(Recorder::new(total, session.global.sample)));
    let progress = Rc::new(Progress::new(total, session.global.json));
    let mut tasks = JoinSet::new();
    for stream in 0..flags.streams {
        let caller = session.pool.caller(stream);
        let (keys, recorder, progress) = (Rc::clone(keys), Rc::clone(&recorder), Rc::clone(&progress));
        let (first, count) = (stream * flags.per_stream, flags.per_stream);
        tasks.spawn_local(async move {
            let keys = (first..first + count).map(|index| keys[index % keys.len()].clone());
            create_on_stream(caller, keys, &recorder, &progress).await
        });
    }
    let mut streams = Vec::with_capacity(flags.streams);
    while let Some(created) = tasks.join_next().await {
        match created.expect("a stream's task neither panics nor is aborted") {
            Ok(stream) => streams.extend(stream),
            Err(source) => {
                return Err(BenchError::Call { what: "cannot create watchers".to_owned(), source });
            }
        }
    }
    let recorder = Rc::into_inner(recorder).expect("the tasks have ended and dropped their handles");
    Ok((recorder.into_inner().finish(), streams))
}

/// Creates one watcher after the other on a stream of its own, and returns the stream, if there is a watcher.
async fn create_on_stream(
    mut caller: Caller,
    keys: impl Iterator<Item = Bytes>,
    recorder: &RefCell<Recorder>,
    progress: &Progress,
) -> Result<Option<Stream>, CallError> {
    let route = caller.connection().route("/etcdserverpb.Watch/Watch");
    let mut frames = Frames::default();
    let mut open: Option<Stream> = None;
    for key in keys {
        let create = WatchCreateRequest { key, ..WatchCreateRequest::default() };
        let frame = frames.encode(&WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) });
        let start = Instant::now();
        let stream = match open.take() {
            None => open.insert(Stream::open(&mut caller, &route, frame).await?),
            Some(mut stream) => {
                stream.send(frame)?;
                open.insert(stream)
            }
        };
        let answer: Option<WatchResponse> = stream.next().await?;
        match answer {
            Some(response) if response.created && !response.canceled => recorder.borrow_mut().success(start),
            Some(response) => return Err(CallError::Malformed(refusal(&response))),
            None => return Err(CallError::Malformed("the server ended the stream".to_owned())),
        }
        progress.increment();
    }
    Ok(open)
}

fn refusal(response: &WatchResponse) -> String {
    if response.compact_revision > 0 {
        return format!("a watcher was cancelled: compacted at revision {}", response.compact_revision);
    }
    format!("a watcher was cancelled: {}", response.cancel_reason)
}

/// What the puts and the streams share.
struct Shared {
    keys: Rc<Vec<Bytes>>,
    /// Watchers of each key.
    watchers: HashMap<Bytes, u64>,
    started: Cell<u64>,
    total: u64,
    /// Events that the puts answered so far must bring.
    expected: Cell<u64>,
    /// When the put of each revision began.
    starts: RefCell<HashMap<i64, Instant>>,
    /// Revision and arrival of each event.
    arrivals: RefCell<Vec<(i64, Instant)>>,
    arrived: Notify,
    failures: RefCell<Vec<String>>,
    progress: Progress,
}

/// Puts all keys while the streams receive; returns the report of the events and that of the puts.
async fn exchange(
    session: &Session<'_>,
    flags: &Watch,
    keys: &Rc<Vec<Bytes>>,
    streams: Vec<Stream>,
) -> Result<(Report, Report), BenchError> {
    let mut watchers = HashMap::new();
    for index in 0..flags.streams * flags.per_stream {
        *watchers.entry(keys[index % keys.len()].clone()).or_insert(0) += 1;
    }
    let of_put = |index: u64| watchers.get(&keys[index as usize % keys.len()]).copied().unwrap_or(0);
    let events: u64 = (0..flags.put_total).map(of_put).sum();
    let mut recorder = Recorder::new(events, session.global.sample);
    let shared = Rc::new(Shared {
        keys: Rc::clone(keys),
        watchers,
        started: Cell::new(0),
        total: flags.put_total,
        expected: Cell::new(0),
        starts: RefCell::default(),
        arrivals: RefCell::default(),
        arrived: Notify::new(),
        failures: RefCell::default(),
        progress: Progress::new(events, session.global.json),
    });
    let mut receivers = JoinSet::new();
    for stream in streams {
        receivers.spawn_local(receive(stream, Rc::clone(&shared)));
    }
    let puts = put_all(&session.pool, flags, &shared).await?;
    wait_for_events(&shared).await;
    receivers.abort_all();

    let starts = shared.starts.borrow();
    for (revision, arrival) in shared.arrivals.borrow().iter() {
        // An event of a put that was reported as failed has no start to be measured from.
        if let Some(&start) = starts.get(revision) {
            recorder.success_between(start, *arrival);
        }
    }
    for text in shared.failures.borrow_mut().drain(..) {
        recorder.failure(text);
    }
    Ok((recorder.finish(), puts))
}

async fn put_all(pool: &Pool, flags: &Watch, shared: &Rc<Shared>) -> Result<Report, BenchError> {
    let recorder = Rc::new(RefCell::new(Recorder::new(flags.put_total, false)));
    let limiter = Rc::new(Limiter::new(flags.put_rate).map_err(BenchError::Pacer)?);
    let mut clients = JoinSet::new();
    for index in 0..pool.clients() {
        let caller = pool.caller(index);
        clients.spawn_local(put(caller, Rc::clone(shared), Rc::clone(&limiter), Rc::clone(&recorder)));
    }
    while let Some(finished) = clients.join_next().await {
        finished.expect("a client neither panics nor is aborted");
    }
    let recorder = Rc::into_inner(recorder).expect("the clients have ended and dropped their handles");
    Ok(recorder.into_inner().finish())
}

/// One client: put after put, until none is left to start.
async fn put(mut caller: Caller, shared: Rc<Shared>, limiter: Rc<Limiter>, recorder: Rc<RefCell<Recorder>>) {
    let route = caller.connection().route("/etcdserverpb.KV/Put");
    let mut frames = Frames::default();
    while shared.started.get() < shared.total {
        let index = shared.started.replace(shared.started.get() + 1) as usize;
        let key = shared.keys[index % shared.keys.len()].clone();
        let brings = shared.watchers.get(&key).copied().unwrap_or(0);
        let request = PutRequest { key, value: Bytes::from_static(VALUE), ..PutRequest::default() };
        let frame = frames.encode(&request);
        limiter.wait().await;
        let start = Instant::now();
        let outcome = caller.call(&route, frame, Keep::Messages).await.and_then(|mut reply| reply.message());
        match outcome {
            Ok(PutResponse { header, .. }) => {
                recorder.borrow_mut().success(start);
                shared.starts.borrow_mut().insert(header.map_or(0, |header| header.revision), start);
                shared.expected.set(shared.expected.get() + brings);
            }
            Err(error) => recorder.borrow_mut().failure(error.to_string()),
        }
    }
}

/// Takes the events of one stream until it is aborted or the stream ends.
async fn receive(mut stream: Stream, shared: Rc<Shared>) {
    let ended = loop {
        let response: WatchResponse = match stream.next().await {
            Ok(Some(response)) => response,
            Ok(None) => break "the server ended a watch stream".to_owned(),
            Err(error) => break error.to_string(),
        };
        if response.canceled {
            shared.failures.borrow_mut().push(refusal(&response));
            continue;
        }
        let now = Instant::now();
        let mut arrivals = shared.arrivals.borrow_mut();
        for event in &response.events {
            arrivals.push((event.kv.as_ref().map_or(0, |kv| kv.mod_revision), now));
            shared.progress.increment();
        }
        shared.arrived.notify_one();
    };
    shared.failures.borrow_mut().push(ended);
}

/// Waits until as many events have come as the successful puts must bring, or no more come.
async fn wait_for_events(shared: &Shared) {
    let missing = || shared.expected.get().saturating_sub(shared.arrivals.borrow().len() as u64);
    while missing() > 0 {
        if tokio::time::timeout(EVENT_PATIENCE, shared.arrived.notified()).await.is_err() {
            let text = format!("{} of {} events did not arrive", missing(), shared.expected.get());
            shared.failures.borrow_mut().push(text);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn flags(key_space_size: i64, watched_key_total: usize) -> Watch {
        Watch {
            streams: 1,
            per_stream: 1,
            watched_key_total,
            put_rate: 0,
            put_total: 1,
            key_size: 32,
            key_space_size,
            sequential_keys: true,
        }
    }

    #[test]
    fn watched_keys_come_from_the_space() {
        let keys = watched_keys(&flags(2, 3)).unwrap();
        assert_eq!(keys.len(), 3);
        assert_eq!(keys[0], keys[2]);
        assert_ne!(keys[0], keys[1]);
        assert!(keys.iter().all(|key| key.len() == 32));
    }

    #[test]
    fn there_must_be_keys_to_watch() {
        let text = |space, total| watched_keys(&flags(space, total)).unwrap_err().to_string();
        assert_eq!(text(0, 1), "expected positive --key-space-size, got (0)");
        assert_eq!(text(1, 0), "expected positive --watched-key-total, got (0)");
    }
}
