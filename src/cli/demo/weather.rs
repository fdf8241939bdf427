//! The demo's weather service: `GET /v1/{origin}/{day}/{hour}` returns one hour as JSON.
//!
//! It plays the part of a third-party HTTP API. In: `weather.csv`. Out: a listener on a free local port, served on the current
//! event loop. A known hour gets 200, any other path 404, any other method 405. Columns keep their names; missing
//! measurements are omitted.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// Columns with text or integers; all others contain decimal numbers.
const TEXT: [&str; 2] = ["origin", "day"];
const WHOLE: [&str; 2] = ["hour", "wind_direction"];

/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// The running service. Dropping it stops it and closes its connections.
#[derive(Debug)]
pub struct Weather {
    /// Its address.
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Weather {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts the service on the current loop, a [`tokio::runtime::LocalRuntime`].
pub async fn serve(csv: &[u8]) -> io::Result<Weather> {
    let hours = Rc::new(Hours::read(csv)?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    let task = tokio::task::spawn_local(accept(listener, hours));
    Ok(Weather { addr, task })
}

/// Owns every connection, so that they end with it.
async fn accept(listener: TcpListener, hours: Rc<Hours>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Probably out of file descriptors: retrying immediately would only spin.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let hours = Rc::clone(&hours);
                let service = service_fn(move |request: Request<Incoming>| {
                    let response = hours.respond(request.method(), request.uri().path());
                    std::future::ready(Ok::<_, Infallible>(response))
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                connections.spawn_local(connection);
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Each hour's JSON by its path.
struct Hours(HashMap<String, Bytes>);

impl Hours {
    fn read(csv: &[u8]) -> io::Result<Self> {
        let mut table = csv::Reader::from_reader(csv);
        let columns = table.headers()?.clone();
        let mut hours = HashMap::new();
        for row in table.records() {
            let row = row?;
            let cell = |name: &str| {
                let at = columns.iter().position(|column| column == name);
                at.and_then(|at| row.get(at)).unwrap_or_default()
            };
            let path = format!("/v1/{}/{}/{}", cell("origin"), cell("day"), cell("hour"));
            hours.insert(path, Bytes::from(json(&columns, &row)?));
        }
        Ok(Hours(hours))
    }

    fn respond(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET {
            let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "only GET");
            let headers = response.headers_mut();
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
            return response;
        }
        match self.0.get(path) {
            Some(hour) => answer(StatusCode::OK, hour.clone()),
            None => problem(StatusCode::NOT_FOUND, "no weather on record"),
        }
    }
}

fn json(columns: &csv::StringRecord, row: &csv::StringRecord) -> io::Result<String> {
    let mut object = serde_json::Map::new();
    for (name, text) in columns.iter().zip(row).filter(|(_, text)| *text != "NA") {
        let value = if TEXT.contains(&name) {
            serde_json::Value::from(text)
        } else if WHOLE.contains(&name) {
            text.parse::<i64>().map_err(io::Error::other)?.into()
        } else {
            text.parse::<f64>().map_err(io::Error::other)?.into()
        };
        object.insert(name.to_owned(), value);
    }
    Ok(serde_json::Value::from(object).to_string())
}

fn problem(status: StatusCode, words: &'static str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "error": words }).to_string();
    answer(status, Bytes::from(body))
}

fn answer(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Empty};

    /// Asks over a real socket, one connection for all questions.
    async fn ask(addr: SocketAddr, questions: &[(Method, &str)]) -> Vec<(StatusCode, String)> {
        let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::task::spawn_local(connection);
        let mut answers = Vec::new();
        for (method, path) in questions {
            let request = Request::builder()
                .method(method)
                .uri(*path)
                .header("host", "weather")
                .body(Empty::<Bytes>::new())
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            answers.push((status, String::from_utf8(body.to_vec()).unwrap()));
        }
        connection.abort();
        answers
    }

    #[tokio::test(flavor = "local")]
    async fn answers_known_hours_and_no_others() {
        let weather = serve(super::super::data::WEATHER).await.unwrap();
        let questions = [
            (Method::GET, "/v1/EWR/2013-01-01/5"),
            (Method::GET, "/v1/EWR/2013-02-30/5"),
            (Method::GET, "/"),
            (Method::POST, "/v1/EWR/2013-01-01/5"),
        ];
        let answers = ask(weather.addr, &questions).await;
        let statuses: Vec<u16> = answers.iter().map(|(status, _)| status.as_u16()).collect();
        assert_eq!(statuses, [200, 404, 404, 405]);
        let hour: serde_json::Value = serde_json::from_str(&answers[0].1).unwrap();
        let expected = serde_json::json!({
            "origin": "EWR", "day": "2013-01-01", "hour": 5, "temperature": 39.02, "dew_point": 28.04,
            "humidity": 64.43, "wind_direction": 260, "wind_speed": 12.66, "precipitation": 0.0,
            "pressure": 1011.9, "visibility": 10.0,
        });
        assert_eq!(hour, expected);
    }

    #[tokio::test(flavor = "local")]
    async fn stops_when_dropped() {
        let weather = serve(b"origin,day,hour\n").await.unwrap();
        let addr = weather.addr;
        let mut open = tokio::net::TcpStream::connect(addr).await.unwrap();
        drop(weather);
        let mut end = [0; 1];
        let read = tokio::io::AsyncReadExt::read(&mut open, &mut end).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    }

    #[test]
    fn an_invalid_number_is_an_error() {
        let table = b"origin,day,hour,temperature\nEWR,2013-01-01,5,warm\n";
        assert!(Hours::read(table).is_err());
    }
}
