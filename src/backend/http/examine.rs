//! Connects to an HTTP server without making a request, because the effect of a request is not known.

use std::cell::RefCell;
use std::rc::Rc;

use hyper::Uri;
use tower_service::Service as _;

use super::config::{Base, Config};
use super::connect::{Connector, Down};
use super::failure;
use crate::backend::endpoints::Target;
use crate::backend::{Examination, LookupError};
use crate::error::Code;

pub(super) async fn examine(config: &Config, lookups: usize) -> Examination {
    if let Some(endpoints) = &config.endpoints {
        let reach = async |target: &Target| {
            let reached = reach(config, Some(target)).await;
            reached.map_err(|err| err.at(target))
        };
        return endpoints
            .examine(lookups, "no request was made", reach)
            .await;
    }
    match reach(config, None).await {
        Ok(()) => Examination::nothing("connected, no request was made", lookups),
        Err(err) => Examination::failed(err.at(&config.base.authority), lookups),
    }
}

/// Whether the server, or one of its endpoints, accepts a connection.
async fn reach(config: &Config, endpoint: Option<&Target>) -> Result<(), LookupError> {
    let why = match url(&config.base) {
        Ok(url) => {
            let down = Rc::new(RefCell::new(Down::new(0)));
            let (mut connector, _connecting) = Connector::start(config, endpoint, (&down, 0));
            match connector.call(url).await {
                Ok(_) => return Ok(()),
                Err(err) => failure::words(Some(&*err)),
            }
        }
        Err(err) => err.to_string(),
    };
    Err(LookupError::new(Code::LookupUnavailable, why))
}

fn url(base: &Base) -> Result<Uri, hyper::http::Error> {
    let url = Uri::builder()
        .scheme(base.scheme.clone())
        .authority(base.authority.clone());
    url.path_and_query("/").build()
}
