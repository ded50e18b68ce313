//! Load, kill, look, start, look, and again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::common::grpc::Client;
use crate::common::{Home, Server, offline};
use crate::follower::Follower;
use crate::input::Input;
use crate::loader::{Ledger, load};

/// Loads `input` while the server is killed `kills` times.
pub(crate) async fn run(input: Arc<dyn Input>, kills: usize) {
    let mut random = StdRng::seed_from_u64(seed());
    let mut moments: Vec<usize> = (0..kills).map(|_| random.random_range(1..input.len())).collect();
    moments.sort_unstable();

    // There is nothing to compact in this test, and the quota must not end it.
    let home = Home::holdfast().with(&["--quota-backend-bytes", "8589934592"]);
    let mut server = home.start();
    let follower = Follower::start(Arc::clone(&input), server.url());
    let ledger = Arc::new(Ledger::new());
    let begin = Instant::now();
    for moment in moments {
        let loading = tokio::spawn({
            let (input, ledger, url) = (Arc::clone(&input), Arc::clone(&ledger), server.url());
            async move { load(input, ledger, &url).await }
        });
        while ledger.count() < moment && !loading.is_finished() {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        tokio::time::sleep(Duration::from_micros(random.random_range(0..20_000))).await;
        server.kill();
        loading.await.unwrap();
        server = restart(&home, &ledger, &mut random);
        verify(&server, &*input, &ledger).await;
    }
    load(Arc::clone(&input), Arc::clone(&ledger), &server.url()).await;
    let took = begin.elapsed();

    verify(&server, &*input, &ledger).await;
    let client = Client::connect(&server.url()).await;
    let revision = client.hash_kv(0).await.unwrap().header.unwrap().revision;
    let told = follower.finish(revision).await;
    assert_eq!(told.len() as i64, revision - 1, "a change for each revision");
    for (number, revision) in ledger.acknowledged() {
        assert_eq!(
            told[(revision - 2) as usize],
            number,
            "revision {revision} was acknowledged for another key"
        );
    }
    server.terminate();
    let contents = offline::check(&home.db()).unwrap();
    assert_eq!((contents.keys, contents.revision), (input.len() as u64, revision));
    println!("{} keys, {kills} kills, {} revisions, {took:?}", input.len(), revision - 1);
}

/// The seed of a test's random moments: the one that is asked for, or a new one.
pub(crate) fn seed() -> u64 {
    let asked = std::env::var("HOLDFAST_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = asked.unwrap_or_else(rand::random);
    println!("HOLDFAST_TEST_SEED={seed}");
    seed
}

/// Looks through the files that a killed server has left, and starts it; sometimes it is killed while it starts.
fn restart(home: &Home, ledger: &Ledger, random: &mut StdRng) -> Server {
    let contents = offline::check(&home.db()).unwrap_or_else(|fault| panic!("after a kill: {fault}"));
    assert!(contents.revision <= ledger.newest() + 1000, "{contents:?} is ahead of what was written");
    if random.random_bool(0.5) {
        let starting = home.spawn();
        std::thread::sleep(Duration::from_micros(random.random_range(0..60_000)));
        starting.kill();
        offline::check(&home.db()).unwrap_or_else(|fault| panic!("after a kill while it started: {fault}"));
    }
    home.start()
}

/// Everything that was acknowledged is there, and the revision is not below any that was told.
async fn verify(server: &Server, input: &dyn Input, ledger: &Ledger) {
    let client = Client::connect(&server.url()).await;
    let all = client.all(input.prefix()).await.unwrap();
    let revision = all.header.as_ref().unwrap().revision;
    assert!(revision >= ledger.newest(), "the revision went back to {revision} from {}", ledger.newest());
    let mut there = vec![false; input.len()];
    for kv in &all.kvs {
        let number = input.number(&kv.key).unwrap_or_else(|| panic!("nobody has put {kv:?}"));
        assert!(kv.value == input.value(number), "{:?} has another value", kv.key);
        there[number] = true;
    }
    for (number, revision) in ledger.acknowledged() {
        assert!(
            there[number],
            "{:?} was acknowledged with revision {revision} and is gone",
            input.key(number)
        );
    }
    assert_eq!(all.count as usize, all.kvs.len());
}
