//! Packets of every length, and bytes that answer no request.

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

use super::*;

fn pair() -> (Wire<DuplexStream>, DuplexStream) {
    let (ours, server) = duplex(64 << 20);
    (Wire::new(ours), server)
}

/// What a wire with this compression makes of a payload.
async fn sent(payload: &[u8], level: Option<Compression>) -> Vec<u8> {
    let (mut wire, mut server) = pair();
    if let Some(level) = level {
        wire.compress(level);
    }
    wire.send(payload).await.expect("it is sent");
    drop(wire);
    let mut bytes = Vec::new();
    server.read_to_end(&mut bytes).await.expect("it came");
    bytes
}

#[tokio::test(flavor = "local")]
async fn payloads_of_every_length_arrive() {
    for level in [None, Some(Compression::fast())] {
        for length in [0, 1, 100, PAYLOAD_MAX - 1, PAYLOAD_MAX, PAYLOAD_MAX + 1] {
            let payload: Vec<u8> = (0..11).cycle().take(length).collect();
            let (mut wire, mut server) = pair();
            if let Some(level) = level {
                wire.compress(level);
            }
            let bytes = sent(&payload, level).await;
            server.write_all(&bytes).await.expect("room");
            let came = wire.packet(2 * PAYLOAD_MAX).await.expect("a packet");
            assert!(came == payload && !wire.has_more(), "{length}");
        }
    }
}

#[tokio::test(flavor = "local")]
async fn an_announced_length_allocates_nothing() {
    let (mut wire, mut server) = pair();
    server.write_all(b"\xfe\xff\xff\0x").await.expect("room");
    assert!(wire.packet(1 << 30).now_or_never().is_none());
    assert!(wire.received.capacity() <= 2 * READ_BYTES);
    let refused = wire.packet(SMALL_BYTES_MAX).await;
    assert!(matches!(refused, Err(Error::Protocol(_))), "{refused:?}");

    // Nor do many packets that together are longer than any may be.
    let (mut wire, mut server) = pair();
    let part = vec![0; PAYLOAD_MAX];
    for number in 0..2 {
        let header = [0xff, 0xff, 0xff, number];
        server.write_all(&header).await.expect("room");
        server.write_all(&part).await.expect("room");
    }
    let refused = wire.packet(PAYLOAD_MAX + 9).await;
    assert!(matches!(refused, Err(Error::Protocol(_))), "{refused:?}");
}

#[tokio::test(flavor = "local")]
async fn packets_out_of_order_are_refused() {
    for number in [1, 2, 255] {
        let (mut wire, mut server) = pair();
        server.write_all(&[0, 0, 0, number]).await.expect("room");
        let refused = wire.packet(9).await;
        assert!(matches!(refused, Err(Error::Protocol(_))), "{refused:?}");
    }
}

#[tokio::test(flavor = "local")]
async fn bytes_that_were_not_asked_for_end_the_connection() {
    let killed = b"\x18\0\0\0\xff\x87\x07#70100Connection killed";
    for (said, expected) in [
        (&b"\x07\0\0\x01\0\0\0\x02\0\0\0"[..], "not asked for"),
        (b"\x07", "not asked for"),
        (&killed[..], "Connection killed (1927)"),
    ] {
        let (mut wire, mut server) = pair();
        server.write_all(said).await.expect("room");
        let ended = wire.ended().await.to_string();
        assert!(ended.contains(expected), "{ended}");

        let (mut wire, mut server) = pair();
        server.write_all(said).await.expect("room");
        let refused = wire.command(b"\x0e").await.expect_err("a bad answer");
        assert!(refused.to_string().contains(expected), "{refused}");
        drop(wire);
        let mut sent = Vec::new();
        server.read_to_end(&mut sent).await.expect("closed");
        assert!(sent.is_empty(), "nothing was asked");
    }
}

#[tokio::test(flavor = "local")]
async fn what_came_in_plain_text_is_not_taken_for_encrypted() {
    let (mut wire, mut server) = pair();
    server.write_all(b"\x01\0\0\0\x0a").await.expect("room");
    wire.packet(9).await.expect("a greeting");
    server.write_all(b"\x01\0\0\x01\0").await.expect("room");
    wire.receive().await.expect("comes with the greeting");
    assert!(matches!(wire.into_stream(), Err(Error::Unasked)));
}
