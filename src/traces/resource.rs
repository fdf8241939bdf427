//! Describes this server: the resource to which all its spans belong.

use uuid::Builder;

use crate::random::Random;

/// Names and values, each name once.
#[derive(Clone, Debug)]
pub struct Resource(Vec<(String, String)>);

impl Resource {
    /// What the program says of itself, without what tells it from other instances.
    fn of_program() -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let own = [
            ("service.name", "tributary"),
            ("service.version", version),
            ("telemetry.sdk.name", "tributary"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", version),
        ];
        Resource(own.map(|(name, value)| (name.into(), value.into())).into())
    }

    /// What the program says of itself, and `given` by its configuration.
    pub fn of_configured(given: &[(String, String)]) -> Self {
        let mut resource = Resource::of_program();
        for (name, value) in given {
            resource.set(name, value);
        }
        resource
    }

    /// What this instance says of itself: `given` by its configuration, and otherwise an id drawn from `random`.
    pub(super) fn of_instance(given: &[(String, String)], random: &mut Random) -> Self {
        let drawn = [random.draw().to_be_bytes(), random.draw().to_be_bytes()];
        let bytes = std::array::from_fn(|at| drawn[at / 8][at % 8]);
        let id = Builder::from_random_bytes(bytes).into_uuid().to_string();
        let mut resource = Resource::of_program();
        resource.set("service.instance.id", &id);
        for (name, value) in given {
            resource.set(name, value);
        }
        resource
    }

    fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Names and values.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_replaces_what_is_known() {
        let given = [("service.name", "flights"), ("zone", "b")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let resource = Resource::of_instance(&given, &mut Random::seeded(1));
        let of = |name: &str| resource.attributes().find(|(known, _)| *known == name);
        assert_eq!(of("service.name"), Some(("service.name", "flights")));
        assert_eq!(of("zone"), Some(("zone", "b")));
        assert!(of("service.version").is_some());
        let id = of("service.instance.id").expect("drawn").1.to_owned();
        assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id}");
        let other = Resource::of_instance(&given, &mut Random::seeded(2));
        assert!(other.attributes().all(|(_, value)| value != id));
        let names: Vec<_> = resource.attributes().map(|(name, _)| name).collect();
        assert_eq!(
            names.iter().filter(|name| **name == "service.name").count(),
            1
        );
    }
}
