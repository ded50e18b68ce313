//! The address that a machine is known by, for members that listen everywhere but advertise nothing.
//!
//! etcd looks the default route up and advertises that interface's address in place of `localhost`. We ask the kernel the
//! same question by connecting a UDP socket, which sends nothing.

use std::net::{Ipv4Addr, UdpSocket};

use super::url::Url;

/// The URL to advertise in place of the default one, when the first listener is on all addresses; `None` otherwise, or when
/// the machine has no default route.
pub(super) fn better_advertised(listen: &[Url], advertise: &[Url], default: &str) -> Option<Url> {
    let first = listen.first()?;
    if first.hostname() != "0.0.0.0" || advertise.len() != 1 || advertise[0].as_str() != default {
        return None;
    }
    let host = outgoing_address()?;
    Url::parse(&format!("{}://{host}:{}", advertise[0].scheme().as_str(), first.port())).ok()
}

/// The source address of packets that leave by the default route.
fn outgoing_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?; // a documentation address (RFC 5737)
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(address) if !address.is_unspecified() => Some(address),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_default_behind_a_wildcard_is_replaced() {
        let list = |text: &str| Url::parse_list(text).unwrap();
        let default = "http://localhost:2380";
        assert_eq!(better_advertised(&list("http://127.0.0.1:1"), &list(default), default), None);
        assert_eq!(better_advertised(&list("http://0.0.0.0:1"), &list("http://h:1"), default), None);
        if let Some(url) = better_advertised(&list("http://0.0.0.0:77"), &list(default), default) {
            assert_eq!(url.port(), "77");
            assert_ne!(url.hostname(), "localhost");
        }
    }
}
