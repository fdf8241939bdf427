//! The demo's service with the demo's data, without its delays.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, LocalOptions};
use tokio_util::sync::CancellationToken;
use tributary::cli::demo::{data, weather};

use super::Tributary;

/// `idl/flights.thrift`, served by the real binary over SQLite, CSV files and an HTTP service.
pub(crate) struct Flights {
    /// The server.
    pub(crate) server: Tributary,
    weather: Weather,
}

impl Flights {
    /// Starts both.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        data::unpack(folder.path()).expect("the folder is ours");
        let config: Vec<&str> = data::CONFIG
            .lines()
            .filter(|line| !line.starts_with("inject"))
            .collect();
        std::fs::write(folder.path().join("tributary.toml"), config.join("\n"))
            .expect("the folder is ours");
        let weather = Weather::start();
        let server = Tributary::serve(
            folder,
            &[("WEATHER_URL", &format!("http://{}", weather.addr))],
        );
        Flights { server, weather }
    }

    /// Stops the weather store, which only an optional lookup uses.
    pub(crate) fn stop_weather(&mut self) {
        self.weather.stop();
    }
}

/// The HTTP service, on its own loop.
struct Weather {
    addr: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Weather {
    fn start() -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let (sender, addr) = channel();
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
                .expect("a runtime");
            runtime.block_on(async move {
                let weather = weather::serve(data::WEATHER).await.expect("a free port");
                sender.send(weather.addr).expect("someone waits for it");
                stopped.cancelled().await;
            });
        });
        Weather {
            addr: addr.recv().expect("the thread says it or panics"),
            stop,
            thread: Some(thread),
        }
    }

    /// When this returns, the port is closed.
    fn stop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread does not panic");
        }
    }
}

impl Drop for Weather {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
