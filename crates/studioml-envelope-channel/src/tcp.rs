//! TCP as both ends use it: small writes go out at once, and an acknowledgement waits for the answer that carries it.
//!
//! A handshake is one segment each way and one more. Linux acknowledges the first segments of a connection at once, as if a
//! bulk transfer began, which costs a handshake as many packets again as it has. Both ends begin in the mode that a
//! conversation is in later anyway (tcp(7), `TCP_QUICKACK`): an acknowledgement goes with the next answer, or alone after 40 ms.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};

/// Connects to the first address that takes the connection.
pub(crate) async fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let mut failed = None;
    for address in lookup_host(address).await? {
        match connect_to(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the name has no address")))
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_nodelay(true)?;
    // before connecting: then the server's answer to the SYN is acknowledged by the first message, too
    acknowledge_with_answers(&socket);
    socket.connect(address).await
}

/// For all connections that the listener takes from now on: on Linux they begin as the listener is.
pub(crate) fn prepare(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_nodelay(listener, true);
    acknowledge_with_answers(listener);
}

/// For a connection that a listener of [`prepare`] has taken.
#[cfg(target_os = "linux")]
pub(crate) fn taken(_stream: &TcpStream) -> io::Result<()> {
    Ok(())
}

/// For a connection that a listener has taken.
#[cfg(not(target_os = "linux"))]
pub(crate) fn taken(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}

/// For speed alone: where it fails or is not known, everything works as well.
#[cfg(target_os = "linux")]
fn acknowledge_with_answers(socket: impl std::os::fd::AsFd) {
    let _ = rustix::net::sockopt::set_tcp_quickack(socket, false);
}

#[cfg(not(target_os = "linux"))]
fn acknowledge_with_answers<S>(_socket: S) {}

#[cfg(test)]
mod tests {
    use super::{TcpListener, connect, prepare, taken};

    #[tokio::test]
    async fn both_ends_send_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        prepare(&listener);
        let (client, server) = tokio::join!(connect(listener.local_addr().unwrap()), listener.accept());
        let (client, (server, _)) = (client.unwrap(), server.unwrap());
        taken(&server).unwrap();
        assert!(client.nodelay().unwrap());
        assert!(server.nodelay().unwrap());
    }
}
