//! Each fault does what its name says, on a connection that is open already. Times are only ever compared from below.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::Instant;

use super::{Conditions, Direction, Proxy, Reach, Toxic};

const SENT: &[u8] = b"as many bytes as make a sentence";

/// A store that sends back what it gets, behind a proxy, and a connection that has been used once.
async fn echo() -> (Proxy, TcpStream) {
    let store = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port");
    let addr = store.local_addr().expect("it is bound");
    spawn_local(async move {
        while let Ok((mut stream, _)) = store.accept().await {
            spawn_local(async move {
                let (mut from, mut to) = stream.split();
                let _ended = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    let proxy = Proxy::start(addr, 7).await;
    let mut stream = TcpStream::connect(proxy.addr).await.expect("it is open");
    assert_eq!(
        sent_and_read(&mut stream).await.expect("nothing is wrong"),
        SENT
    );
    (proxy, stream)
}

async fn sent_and_read(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    stream.write_all(SENT).await?;
    let mut read = vec![0; SENT.len()];
    stream.read_exact(&mut read).await?;
    Ok(read)
}

/// What is read until the end under these conditions.
async fn to_end(conditions: Conditions) -> std::io::Result<Vec<u8>> {
    let (proxy, mut stream) = echo().await;
    proxy.set(conditions);
    let _sent = stream.write_all(SENT).await;
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.map(|_| read)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(flavor = "local")]
async fn bytes_are_late_and_whole() {
    let latency = Toxic::Latency {
        latency: millis(40),
        jitter: millis(10),
    };
    let slicer = Toxic::Slicer {
        average_size: 5,
        size_variation: 3,
        delay: millis(6),
    };
    // Of 32 bytes, the last leaves after 32 ms.
    let bandwidth = Toxic::Bandwidth { rate: 1 };
    for (toxic, least) in [(latency, 30), (slicer, 18), (bandwidth, 32)] {
        let (proxy, mut stream) = echo().await;
        proxy.set(Conditions::toxic(toxic));
        let begun = Instant::now();
        assert_eq!(sent_and_read(&mut stream).await.expect("it goes on"), SENT);
        assert!(
            begun.elapsed() >= millis(least),
            "{toxic:?}: {:?}",
            begun.elapsed()
        );
        proxy.set(Conditions::fair());
        assert_eq!(sent_and_read(&mut stream).await.expect("it goes on"), SENT);
    }
}

#[tokio::test(flavor = "local")]
async fn connections_end_as_they_are_told() {
    let timeout = millis(30);
    let begun = Instant::now();
    let ended = to_end(Conditions::toxic(Toxic::Timeout { timeout })).await;
    assert_eq!(ended.expect("a clean end"), b"");
    assert!(begun.elapsed() >= timeout);

    let reset = to_end(Conditions::toxic(Toxic::ResetPeer { timeout })).await;
    assert_eq!(
        reset.expect_err("a reset").kind(),
        ErrorKind::ConnectionReset
    );
    let refused = to_end(Conditions::reach(Reach::Refused)).await;
    assert_eq!(
        refused.expect_err("a reset").kind(),
        ErrorKind::ConnectionReset
    );

    let limited = to_end(Conditions::toxic(Toxic::LimitData { bytes: 9 })).await;
    assert_eq!(limited.expect("a clean end"), SENT[..9]);

    let (proxy, mut stream) = echo().await;
    let delay = millis(30);
    proxy.set(Conditions::toxic(Toxic::SlowClose { delay }));
    let begun = Instant::now();
    stream.shutdown().await.expect("it is open");
    assert_eq!(stream.read(&mut [0]).await.expect("a clean end"), 0);
    assert!(begun.elapsed() >= delay);
}

#[tokio::test(flavor = "local")]
async fn a_timeout_of_zero_loses_bytes_until_it_is_taken_away() {
    let (proxy, mut stream) = echo().await;
    let lost = Toxic::Timeout {
        timeout: Duration::ZERO,
    };
    // Upstream, so that nothing is under way when it is taken away.
    proxy.set(Conditions::fair().and(Direction::Upstream, 1.0, lost));
    stream.write_all(b"lost").await.expect("it is open");
    let read = tokio::time::timeout(millis(50), stream.read(&mut [0])).await;
    assert!(read.is_err(), "{read:?}");
    proxy.set(Conditions::fair());
    assert_eq!(sent_and_read(&mut stream).await.expect("it goes on"), SENT);
}

#[tokio::test(flavor = "local")]
async fn a_hold_loses_nothing() {
    let (proxy, mut stream) = echo().await;
    proxy.set(Conditions::toxic(Toxic::Hold));
    stream.write_all(SENT).await.expect("it is open");
    let mut read = vec![0; SENT.len()];
    let held = tokio::time::timeout(millis(50), stream.read(&mut read)).await;
    assert!(held.is_err(), "{held:?}");
    proxy.set(Conditions::fair());
    stream.read_exact(&mut read).await.expect("it goes on");
    assert_eq!(read, SENT);
}

#[tokio::test(flavor = "local")]
async fn damage_keeps_the_length() {
    let (proxy, mut stream) = echo().await;
    proxy.set(Conditions::toxic(Toxic::Corrupt { run: 8, share: 1.0 }));
    let read = sent_and_read(&mut stream).await.expect("it goes on");
    let wrong: Vec<usize> = (0..SENT.len())
        .filter(|at| read[*at] != SENT[*at])
        .collect();
    let (first, last) = (wrong.first().expect("some"), wrong.last().expect("some"));
    assert!(last - first < 8, "{wrong:?}");
}

#[tokio::test(flavor = "local")]
async fn a_refused_port_comes_back_and_a_flapping_one_comes_and_goes() {
    let (proxy, _stream) = echo().await;
    proxy.set(Conditions::reach(Reach::Refused));
    let connect = async || {
        TcpStream::connect(proxy.addr)
            .await
            .map_err(|err| err.kind())
    };
    let until = async |refused: bool| {
        while matches!(connect().await, Err(ErrorKind::ConnectionRefused)) != refused {
            tokio::time::sleep(millis(1)).await;
        }
    };
    until(true).await;
    proxy.set(Conditions::fair());
    until(false).await;
    let mut stream = connect().await.expect("it is open");
    assert_eq!(sent_and_read(&mut stream).await.expect("it goes on"), SENT);
    assert!(proxy.accepted() > 1, "{}", proxy.accepted());
    proxy.set(Conditions::reach(Reach::Flapping {
        up: millis(20),
        down: millis(20),
    }));
    for _ in 0..3 {
        until(true).await;
        until(false).await;
    }
}

#[tokio::test(flavor = "local")]
async fn toxicity_is_the_share_of_connections_and_the_seed_decides() {
    let (proxy, _stream) = echo().await;
    let reset = Toxic::ResetPeer {
        timeout: Duration::ZERO,
    };
    proxy.set(Conditions::fair().and(Direction::Downstream, 0.5, reset));
    let mut spared = Vec::new();
    for at in 0..40 {
        let mut stream = TcpStream::connect(proxy.addr).await.expect("it listens");
        if sent_and_read(&mut stream).await.is_ok() {
            spared.push(at);
        }
    }
    assert!((10..30).contains(&spared.len()), "{spared:?}");
}
