//! One connection, from its handshake to its end.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use tokio::{net::TcpStream, sync::watch};

use super::{Handler, Origin, Server, ServerEvent, admission::Slot};
use crate::{Channel, ChannelError, Receipt, budget::Budget, tcp};

/// What all connections of a server share.
pub(super) struct Service<H> {
    pub(super) server: Server,
    pub(super) handler: H,
    pub(super) budget: Arc<Budget>,
}

/// Which side ends a channel in order.
enum Closed {
    ByClient,
    ByServer,
}

impl<H: Handler> Service<H> {
    pub(super) async fn serve(&self, stream: TcpStream, address: SocketAddr, slot: Slot, drain: watch::Receiver<bool>) {
        let counters = &self.server.counters;
        // boxed: what a handshake needs is given back when the channel stands
        let mut channel = match Box::pin(self.establish(stream, slot)).await {
            Ok(channel) => channel,
            Err(error) => {
                self.server.observe(&ServerEvent::HandshakeFailed { address, error: &error });
                counters.handshakes_failed.fetch_add(1, Ordering::Release);
                return;
            }
        };
        let peer = Arc::clone(channel.peer());
        self.server.observe(&ServerEvent::Established { address, peer: &peer });
        counters.established.fetch_add(1, Ordering::Release);
        channel.count_against(Arc::clone(&self.budget));
        let origin = Origin { peer: Arc::clone(&peer), address };
        let ended = match self.exchange(&mut channel, &origin, drain).await {
            Ok(Closed::ByClient) => {
                // whether it still hears our close changes nothing
                let _ = Box::pin(channel.close()).await;
                Ok(())
            }
            Ok(Closed::ByServer) => Box::pin(channel.close()).await,
            Err(error) => {
                drop(channel);
                Err(error)
            }
        };
        self.server.observe(&ServerEvent::Ended { address, peer: &peer, error: ended.as_ref().err() });
        let counter = if ended.is_ok() { &counters.closed } else { &counters.failed };
        counter.fetch_add(1, Ordering::Release);
    }

    async fn establish(&self, stream: TcpStream, mut slot: Slot) -> Result<Channel<TcpStream>, ChannelError> {
        tcp::taken(&stream)?;
        let deadlines = self.server.options.deadlines;
        tokio::select! {
            biased;
            () = slot.given_up() => Err(ChannelError::CrowdedOut),
            channel = Channel::establish(stream, self.server.handshake(), deadlines) => channel,
        }
    }

    /// Messages in, receipts out, in order, until either side closes.
    async fn exchange(
        &self,
        channel: &mut Channel<TcpStream>,
        origin: &Origin,
        mut drain: watch::Receiver<bool>,
    ) -> Result<Closed, ChannelError> {
        let mut draining = false;
        while !draining || channel.is_mid_message() {
            let received = tokio::select! {
                biased;
                _ = drain.wait_for(|draining| *draining), if !draining => {
                    draining = true;
                    continue;
                }
                received = channel.receive() => received,
            };
            let received = match received {
                Err(ChannelError::Idle { .. }) => break,
                received => received?,
            };
            let Some(message) = received else {
                return Ok(Closed::ByClient);
            };
            if !self.server.permits(&origin.peer) {
                return Err(ChannelError::Revoked);
            }
            let receipt = self.handler.handle(origin.clone(), message).await;
            self.count(&receipt);
            channel.send(&receipt.to_json()).await?;
        }
        Ok(Closed::ByServer)
    }

    fn count(&self, receipt: &Receipt) {
        let counters = &self.server.counters;
        let counter = if receipt.is_accepted() { &counters.messages_accepted } else { &counters.messages_refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
