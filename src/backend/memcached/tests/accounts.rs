//! Accounts at a real server.

use std::fs::write;

use super::*;

/// A server with these options, and why a lookup there has no answer, if it has none.
async fn asked(options: &[&str], account: &str) -> Result<Value, LookupError> {
    let port = free_port();
    let place = ["-l", "127.0.0.1", "-p", &port.to_string()];
    let place: Vec<&str> = place.iter().chain(options).copied().collect();
    let server = Server::start_at(&place, port).expect("the port is still free");
    let keys =
        format!("connect_timeout = '20s'\nanswer_timeout = '20s'\nconnections = 1\n{account}");
    let memcached = backend_with(&[server.addr()], &keys).await;
    let get = compiled("get = 'k'").lookup;
    let asked = [BatchedAsk {
        lookup: &get,
        params: &[],
    }];
    let answer = Answers::one(async |answers| memcached.lookup_many(&asked, answers).await).await;
    answer.map(|answer| answer.value)
}

#[tokio::test(flavor = "local")]
async fn a_server_with_accounts_lets_in_who_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("accounts");
    write(&file, "ann:open-sesame\n").expect("it can be written");
    let accounts = ["-Y", file.to_str().expect("text")];
    let ann = "user = 'ann'\npassword = 'open-sesame'";
    assert_eq!(asked(&accounts, ann).await.expect("let in"), Value::Null);
    for (account, expected) in [
        ("user = 'ann'\npassword = 'open'", "authentication failure"),
        (
            "user = 'bob'\npassword = 'open-sesame'",
            "authentication failure",
        ),
        ("", "(it asks for an account: `user` and `password`)"),
    ] {
        let why = asked(&accounts, account).await.expect_err("kept out");
        assert_eq!(why.code, Code::LookupUnavailable, "{why}");
        assert!(why.detail.contains(expected), "{why}");
    }
    // One that asks for none takes anybody, and keeps nothing.
    assert_eq!(asked(&[], ann).await.expect("let in"), Value::Null);
}

/// As every server with SASL is.
#[tokio::test(flavor = "local")]
async fn a_server_that_speaks_the_binary_protocol_only_says_why_it_is_of_no_use() {
    for account in ["", "user = 'ann'\npassword = 'x'"] {
        let why = asked(&["-B", "binary"], account)
            .await
            .expect_err("not our protocol");
        assert_eq!(why.code, Code::LookupUnavailable);
        assert!(why.detail.contains("binary protocol only"), "{why}");
    }
}

#[test]
fn half_an_account_and_one_that_can_not_be_said() {
    for (keys, expected) in [
        ("user = 'ann'", "`password` is missing"),
        ("password = 'x'", "`user` is missing"),
        ("user = 'a b'\npassword = 'x'", "no blank and no `:`"),
        ("user = 'a:b'\npassword = 'x'", "no blank and no `:`"),
        ("user = ''\npassword = 'x'", "no blank and no `:`"),
        (
            "user = 'a'\npassword = \"x\\ny\"",
            "no blank and no line end",
        ),
        ("user = 'a'\npassword = ''", "no blank and no line end"),
        ("user = 'a'\npassword = 'b c'", "no blank and no line end"),
        (
            "user = 'a'\npassword = 'env:TRIBUTARY_SURELY_NOT_SET'",
            "is not set",
        ),
    ] {
        let keys = format!("servers = ['h:1']\n{keys}");
        let problems = testing::config_problems::<Memcached>(&keys);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(expected), "{keys}: {problems:?}");
    }
}
