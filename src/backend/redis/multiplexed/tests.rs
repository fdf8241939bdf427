//! One socket shared by several askers: answers, large replies, broken connections.

use std::pin::pin;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::time::timeout;

use super::*;

#[tokio::test(flavor = "local", start_paused = true)]
async fn replies_go_to_their_askers() {
    let (ours, mut server) = duplex(1 << 20);
    let redis = Rc::new(Multiplexed::default());
    let asking = async {
        let given_up = timeout(Duration::from_millis(5), redis.ask(b"one", 1));
        let two = redis.ask(b"two", 2);
        let three = redis.ask(b"three", 1);
        let (one, two, three) = tokio::join!(given_up, two, three);
        assert!(one.is_err(), "it was late");
        let two = two.expect("replies").expect("room");
        assert_eq!(two, [Reply::Int(2), Reply::Int(22)]);
        let three = three.expect("replies").expect("room");
        assert_eq!(three, [Reply::Int(3)]);
    };
    let serving = async {
        let mut asked = [0; 11];
        server.read_exact(&mut asked).await.expect("asked");
        assert_eq!(&asked, b"onetwothree", "in one go");
        tokio::time::sleep(Duration::from_millis(10)).await;
        server
            .write_all(b":1\r\n:2\r\n:22\r\n:3\r\n")
            .await
            .expect("takes them");
    };
    tokio::select! {
        broken = Driving::new(ours, Rc::clone(&redis)) => panic!("{broken:?}"),
        _ = async { tokio::join!(asking, serving) } => {}
    }
    assert_eq!(redis.missing.get(), 0);
}

