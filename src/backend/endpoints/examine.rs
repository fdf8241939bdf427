//! Asks the sources and connects to what they name, for `check --connect`.

use futures_util::future::join_all;

use super::config::Config;
use super::resolve::Resolver;
use super::target::Target;
use crate::backend::{Examination, LookupError};
use crate::error::Code;

/// No more endpoints are connected to.
const REACHED_MAX: usize = 64;

impl Config {
    /// What each source says, and who of them `reach` reaches. `did` is what was not done then.
    pub(in crate::backend) async fn examine(
        &self,
        lookups: usize,
        did: &str,
        reach: impl AsyncFn(&Target) -> Result<(), LookupError>,
    ) -> Examination {
        let mut failures = Vec::new();
        let mut said = Vec::with_capacity(self.sources.len());
        let mut all: Vec<Target> = Vec::new();
        for source in self.sources.iter() {
            let resolved = Resolver::new(self.nameserver, 0).resolve(source).await;
            let targets = match resolved {
                Ok(resolved) if resolved.targets.is_empty() => Err("it names no endpoint".into()),
                Ok(resolved) => Ok(resolved.targets),
                Err(why) => Err(why),
            };
            match targets {
                Ok(targets) => {
                    let names: Vec<String> = targets.iter().map(ToString::to_string).collect();
                    said.push(format!("{source} names {}", names.join(", ")));
                    all.extend(targets);
                }
                Err(why) => {
                    let err = LookupError::new(Code::LookupUnavailable, why);
                    failures.push(err.at(source));
                }
            }
        }
        all.sort();
        all.dedup_by(|one, other| one.is_same(other));
        let reached = all.iter().take(REACHED_MAX).map(|target| reach(target));
        let reached = join_all(reached).await;
        let accepted = reached.iter().filter(|reached| reached.is_ok()).count();
        said.push(format!(
            "{accepted} of {} accepted a connection",
            reached.len()
        ));
        failures.extend(reached.into_iter().filter_map(Result::err));
        Examination {
            found: said,
            failures,
            ..Examination::nothing(format!("connected, {did}"), lookups)
        }
    }
}
