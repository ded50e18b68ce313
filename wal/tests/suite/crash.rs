//! Crashes of the machine after every step of a run, with every kind of loss: what comes back is a prefix of what was
//! appended, with everything in it that was reported as durable; and what was cut never comes back later.

use std::sync::Arc;

use holdfast_wal::testing::{Fate, RecordingDevice, UnsyncedWrite};
use holdfast_wal::{Batch, Config, InlineWal, LogStart, WalError};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::support::{Model, shared, tiny};

/// The states that the log went through, record by record, and how many of them each ticket stands for.
#[derive(Clone)]
struct Past {
    states: Vec<Model>,
    /// For each ticket the number of the state after its batch.
    tickets: Vec<usize>,
    /// The log may start here or before.
    released: u64,
}

impl Past {
    fn new(start: Model) -> Past {
        let released = start.start.index;
        Past { states: vec![start], tickets: vec![0], released }
    }

    fn append(&mut self, batch: &Batch) {
        let mut step = |part: Batch| {
            let mut next = self.states.last().unwrap().clone();
            next.append(&part);
            self.states.push(next);
        };
        if let Some(start) = batch.reset {
            step(Batch { reset: Some(start), ..Batch::default() });
            self.released = self.released.max(start.index);
        }
        for entry in &batch.entries {
            step(Batch { entries: vec![entry.clone()], ..Batch::default() });
        }
        if batch.hard_state.is_some() {
            step(Batch { hard_state: batch.hard_state, ..Batch::default() });
        }
        self.tickets.push(self.states.len() - 1);
    }

    /// Checks what came back against what was appended and reported.
    fn check(&self, found: &Model, ticket: u64) -> Result<(), String> {
        let least = self.tickets[ticket as usize];
        if found.start.index > self.released {
            return Err(format!("the log starts at {:?}, released was only {}", found.start, self.released));
        }
        if self.states[least..].iter().any(|state| state.agrees(found)) {
            return Ok(());
        }
        if self.states[..least].iter().any(|state| state.agrees(found)) {
            return Err("something acknowledged is lost".to_owned());
        }
        Err(format!("what came back was never there: {} entries", found.entries.len()))
    }
}

/// A run on a recording device: what was appended, and which ticket had been reported after how many steps.
struct Run {
    device: Arc<RecordingDevice>,
    past: Past,
    reported: Vec<(usize, u64)>,
}

impl Run {
    fn ticket_at(&self, steps: usize) -> u64 {
        self.reported.iter().take_while(|(at, _)| *at <= steps).last().map_or(0, |(_, ticket)| *ticket)
    }
}

/// After how many steps of the device which ticket was reported.
type Heard = Arc<Mutex<Vec<(usize, u64)>>>;

fn listening(config: Config, device: &Arc<RecordingDevice>) -> (Config, Heard) {
    let reported = Arc::new(Mutex::new(Vec::new()));
    let (heard, watched) = (reported.clone(), device.clone());
    let on_durable = Arc::new(move |result: Result<u64, WalError>| {
        heard.lock().push((watched.steps(), result.unwrap()));
    });
    (Config { on_durable, ..config }, reported)
}

/// Appends at random and flushes now and then.
fn append_some(wal: &mut InlineWal, past: &mut Past, rounds: usize, term: u64, rng: &mut SmallRng) {
    let mut model = past.states.last().unwrap().clone();
    for _ in 0..rounds {
        for _ in 0..rng.random_range(1..5) {
            let mut batch = model.random_batch(rng);
            for entry in &mut batch.entries {
                // A term of its own for each run: what another run left behind is told from what this one wrote.
                entry.term += term;
            }
            model.append(&batch);
            past.append(&batch);
            wal.append(batch, past.tickets.len() as u64 - 1).unwrap();
        }
        if rng.random_bool(0.4) {
            let index = rng.random_range(0..=model.last());
            wal.release(index).unwrap();
            model.release(index);
            past.released = past.released.max(index);
        }
        wal.flush().unwrap();
    }
}

fn run(seed: u64, slots: usize, ignore_sync: bool) -> Run {
    let mut rng = SmallRng::seed_from_u64(seed);
    let device = Arc::new(RecordingDevice::new());
    device.record();
    let (config, reported) = listening(Config { groups_in_flight: slots, ..tiny().0 }, &device);
    let mut wal = InlineWal::create(shared(&device), config, b"crash").unwrap();
    device.ignore_sync(ignore_sync);
    let mut past = Past::new(Model::default());
    append_some(&mut wal, &mut past, 25, 0, &mut rng);
    if seed.is_multiple_of(2) {
        wal.close().unwrap();
    }
    let reported = reported.lock().clone();
    Run { device, past, reported }
}

