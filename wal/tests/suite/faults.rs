//! Writes and syncs that fail: the log says so once, takes nothing more, tries nothing again, and what it had
//! acknowledged is there afterwards.

use std::sync::Arc;

use holdfast_wal::testing::RecordingDevice;
use holdfast_wal::{Batch, Config, InlineWal, Wal, WalError};

use crate::support::{Model, entries, shared, tiny};

enum Fault {
    Write(u64),
    Sync(u64),
}

fn fails(fault: &Fault, slots: usize) {
    let device = Arc::new(RecordingDevice::new());
    let (config, reports) = tiny();
    let config = Config { groups_in_flight: slots, ..config };
    let wal = Wal::create(shared(&device), config.clone(), b"").unwrap();
    match fault {
        Fault::Write(n) => device.fail_write(*n),
        Fault::Sync(n) => device.fail_sync(*n),
    }
    let mut model = Model::default();
    let mut states = vec![model.clone()];
    let mut refused = None;
    for index in 1..=200 {
        let batch = entries(index..=index, 1, 900);
        model.append(&batch);
        states.push(model.clone());
        if let Err(error) = wal.append(batch, index) {
            refused = Some(error);
            break;
        }
        reports.wait_for(index);
    }
    let (acknowledged, errors) = (reports.ticket(), reports.errors());
    assert!(matches!(errors[..], [WalError::Device(_)]), "{errors:?}");
    assert!(matches!(refused, Some(WalError::Poisoned(_))), "{refused:?}");
    assert!(matches!(wal.release(1), Err(WalError::Poisoned(_))));
    let before = (device.writes(), device.syncs());
    assert!(matches!(wal.append(Batch::default(), 1000), Err(WalError::Poisoned(_))));
    assert!(matches!(wal.close(), Err(WalError::Poisoned(_))));
    assert_eq!((device.writes(), device.syncs()), before, "nothing is tried again");
    assert_eq!(reports.errors().len(), 1, "it is said once");
    let left = Arc::new(device.power_loss());
    let (_, recovered) = InlineWal::open(shared(&left), config).unwrap();
    let found = Model::of(&recovered);
    assert!(states[acknowledged as usize..].iter().any(|state| state.agrees(&found)));
}

#[test]
fn a_failed_write_or_sync_poisons_the_log() {
    for slots in [1, 2] {
        // Far enough to hit groups, headers of new segments, and the groups after a roll.
        for n in 1..40 {
            fails(&Fault::Write(n), slots);
            fails(&Fault::Sync(n), slots);
        }
    }
}

#[test]
fn a_log_that_fails_inline_stays_failed() {
    let device = Arc::new(RecordingDevice::new());
    let (config, reports) = tiny();
    let mut wal = InlineWal::create(shared(&device), config, b"").unwrap();
    wal.append(entries(1..=1, 1, 10), 1).unwrap();
    device.fail_sync(1);
    assert!(matches!(wal.flush(), Err(WalError::Device(_))));
    assert!(matches!(wal.flush(), Err(WalError::Poisoned(_))));
    assert!(matches!(wal.append(entries(2..=2, 1, 10), 2), Err(WalError::Poisoned(_))));
    assert_eq!((reports.ticket(), reports.errors().len()), (0, 1));
    assert!(matches!(wal.close(), Err(WalError::Poisoned(_))));
}

/// A callback that panics takes the log's thread with it: nobody must wait for a ticket after that.
#[test]
fn a_panic_in_a_callback_closes_the_log() {
    let on_durable = Arc::new(|_: Result<u64, WalError>| panic!("expected by this test"));
    let config = Config { on_durable, ..tiny().0 };
    let wal = Wal::create(Arc::new(RecordingDevice::new()), config, b"").unwrap();
    wal.append(entries(1..=1, 1, 10), 1).unwrap();
    assert!(matches!(wal.close(), Err(WalError::Thread { .. })));
    assert!(matches!(wal.append(entries(2..=2, 1, 10), 2), Err(WalError::Poisoned(_))));
}

#[test]
fn a_group_behind_a_failed_one_is_not_acknowledged() {
    let device = Arc::new(RecordingDevice::new());
    let (config, reports) = tiny();
    let config = Config { groups_in_flight: 2, max_group_bytes: 4096, ..config };
    let mut wal = InlineWal::create(shared(&device), config, b"").unwrap();
    wal.append(entries(1..=1, 1, 3000), 1).unwrap();
    wal.append(entries(2..=2, 1, 3000), 2).unwrap();
    device.fail_write(1);
    assert!(wal.flush().is_err());
    assert_eq!(reports.ticket(), 0, "the second write went well, but the first did not");
}

#[test]
fn bad_batches_are_refused_and_harm_nothing() {
    let device = Arc::new(RecordingDevice::new());
    let (config, reports) = tiny();
    let mut wal = InlineWal::create(shared(&device), config, b"").unwrap();
    wal.append(entries(1..=2, 1, 10), 5).unwrap();
    assert!(matches!(wal.append(entries(4..=4, 1, 10), 6), Err(WalError::OutOfOrder { index: 4, .. })));
    assert!(matches!(wal.append(entries(3..=3, 1, 10_000), 6), Err(WalError::EntryTooLarge { .. })));
    assert!(matches!(wal.append(entries(3..=3, 1, 10), 4), Err(WalError::TicketOrder { .. })));
    wal.append(entries(3..=3, 1, 10), 6).unwrap();
    wal.append(Batch::default(), 7).unwrap();
    wal.flush().unwrap();
    assert_eq!(reports.ticket(), 7, "an empty batch is durable with what is before it");
    wal.append(Batch::default(), 8).unwrap();
    wal.flush().unwrap();
    assert_eq!(reports.ticket(), 8);
    assert_eq!(wal.stats().groups, 1);
}
