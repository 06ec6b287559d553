//! Who may connect to the result server: so many at once, few of one address, and nobody who says and takes nothing.
//! Every connection holds a file handle, and those are what the journal and the chain need, too.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep, sleep},
};

use crate::context::lock;

/// Bounds of a server's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at a time.
    pub total: usize,
    /// Of these, connections of one address. Those from this machine are not counted: they are a proxy's.
    pub per_address: usize,
    /// A connection on which no byte moves for so long is closed.
    pub idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { total: 256, per_address: 8, idle: Duration::from_secs(30) }
    }
}

#[derive(Debug, Default)]
struct Guests {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place inside; free again when dropped.
#[derive(Debug)]
struct Guest {
    guests: Arc<Mutex<Guests>>,
    address: IpAddr,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = lock(&self.guests);
        guests.total = guests.total.saturating_sub(1);
        if let Some(count) = guests.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                guests.by_address.remove(&self.address);
            }
        }
    }
}

fn admit(guests: &Arc<Mutex<Guests>>, bounds: &Bounds, address: IpAddr) -> Option<Guest> {
    // An IPv4 address is the same in both of its ways of being written.
    let address = address.to_canonical();
    let mut inside = lock(guests);
    let of_it = inside.by_address.get(&address).copied().unwrap_or(0);
    if inside.total >= bounds.total || (of_it >= bounds.per_address && !address.is_loopback()) {
        return None;
    }
    inside.total = inside.total.saturating_add(1);
    inside.by_address.insert(address, of_it.saturating_add(1));
    Some(Guest { guests: guests.clone(), address })
}

/// A listener that keeps its bounds.
pub(crate) struct Doorkeeper {
    listener: TcpListener,
    bounds: Bounds,
    guests: Arc<Mutex<Guests>>,
}

impl Doorkeeper {
    pub fn new(listener: TcpListener, bounds: Bounds) -> Self {
        Self { listener, bounds, guests: Arc::default() }
    }
}

impl Listener for Doorkeeper {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            // Waits and goes on where handles are short.
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if let Some(guest) = admit(&self.guests, &self.bounds, address.ip()) {
                let idle = self.bounds.idle;
                return (Connection { stream, idle, silence: Box::pin(sleep(idle)), _guest: guest }, address);
            }
            tracing::debug!(%address, "too many connections");
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when it is idle.
pub(crate) struct Connection {
    stream: TcpStream,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    _guest: Guest,
}

impl Connection {
    /// Passes on what moved, and turns waiting for too long into an error.
    fn watched<T>(&mut self, context: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            let now = Instant::now();
            self.silence.as_mut().reset(now.checked_add(self.idle).unwrap_or(now));
            return moved;
        }
        match self.silence.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let moved = Pin::new(&mut this.stream).poll_read(context, to);
        this.watched(context, moved)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let moved = Pin::new(&mut this.stream).poll_write(context, from);
        this.watched(context, moved)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let moved = Pin::new(&mut this.stream).poll_write_vectored(context, from);
        this.watched(context, moved)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_of_one_address_and_so_many_in_all() {
        let bounds = Bounds { total: 5, per_address: 2, idle: Duration::from_secs(1) };
        let guests = Arc::default();
        let enter = |address: &str| admit(&guests, &bounds, address.parse().unwrap());
        let (one, two) = (enter("1.2.3.4"), enter("::ffff:1.2.3.4"));
        assert!(one.is_some() && two.is_some() && enter("1.2.3.4").is_none());
        let proxy: Vec<_> = (0..3).map(|_| enter("127.0.0.1")).collect();
        assert!(proxy.iter().all(Option::is_some) && enter("5.6.7.8").is_none());
        drop(one);
        let other = enter("5.6.7.8");
        assert!(other.is_some() && enter("1.2.3.4").is_none());
        drop((two, proxy, other));
        assert!(lock(&guests).total == 0 && lock(&guests).by_address.is_empty());
    }
}
