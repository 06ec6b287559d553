//! Which chain to talk to: a moniker or a URL, and the WebSocket address that goes with it.

use std::fmt;

use solana_rpc_client_api::client_error::reqwest::Url;

use crate::client_error::ClientError;

/// Where a cluster answers: JSON-RPC over HTTP, and PubSub over WebSocket.
#[derive(Clone, PartialEq, Eq)]
pub struct Cluster {
    /// JSON-RPC endpoint, `http://` or `https://`.
    pub rpc_url: String,
    /// PubSub endpoint, `ws://` or `wss://`.
    pub ws_url: String,
    /// Send transactions of version 0 only, and don't ask whether the cluster takes others.
    pub v0_only: bool,
}

impl Cluster {
    /// Reads what a person gave as `--url`: a moniker (`localhost`, `devnet`, `testnet`, `mainnet-beta`, or its
    /// first letter) or an `http(s)://` URL. The WebSocket address is derived as the Solana tools do: `ws(s)` for
    /// `http(s)`, and the next port where the URL names a port.
    ///
    /// # Errors
    /// [`ClientError::BadClusterUrl`].
    pub fn parse(given: &str) -> Result<Self, ClientError> {
        let rpc_url = match given {
            "l" | "localhost" => "http://127.0.0.1:8899",
            "d" | "devnet" => "https://api.devnet.solana.com",
            "t" | "testnet" => "https://api.testnet.solana.com",
            "m" | "mainnet" | "mainnet-beta" => "https://api.mainnet-beta.solana.com",
            url => url,
        };
        let mut ws = read_url(rpc_url, &["http", "https"])?;
        let scheme = if ws.scheme() == "https" { "wss" } else { "ws" };
        // `port()` is None for a scheme's default port, which the WebSocket scheme shares.
        let port = match ws.port() {
            None => None,
            Some(port) => Some(
                port.checked_add(1)
                    .ok_or_else(|| bad(rpc_url, "no port follows 65535: name the WebSocket address, too"))?,
            ),
        };
        ws.set_scheme(scheme).map_err(|()| bad(rpc_url, "no WebSocket address goes with it"))?;
        ws.set_port(port).map_err(|()| bad(rpc_url, "it names no host"))?;
        Ok(Self { rpc_url: rpc_url.to_owned(), ws_url: ws.to_string(), v0_only: false })
    }

    /// Both addresses named, for a provider whose WebSocket address does not follow the rule of [`Cluster::parse`].
    ///
    /// # Errors
    /// [`ClientError::BadClusterUrl`].
    pub fn with_ws(rpc: &str, ws: &str) -> Result<Self, ClientError> {
        let mut cluster = Self::parse(rpc)?;
        read_url(ws, &["ws", "wss"])?;
        cluster.ws_url = ws.to_owned();
        Ok(cluster)
    }

    /// The same cluster, sent transactions of version 0 only.
    #[must_use]
    pub fn v0_only(mut self) -> Self {
        self.v0_only = true;
        self
    }

    /// Scheme, host and port of the JSON-RPC endpoint, fit to be shown: keys that providers put into path, query
    /// and user info are left out.
    pub fn shown(&self) -> String {
        shown_url(&self.rpc_url)
    }
}

/// Never prints a key that is part of a URL.
impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("rpc", &self.shown()).field("ws", &shown_url(&self.ws_url)).finish()
    }
}

fn shown_url(url: &str) -> String {
    match Url::parse(url) {
        Ok(parsed) => {
            let host = parsed.host_str().unwrap_or("?");
            match parsed.port() {
                Some(port) => format!("{}://{host}:{port}", parsed.scheme()),
                None => format!("{}://{host}", parsed.scheme()),
            }
        }
        Err(_) => "(not a URL)".to_owned(),
    }
}

fn read_url(text: &str, schemes: &[&str]) -> Result<Url, ClientError> {
    let url = Url::parse(text).map_err(|error| bad(text, &error.to_string()))?;
    if !schemes.contains(&url.scheme()) {
        return Err(bad(text, &format!("it has to begin with {}://", schemes.join(":// or "))));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad(text, "it names no host"));
    }
    Ok(url)
}

fn bad(given: &str, why: &str) -> ClientError {
    // What does not parse can still hold a key before or behind its host.
    let given = if given.contains('@') {
        "(a URL with user info)".to_owned()
    } else {
        given.split('/').take(3).collect::<Vec<_>>().join("/")
    };
    ClientError::BadClusterUrl { given, why: why.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn websocket_address_follows_the_url() {
        for (given, rpc, ws) in [
            ("localhost", "http://127.0.0.1:8899", "ws://127.0.0.1:8900/"),
            ("http://127.0.0.1:1234", "http://127.0.0.1:1234", "ws://127.0.0.1:1235/"),
            ("devnet", "https://api.devnet.solana.com", "wss://api.devnet.solana.com/"),
            (
                "https://node.example/key?api-key=s",
                "https://node.example/key?api-key=s",
                "wss://node.example/key?api-key=s",
            ),
        ] {
            let cluster = Cluster::parse(given).unwrap();
            assert_eq!((cluster.rpc_url.as_str(), cluster.ws_url.as_str()), (rpc, ws), "{given}");
        }
    }

    #[test]
    fn what_is_no_cluster_is_refused() {
        for given in ["", "devnett", "ftp://host", "http://", "http://127.0.0.1:65535", "ws://127.0.0.1:8900"] {
            assert_eq!(Cluster::parse(given).unwrap_err().code(), "bad-cluster-url", "{given}");
        }
        assert!(Cluster::with_ws("localhost", "http://127.0.0.1:1").is_err());
    }

    #[test]
    fn keys_in_a_url_are_not_shown() {
        let cluster = Cluster::parse("https://user:secret@node.example:8443/secret?api-key=secret").unwrap();
        assert!(!format!("{cluster:?}").contains("secret"));
        assert_eq!(cluster.shown(), "https://node.example:8443");
        for given in ["htps://node.example/secret?api-key=secret", "htps://user:secret@node.example"] {
            let error = Cluster::parse(given).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
