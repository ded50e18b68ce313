//! The loop that all workloads share: so many clients, each with one operation at a time, until all are done.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Instant,
};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{
    pace::Limiter,
    progress::Progress,
    report::{Recorder, Report},
    run::BenchError,
    wire::{CallError, Caller, Connection, Dial, Keep, Reply},
};

/// What a workload sends.
pub(crate) trait Workload {
    /// What an operation remembers between its requests.
    type Memory: Default;

    /// How much of each answer [`Workload::answered`] needs.
    fn keep(&self) -> Keep;

    /// The method that is called.
    fn path(&self) -> &'static str;

    /// The request of operation `index`, framed.
    fn request(&mut self, index: u64) -> Bytes;

    /// Looks at an answer. A request returned here belongs to the same operation, as the next page does.
    fn answered(&mut self, reply: Reply, memory: &mut Self::Memory) -> Result<Option<Bytes>, CallError>;
}

/// The clients of a run: client i uses connection i modulo the number of connections.
#[derive(Debug)]
pub(crate) struct Pool {
    connections: Vec<Rc<Connection>>,
    clients: usize,
}

impl Pool {
    /// Dials `connections` connections, in turn to each of `endpoints`.
    pub(crate) async fn open(
        endpoints: &[String],
        connections: usize,
        clients: usize,
        dial: &Dial,
    ) -> Result<Self, BenchError> {
        let mut open = Vec::with_capacity(connections);
        for index in 0..connections {
            open.push(Connection::open(&endpoints[index % endpoints.len()], dial).await?);
        }
        Ok(Self { connections: open, clients })
    }

    /// A handle of client `index`.
    pub(crate) fn caller(&self, index: usize) -> Caller {
        self.connections[index % self.clients % self.connections.len()].caller()
    }

    /// Number of clients.
    pub(crate) fn clients(&self) -> usize {
        self.clients
    }

    /// Number of connections.
    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }
}

/// What a run is bounded by, and how it is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Number of operations.
    pub(crate) total: u64,
    /// Most operations started in a second; 0 is no limit.
    pub(crate) rate: u64,
    /// Whether the report has a table of seconds.
    pub(crate) sample: bool,
    /// Whether the progress bar stays hidden.
    pub(crate) quiet: bool,
}

/// What the clients share.
struct Shared<W> {
    workload: RefCell<W>,
    started: Cell<u64>,
    total: u64,
    limiter: Limiter,
    recorder: RefCell<Recorder>,
    progress: Progress,
}

/// Runs `plan.total` operations of `workload`, and returns it with the report.
pub(crate) async fn run<W: Workload + 'static>(
    pool: &Pool,
    plan: Plan,
    workload: W,
) -> Result<(Report, W), BenchError> {
    let shared = Rc::new(Shared {
        workload: RefCell::new(workload),
        started: Cell::new(0),
        total: plan.total,
        limiter: Limiter::new(plan.rate).map_err(BenchError::Pacer)?,
        recorder: RefCell::new(Recorder::new(plan.total, plan.sample)),
        progress: Progress::new(plan.total, plan.quiet),
    });
    let mut clients = JoinSet::new();
    for index in 0..pool.clients() {
        clients.spawn_local(client(pool.caller(index), Rc::clone(&shared)));
    }
    while let Some(finished) = clients.join_next().await {
        finished.expect("a client neither panics nor is aborted");
    }
    let shared = Rc::into_inner(shared).expect("the clients have ended and dropped their handles");
    Ok((shared.recorder.into_inner().finish(), shared.workload.into_inner()))
}

/// One client: operation after operation, until none is left to start.
async fn client<W: Workload>(mut caller: Caller, shared: Rc<Shared<W>>) {
    let route = caller.connection().route(shared.workload.borrow().path());
    let keep = shared.workload.borrow().keep();
    loop {
        let index = shared.started.get();
        if index == shared.total {
            return;
        }
        shared.started.set(index + 1);
        let mut next = Some(shared.workload.borrow_mut().request(index));
        shared.limiter.wait().await;
        let start = Instant::now();
        let (mut outcome, mut memory) = (Ok(()), W::Memory::default());
        while let Some(frame) = next.take() {
            let answer = caller.call(&route, frame, keep).await;
            match answer.and_then(|reply| shared.workload.borrow_mut().answered(reply, &mut memory)) {
                Ok(following) => next = following,
                Err(error) => outcome = Err(error),
            }
        }
        let mut recorder = shared.recorder.borrow_mut();
        match outcome {
            Ok(()) => recorder.success(start),
            Err(error) => recorder.failure(error.to_string()),
        }
        shared.progress.increment();
    }
}