fn random_fate(rng: &mut SmallRng, write: UnsyncedWrite) -> Fate {
    match rng.random_range(0..4) {
        0 => Fate::Keep,
        1 => Fate::Lose,
        2 => Fate::Prefix(rng.random_range(0..=write.len)),
        _ => Fate::Sectors((0..write.len / 512).map(|_| rng.random_bool(0.7)).collect()),
    }
}

/// One way in which a crash may treat what was not synced.
type Way = Box<dyn FnMut(UnsyncedWrite) -> Fate>;

/// All lost, all kept, only the last of several kept, and three kinds of chance.
fn ways(seed: u64) -> Vec<Way> {
    let mut ways: Vec<Way> = vec![Box::new(|_| Fate::Lose), Box::new(|_| Fate::Keep)];
    let mut first = true;
    ways.push(Box::new(move |_| if std::mem::take(&mut first) { Fate::Lose } else { Fate::Keep }));
    for chance in 0..3 {
        let mut rng = SmallRng::seed_from_u64(seed * 3 + chance);
        ways.push(Box::new(move |write| random_fate(&mut rng, write)));
    }
    ways
}

fn open(device: &Arc<RecordingDevice>, config: Config) -> Result<(InlineWal, Model, bool), String> {
    match InlineWal::open(shared(device), config) {
        Ok((wal, recovered)) => Ok((wal, Model::of(&recovered), recovered.torn_tail.is_some())),
        Err(error) => Err(error.to_string()),
    }
}

/// Crashes the run after every step in every way. Gives the number of torn tails seen.
fn crash_everywhere(run: &Run) -> Result<usize, String> {
    let mut torn = 0;
    for steps in 0..=run.device.steps() {
        let ticket = run.ticket_at(steps);
        for mut way in ways(steps as u64) {
            let left = Arc::new(run.device.crash_at(steps, &mut way));
            match InlineWal::open(shared(&left), tiny().0) {
                Err(WalError::NoLog { .. }) if steps < 10 && ticket == 0 => {}
                Err(error) => return Err(format!("after step {steps}: {error}")),
                Ok((_, recovered)) => {
                    torn += usize::from(recovered.torn_tail.is_some());
                    let found = Model::of(&recovered);
                    run.past.check(&found, ticket).map_err(|why| format!("after step {steps}: {why}"))?;
                }
            }
        }
    }
    Ok(torn)
}

#[test]
fn every_crash_leaves_a_prefix_with_all_that_was_acknowledged() {
    for slots in [1, 2] {
        let mut torn = 0;
        for seed in 0..6 {
            torn +=
                crash_everywhere(&run(seed, slots, false)).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        }
        assert!(torn > 20, "the crashes tore {torn} tails only: the test shows little");
    }
}

#[test]
fn without_syncs_the_same_check_fails() {
    for slots in [1, 2] {
        for seed in 0..6 {
            assert!(crash_everywhere(&run(seed, slots, true)).is_err(), "seed {seed}, slots {slots}");
        }
    }
    // And the plainest form: the log says that a batch is durable, and it is not.
    let device = Arc::new(RecordingDevice::new());
    let (config, reports) = tiny();
    let mut wal = InlineWal::create(shared(&device), config.clone(), b"").unwrap();
    device.ignore_sync(true);
    wal.append(crate::support::entries(1..=3, 1, 10), 1).unwrap();
    wal.flush().unwrap();
    assert_eq!(reports.ticket(), 1);
    let (_, recovered) = InlineWal::open(shared(&Arc::new(device.power_loss())), config).unwrap();
    assert!(recovered.entries.is_empty(), "acknowledged and lost");
}

/// Crashes once, goes on from what came back, and crashes again at every step of that, the repair included.
fn crash_twice(first: &Run, steps: usize, seed: u64) -> Result<(), String> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let left = Arc::new(first.device.crash_at(steps, &mut |write| random_fate(&mut rng, write)));
    left.record();
    let (config, reported) = listening(Config { groups_in_flight: 2, ..tiny().0 }, &left);
    let (mut wal, found, _) = match open(&left, config) {
        Ok(opened) => opened,
        Err(_) if first.ticket_at(steps) == 0 => return Ok(()),
        Err(why) => return Err(why),
    };
    let mut past = Past::new(found);
    append_some(&mut wal, &mut past, 6, 1000, &mut rng);
    drop(wal);
    let reported = reported.lock().clone();
    let second = Run { device: left, past, reported };
    for steps in 0..=second.device.steps() {
        for mut way in ways(seed + steps as u64) {
            let left = Arc::new(second.device.crash_at(steps, &mut way));
            let found = open(&left, tiny().0).map_err(|why| format!("step {steps}: {why}"))?.1;
            let ticket = second.ticket_at(steps);
            second.past.check(&found, ticket).map_err(|why| format!("step {steps}: {why}"))?;
        }
    }
    Ok(())
}

