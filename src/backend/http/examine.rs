//! Connects to an HTTP server without making a request, because the effect of a request is not known.

use hyper::Uri;
use tower_service::Service as _;

use super::config::{Base, Config};
use super::connect::Connector;
use super::failure;
use crate::backend::{Examination, LookupError};
use crate::error::Code;

pub(super) async fn examine(config: &Config, lookups: usize) -> Examination {
    let why = match url(&config.base) {
        Ok(url) => {
            let (mut connector, _connecting) = Connector::start(config, 0);
            match connector.call(url).await {
                Ok(_) => return Examination::nothing("connected, no request was made", lookups),
                Err(err) => failure::words(Some(&*err)),
            }
        }
        Err(err) => err.to_string(),
    };
    let err = LookupError::new(Code::LookupUnavailable, why);
    Examination::failed(err.at(&config.base.authority), lookups)
}

fn url(base: &Base) -> Result<Uri, hyper::http::Error> {
    let url = Uri::builder()
        .scheme(base.scheme.clone())
        .authority(base.authority.clone());
    url.path_and_query("/").build()
}
