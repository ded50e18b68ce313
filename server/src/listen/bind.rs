//! From a URL to a listening socket, the way Go does it.
//!
//! `0.0.0.0` and `[::]` both mean every address of both families, `localhost` its IPv4 address, and a Unix socket is a file that
//! is removed before and after.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::config::Url;

/// Connections that the kernel holds for us before they are accepted.
const BACKLOG: u32 = 1024;

/// A socket that could not be opened. The text is Go's.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A TCP address.
    #[error("listen tcp {address}: bind: {}", words(.error))]
    Tcp {
        /// The address.
        address: String,
        /// Why not.
        error: io::Error,
    },
    /// A Unix socket.
    #[error("listen unix {path}: bind: {}", words(.error))]
    Unix {
        /// The path.
        path: String,
        /// Why not.
        error: io::Error,
    },
}

/// The kernel's words for an error, as Go prints them: no capital, no number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// A listening socket and the address by which the user knows it.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Socket,
    address: String,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Host and port as the URL has them, or the path.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address that is really listened on, which tells the port when it was given as 0. `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(..) => None,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Socket::Unix(_, path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Opens the socket of a URL. Must be called within a tokio runtime.
pub fn bind(url: &Url, reuse_port: bool) -> Result<Listener, BindError> {
    if url.scheme().is_unix() {
        let path = url.socket_path();
        let _ = std::fs::remove_file(&path);
        return match UnixListener::bind(&path) {
            Ok(listener) => {
                Ok(Listener { socket: Socket::Unix(listener, path.clone().into()), address: path })
            }
            Err(error) => Err(BindError::Unix { path, error }),
        };
    }
    let address = url.host_port().to_owned();
    match bind_tcp(url.hostname(), url.port(), reuse_port) {
        Ok(listener) => Ok(Listener { socket: Socket::Tcp(listener), address }),
        Err(error) => Err(BindError::Tcp { address, error }),
    }
}

fn bind_tcp(host: &str, port: &str, reuse_port: bool) -> io::Result<TcpListener> {
    let port: u16 = if port.is_empty() { 0 } else { port.parse().map_err(io::Error::other)? };
    let ip = match host.parse::<IpAddr>() {
        Ok(ip) => ip,
        Err(_) => resolve(host, port)?,
    };
    if !ip.is_unspecified() {
        return listen(SocketAddr::new(ip, port), reuse_port);
    }
    match listen(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port), reuse_port) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        // No IPv6 on this machine.
        Err(_) => listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), reuse_port),
        listening => listening,
    }
}

/// The address of a name, IPv4 before IPv6. (Only `localhost` gets here.)
fn resolve(host: &str, port: u16) -> io::Result<IpAddr> {
    let mut addresses: Vec<_> = (host, port).to_socket_addrs()?.map(|address| address.ip()).collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.first().copied().ok_or_else(|| io::Error::other("no such host"))
}

fn listen(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    // A restarted member must not wait for the connections of the one before to be forgotten.
    socket.set_reuseaddr(true)?;
    if reuse_port {
        socket.set_reuseport(true)?;
    }
    if address.is_ipv6() {
        // On both families when it is the wildcard, whatever net.ipv6.bindv6only says.
        rustix::net::sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
