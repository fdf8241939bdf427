//! Logins as MySQL 8 has them, which no other test's server does.

use super::scripted::{OK, Scripted, greeting, rows};
use super::*;

const SHA2: &str = "caching_sha2_password";
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA51V1WDelpugnO0N/f03f
/cqy+mR9JlHkoR6cv7G9akqg3iUFaCjp8PWUDhaEkfOgfJVf1SC8wJRyyeaMTMWv
Cmh0ygd3y6Ih3DagDAwGryrugps/Sstfy0VCRovtCxjbBFqM8zwaapoPYSlfp9bA
OnNHSY1fEpCF0YOYCawpezTfjF0R2d00nxBVylx3kVDoy3fi6ECe2d7wmzGmL+Ew
ioXkRA77D4AIHo6g3R+j6YGVx/z1XB+/Xq1h2Nxx7I/45vpKOapJqPKsHOxjh7ho
FJF7txyHqOAH9bh+cI461cl/Yw0LnP5yQKE9L7v1Etc1AzL/qRIb6UdVS6g4GhZC
BwIDAQAB
-----END PUBLIC KEY-----
";

/// What is answered by a server that logs in so, and what it heard.
async fn logged_in(plugin: &str, login: &[&[u8]]) -> (Result<Value, LookupError>, Vec<Vec<u8>>) {
    let login = login.iter().map(|said| said.to_vec()).collect();
    let server = Scripted::with_login(greeting(plugin), login, |_, n| rows(&[n])).await;
    let keys = format!(
        "url = 'mysql://ann:secret@127.0.0.1:{}'\nconnections = 1\nconnect_timeout = '20s'",
        server.port
    );
    let (mysql, [lookup]) = backend(&keys, ["sql = 'select :n'\nrows = 'value'"]).await;
    let answer = testing::ask(&mysql, &lookup, &[("n", 7.into())]).await;
    (answer, server.heard())
}

#[tokio::test(flavor = "local")]
async fn a_server_that_remembers_the_password_is_given_a_proof() {
    let ok = [&[1, 3], OK].concat();
    let (answer, heard) = logged_in(SHA2, &[OK]).await;
    assert_eq!(answer.expect("logged in"), Value::I64(7));
    let proof = b"ann\0\x20";
    assert!(heard[0].windows(5).any(|part| part == proof), "{heard:?}");
    assert!(!heard[0].windows(6).any(|part| part == b"secret"));
    // The two in one packet are neither.
    assert!(logged_in(SHA2, &[&ok]).await.0.is_err());
}

#[tokio::test(flavor = "local")]
async fn a_password_is_never_sent_in_clear_text() {
    let key = [b"\x01", PUBLIC_KEY.as_bytes()].concat();
    let (answer, heard) = logged_in(SHA2, &[&[1, 4], &key, OK]).await;
    assert_eq!(answer.expect("logged in"), Value::I64(7));
    assert_eq!(heard[1], [2], "the key is asked for");
    assert_eq!(heard[2].len(), 256, "a block of RSA");
    for said in heard {
        assert!(!said.windows(6).any(|part| part == b"secret"));
    }
    for plugin in ["mysql_clear_password", "dialog", ""] {
        let change = [&[0xfe], plugin.as_bytes(), b"\0"].concat();
        let (answer, heard) = logged_in(SHA2, &[&change, OK]).await;
        let why = answer.expect_err("it would be read by anybody");
        assert!(why.detail.contains("which is not known here"), "{why}");
        assert_eq!(heard.len() % 2, 1, "nothing is answered");
    }
}

#[tokio::test(flavor = "local")]
async fn a_key_that_is_none_ends_the_attempt() {
    let (answer, _) = logged_in(SHA2, &[&[1, 4], b"\x01-----BEGIN", OK]).await;
    let why = answer.expect_err("no key");
    assert_eq!(why.code, Code::LookupUnavailable, "{why}");
}

#[tokio::test(flavor = "local")]
async fn the_account_may_use_another_plugin_than_the_server_guesses() {
    let change = b"\xfemysql_native_password\x0001234567890123456789\0";
    let (answer, heard) = logged_in(SHA2, &[change, OK]).await;
    assert_eq!(answer.expect("logged in"), Value::I64(7));
    assert_eq!(heard[1].len(), 20);
    let (answer, _) = logged_in(
        "mysql_native_password",
        &[b"\xff\x15\x04#28000Access denied"],
    )
    .await;
    let why = answer.expect_err("denied");
    assert_eq!(why.code, Code::LookupUnavailable);
    assert!(why.detail.contains("Access denied (1045)"), "{why}");
}