#[tokio::test(flavor = "local")]
async fn a_reply_is_handed_out_when_it_is_there() {
    let (ours, mut server) = duplex(64);
    let redis = Rc::new(Multiplexed::default());
    let dealt = RefCell::new(Vec::new());
    let asking = redis.ask_each(b"xyz", 3, |reply| dealt.borrow_mut().push(reply));
    let serving = async {
        server.read_exact(&mut [0; 3]).await.expect("asked");
        for (at, said) in [&b":1\r\n:2"[..], b"\r\n:3", b"\r\n"]
            .into_iter()
            .enumerate()
        {
            server.write_all(said).await.expect("takes them");
            while dealt.borrow().len() <= at {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::select! {
        broken = Driving::new(ours, Rc::clone(&redis)) => panic!("{broken:?}"),
        (asked, ()) = async { tokio::join!(asking, serving) } => {
            assert!(matches!(asked, Ok(Some(()))));
        }
    }
    assert_eq!(dealt.take(), [1, 2, 3].map(Reply::Int));
}

#[tokio::test(flavor = "local")]
async fn a_large_reply_lets_the_loop_poll_its_sockets_again_and_again() {
    const ITEMS: usize = 200_000;
    let reply = [
        format!("*{ITEMS}\r\n").as_bytes(),
        &b"$1\r\nx\r\n".repeat(ITEMS),
    ]
    .concat();
    let reads = reply.len() / READ_BYTES;
    let (ours, mut server) = duplex(2 * reply.len());
    let redis = Rc::new(Multiplexed::default());
    let driving = tokio::task::spawn_local(Driving::new(ours, Rc::clone(&redis)));
    let mut asked = pin!(redis.ask(b"x", 1));
    assert!(futures_util::poll!(asked.as_mut()).is_pending());
    server.read_exact(&mut [0]).await.expect("asked");
    server.write_all(&reply).await.expect("takes it");
    let mut breaks = 0;
    while futures_util::poll!(asked.as_mut()).is_pending() {
        // The loop polls its sockets before it goes on here.
        tokio::task::yield_now().await;
        breaks += 1;
    }
    assert!(breaks + 1 >= reads, "{breaks} breaks in {reads} reads");
    driving.abort();
}

#[tokio::test(flavor = "local")]
async fn a_broken_connection_fails_pending_commands_and_accepts_no_more() {
    for (bytes, bad) in [
        (&b":1\r\n"[..], false),
        (b"what\r\n", true),
        (b":1\r\n:2\r\n:3\r\n:4\r\n", true),
    ] {
        let (ours, mut server) = duplex(64);
        let redis = Rc::new(Multiplexed::default());
        let asks = join_all((0..3).map(|_| redis.ask(b"x", 1)));
        let serving = async {
            server.read_exact(&mut [0; 3]).await.expect("asked");
            server.write_all(bytes).await.expect("takes them");
            drop(server);
        };
        let (broken, asked, ()) =
            tokio::join!(Driving::new(ours, Rc::clone(&redis)), asks, serving);
        assert_eq!(matches!(broken, Broken::BadBytes(_)), bad, "{broken:?}");
        assert_eq!(
            asked.iter().filter(|asked| asked.is_err()).count(),
            match bytes.len() {
                4 => 2,
                6 => 3,
                _ => 0,
            }
        );
        assert!(redis.ask(b"x", 1).await.is_err());
    }
}

/// Why a connection ends over which the server says `bytes` before anything is asked.
async fn ends_unasked(bytes: &[u8]) -> Option<Broken> {
    let (ours, mut server) = duplex(64);
    let redis = Rc::new(Multiplexed::default());
    server.write_all(bytes).await.expect("takes them");
    let mut driving = Driving::new(ours, Rc::clone(&redis));
    match futures_util::poll!(&mut driving) {
        Poll::Ready(broken) => Some(broken),
        Poll::Pending => None,
    }
}

#[tokio::test(flavor = "local")]
async fn bytes_that_were_not_asked_for_end_the_connection() {
    for bytes in [&b":1\r\n"[..], b":", b"$5\r\nhel", b"*2\r\n:1\r\n"] {
        let broken = ends_unasked(bytes).await;
        assert!(matches!(broken, Some(Broken::BadBytes(_))), "{broken:?}");
    }
    let pushes = b">2\r\n+invalidate\r\n:1\r\n>2\r\n+inv";
    assert!(ends_unasked(pushes).await.is_none(), "a push may come");
}

#[tokio::test(flavor = "local")]
async fn what_is_left_over_after_a_reply_is_not_the_next_reply() {
    for more in [&b":2\r\n"[..], b":2"] {
        let (ours, mut server) = duplex(64);
        let redis = Rc::new(Multiplexed::default());
        let mut driving = Driving::new(ours, Rc::clone(&redis));
        let mut first = pin!(redis.ask(b"x", 1));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        assert!(futures_util::poll!(&mut driving).is_pending());
        let said = [&b":1\r\n"[..], more].concat();
        server.write_all(&said).await.expect("takes them");
        // Asked, but not sent: what is there already is not its reply.
        let mut second = pin!(redis.ask(b"y", 1));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert!(futures_util::poll!(&mut driving).is_ready());
        let first = first.await.expect("a reply").expect("room");
        assert_eq!(first, [Reply::Int(1)]);
        assert!(second.await.is_err());
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_server_that_answers_nothing_again_and_again_loses_its_connection() {
    let (ours, mut server) = duplex(1 << 20);
    let redis = Rc::new(Multiplexed::default());
    let asking = async {
        for _ in 0..9 {
            let late = timeout(Duration::from_millis(300), redis.ask(b":1\r\n", 1)).await;
            assert!(late.is_err());
        }
    };
    let begun = Instant::now();
    tokio::select! {
        broken = Driving::new(ours, Rc::clone(&redis)) => {
            assert!(matches!(broken, Broken::Lost(_)), "{broken:?}");
            assert_eq!(begun.elapsed(), Duration::from_millis(1200));
        }
        () = asking => panic!("it was kept"),
    }
    server
        .read_exact(&mut [0; 16])
        .await
        .expect("four questions");
}

#[tokio::test(flavor = "local")]
async fn an_old_connection_ends_after_the_replies_that_are_pending() {
    let (ours, mut server) = duplex(64);
    let redis = Rc::new(Multiplexed::default());
    let mut driving = Driving::new(ours, Rc::clone(&redis));
    let mut asked = pin!(redis.ask(b"x", 1));
    assert!(futures_util::poll!(asked.as_mut()).is_pending());
    driving.retire();
    assert!(futures_util::poll!(&mut driving).is_pending());
    server.write_all(b":1\r\n").await.expect("takes them");
    assert!(futures_util::poll!(&mut driving).is_ready());
    assert_eq!(asked.await.expect("a reply"), Some(vec![Reply::Int(1)]));
}

#[tokio::test(flavor = "local")]
async fn an_unresponsive_server_is_not_asked_without_limit() {
    let redis = Rc::new(Multiplexed::default());
    let waiting = redis.ask(b"x", PENDING_MAX);
    let mut waiting = pin!(waiting);
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    assert!(matches!(redis.ask(b"x", 1).await, Ok(None)));
}