#[test]
fn what_was_cut_never_comes_back() {
    for seed in 0..3 {
        let first = run(seed, 2, false);
        for steps in (0..=first.device.steps()).step_by(5) {
            let result = crash_twice(&first, steps, seed * 1000 + steps as u64);
            result.unwrap_or_else(|why| panic!("seed {seed}, first crash after step {steps}: {why}"));
        }
    }
}

/// The process is killed and not the machine: recovery then reads what may not be on the disk. Raft is told that it is in
/// the log, so the next crash of the machine must not lose it.
#[test]
fn what_recovery_has_reported_survives_a_crash_right_after() {
    for seed in 0..4 {
        let first = run(seed, 2, false);
        for steps in 0..=first.device.steps() {
            let left = Arc::new(first.device.killed_at(steps));
            let Ok((wal, reported, _)) = open(&left, tiny().0) else { continue };
            first.past.check(&reported, first.ticket_at(steps)).unwrap();
            drop(wal);
            for mut way in ways(steps as u64) {
                let after = open(&Arc::new(left.crash(&mut way)), tiny().0).unwrap().1;
                assert_eq!(after, reported, "seed {seed}, killed after step {steps}");
            }
        }
    }
}

/// Group 2 is lost, group 3 behind it is whole, and the next run writes a group 2 of the same length: without the
/// wiping of group 3, the third run would read it as the successor of the new group 2.
#[test]
fn an_intact_group_behind_a_hole_is_wiped() {
    let device = Arc::new(RecordingDevice::new());
    let config = || Config { max_group_bytes: 4096, ..tiny().0 };
    let mut wal = InlineWal::create(shared(&device), config(), b"").unwrap();
    wal.append(crate::support::entries(1..=1, 1, 3000), 1).unwrap();
    wal.flush().unwrap();
    device.record();
    wal.append(crate::support::entries(2..=2, 1, 3000), 2).unwrap();
    wal.append(crate::support::entries(3..=3, 1, 3000), 3).unwrap();
    wal.flush().unwrap();
    let mut first = true;
    let mut hole = |_| if std::mem::take(&mut first) { Fate::Lose } else { Fate::Keep };
    let left = Arc::new(device.crash_at(2, &mut hole));
    let (mut wal, recovered) = InlineWal::open(shared(&left), config()).unwrap();
    let torn = recovered.torn_tail.unwrap();
    assert_eq!((recovered.entries.len(), torn.offset, torn.bytes), (1, 12288, 8192));
    wal.append(crate::support::entries(2..=2, 7, 3000), 1).unwrap();
    wal.flush().unwrap();
    drop(wal);
    let (_, recovered) = InlineWal::open(shared(&left), config()).unwrap();
    let terms: Vec<u64> = recovered.entries.iter().map(|entry| entry.term).collect();
    assert_eq!(terms, [1, 7]);
    assert_eq!(recovered.torn_tail, None);
}

#[test]
fn a_reset_survives_with_its_place_or_not_at_all() {
    let device = Arc::new(RecordingDevice::new());
    let (config, _) = tiny();
    let mut wal = InlineWal::create(shared(&device), config.clone(), b"").unwrap();
    wal.append(crate::support::entries(1..=20, 1, 100), 1).unwrap();
    wal.flush().unwrap();
    let start = LogStart { index: 500, term: 9 };
    wal.append(Batch { reset: Some(start), ..Batch::default() }, 2).unwrap();
    let (_, before) = InlineWal::open(shared(&Arc::new(device.power_loss())), config.clone()).unwrap();
    assert_eq!((before.start, before.entries.len()), (LogStart::default(), 20));
    wal.flush().unwrap();
    wal.append(crate::support::entries(501..=502, 9, 100), 3).unwrap();
    wal.flush().unwrap();
    let (_, after) = InlineWal::open(shared(&Arc::new(device.power_loss())), config).unwrap();
    assert_eq!((after.start, after.entries.len()), (start, 2));
}
