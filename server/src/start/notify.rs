//! Telling systemd that the service is up: `READY=1` to the socket that `NOTIFY_SOCKET` names (sd_notify(3)).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells that the member serves; without the variable there is nobody to tell, and nothing is wrong.
pub(super) fn ready() {
    tracing::info!("notifying init daemon");
    let path = std::env::var("NOTIFY_SOCKET").unwrap_or_default();
    match send(&path, b"READY=1") {
        Ok(()) => tracing::info!("successfully notified init daemon"),
        Err(error) => tracing::error!(error = %error, "failed to notify systemd for readiness"),
    }
}

/// A path, or with `@` in front a name in the abstract namespace.
fn send(path: &str, state: &[u8]) -> io::Result<()> {
    if path.is_empty() {
        return Ok(());
    }
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state, &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_paths_and_names() {
        send("", b"x").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let path = path.to_str().unwrap();
        assert!(send(path, b"x").is_err());
        let name = format!("holdfast-test-{}", std::process::id());
        let by_path = UnixDatagram::bind(path).unwrap();
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(path, b"READY=1").unwrap();
        send(&format!("@{name}"), b"READY=1").unwrap();
        for socket in [by_path, by_name] {
            let mut bytes = [0; 16];
            let n = socket.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..n], b"READY=1");
        }
    }
}
