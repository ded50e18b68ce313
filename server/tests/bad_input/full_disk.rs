//! A disk without room left.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;

use crate::common::ctl::{self, Output};
use crate::common::grpc::Client;
use crate::common::{Home, skipped};

/// A file system in memory, unmounted with this value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many mebibytes; the reason when that is not allowed.
    fn mount(at: &Path, mebibytes: u32) -> Result<Self, Output> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "holdfast-test"]).arg(at);
        let output = ctl::run(command, "");
        if output.code == Some(0) { Ok(Self(at.to_owned())) } else { Err(output) }
    }

    fn grow(&self, mebibytes: u32) {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("remount,size={mebibytes}m")]).arg(&self.0);
        let output = ctl::run(command, "");
        assert_eq!(output.code, Some(0), "{output:?}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn value(n: usize) -> Bytes {
    format!("{n:08}").repeat(32 << 10).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_acknowledged_before_the_disk_was_full_is_there_afterwards() {
    // Dropped in the opposite order: the home, then the mount, then the place where it was mounted.
    let folder = tempfile::Builder::new().prefix("holdfast-e2e-disk-").tempdir().unwrap();
    let disk = match SmallDisk::mount(folder.path(), 220) {
        Ok(disk) => disk,
        Err(why) => return skipped(&format!("cannot mount a small file system: {}", why.stderr.trim())),
    };
    let home = Home::holdfast().with_data(&folder.path().join("data"));
    let mut server = home.start();
    let client = Client::connect(&server.url()).await;

    // Puts of 256 KiB until one fails: by an error, since the server says that space is out or since it has stopped.
    let mut acknowledged = 0;
    let error = loop {
        assert!(acknowledged < 2000, "500 MiB are in 220 MiB");
        match client.put(format!("key{acknowledged:05}"), value(acknowledged)).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(acknowledged > 100, "only {acknowledged} puts, then {error:?}");
    // It stops, and says why; or it goes on to serve reads and to refuse writes.
    std::thread::sleep(Duration::from_millis(500));
    if server.is_running() {
        assert!(client.put("more", value(0)).await.is_err(), "{error:?}, and then a put succeeds");
        assert_eq!(client.get("key00000").await.unwrap().unwrap(), value(0), "{error:?}");
        server.kill();
    } else {
        let (status, stderr) = server.wait(Duration::from_secs(1)).unwrap();
        assert!(status.code().is_some_and(|code| code != 0), "{status:?}");
        assert!(stderr.contains("No space left on device"), "{error:?}: the reason is not named:\n{stderr}");
    }

    // Without room it may refuse to start, but it must end, and say why.
    match home.try_start() {
        Ok(server) => drop(server),
        Err(failure) => {
            let status =
                failure.status.unwrap_or_else(|| panic!("neither refused nor ready:\n{}", failure.stderr));
            assert!(status.code().is_some_and(|code| code != 0), "{status:?}");
            assert!(failure.stderr.contains("No space left on device"), "{}", failure.stderr);
        }
    }

    disk.grow(1000);
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    for n in 0..acknowledged {
        assert_eq!(
            client.get(format!("key{n:05}")).await.unwrap(),
            Some(value(n)),
            "key{n:05} was acknowledged"
        );
    }
    client.put("more", value(1)).await.unwrap();
    server.terminate();
}
