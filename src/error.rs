//! Defines every stable error code, in one list that only grows.
//!
//! A code is the log field `code`, the `code` of the standard exceptions and the first word of a
//! `TApplicationException`'s message. It says who has to act, whether the same call may succeed later, and what a
//! *client* may read. Addresses of backends, SQL and keys appear in the log only.
//! A test compares the manual's page `error-codes` with this list: codes are added, never renamed or removed.

use std::fmt;

/// Who has to act when an error is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller sent something that can't be served.
    Client,
    /// A configured store failed, or its answer is wrong.
    Backend,
    /// Tributary itself is overloaded, stopping or faulty.
    Server,
    /// The IDL or the configuration is wrong.
    Operator,
}

impl Fault {
    /// The word used in logs and in the manual.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Client => "client",
            Fault::Backend => "backend",
            Fault::Server => "server",
            Fault::Operator => "operator",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $text:literal $fault:ident $retry:literal $meaning:literal;)*) => {
        /// A stable error code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the manual's table.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code in logs, exceptions and metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// The code written as `text`.
            pub fn parse(text: &str) -> Option<Code> {
                Code::ALL.iter().copied().find(|code| code.as_str() == text)
            }

            /// Who has to act.
            pub fn fault(self) -> Fault {
                match self { $(Code::$variant => Fault::$fault,)* }
            }

            /// Whether the same call may succeed if it is retried later.
            pub fn retryable(self) -> bool {
                match self { $(Code::$variant => $retry,)* }
            }

            /// What it means. Clients may read this text.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    ConfigSyntax "config.syntax" Operator false "the file is not valid TOML";
    ConfigUnknownKey "config.unknown_key" Operator false "the key does not exist in this section";
    ConfigMissingKey "config.missing_key" Operator false "a required key is missing";
    ConfigBadValue "config.bad_value" Operator false "the value has the wrong type or is out of range";
    ConfigUnknownName "config.unknown_name" Operator false "a name refers to a backend, lookup, method, field or parameter that does not exist";
    ConfigReference "config.reference" Operator false "a reference can't be resolved";
    ConfigCycle "config.cycle" Operator false "lookups depend on each other in a cycle";
    ConfigClash "config.clash" Operator false "two settings conflict";
    ConfigType "config.type" Operator false "a value of this type can never fit where it is used";
    ConfigFile "config.file" Operator false "a file can't be read";
    IdlSyntax "idl.syntax" Operator false "the IDL does not parse";
    IdlInvalid "idl.invalid" Operator false "the IDL parses but is not valid";
    WireUnrecognized "wire.unrecognized" Client false "the first bytes match no known transport and protocol";
    WireFrameTooLarge "wire.frame_too_large" Client false "the message is larger than the limit";
    WireTruncated "wire.truncated" Client false "the message ends before its declared end";
    WireTooDeep "wire.too_deep" Client false "values are nested deeper than the limit";
    WireInvalid "wire.invalid" Client false "the bytes are not valid in this protocol";
    WireTimeout "wire.timeout" Client true "the rest of a message did not arrive in time";
    CallUnknownMethod "call.unknown_method" Client false "the service has no such method";
    CallMessageType "call.message_type" Client false "the message is neither a call nor a oneway call";
    CallBadParams "call.bad_params" Client false "the parameters do not fit the method";
    CallDeadline "call.deadline" Backend true "the call ran out of time";
    CallRequiredEmpty "call.required_empty" Client false "a required part of the reply does not exist";
    CallRequiredFailed "call.required_failed" Backend true "a required part of the reply could not be fetched";
    LookupTimeout "lookup.timeout" Backend true "the lookup took longer than its timeout";
    LookupTimeoutPool "lookup.timeout_pool" Backend true "the lookup waited too long for its turn";
    LookupUnavailable "lookup.unavailable" Backend true "the backend can't be reached";
    LookupRefused "lookup.refused" Backend false "the backend rejected the lookup";
    LookupBadAnswer "lookup.bad_answer" Backend false "the backend's answer can't be understood";
    LookupBadParam "lookup.bad_param" Client false "a parameter's value can't be used in the lookup";
    LookupTooMany "lookup.too_many" Client false "more elements or rows than the limit allows";
    LookupBreakerOpen "lookup.breaker_open" Backend true "the backend failed too often recently and gets no lookups for a while";
    LookupShed "lookup.shed" Server true "too many lookups are waiting for the backend";
    LookupCancelled "lookup.cancelled" Server true "the call ended before the lookup did";
    LookupInjected "lookup.injected" Operator true "the configuration injected this error for testing";
    LookupFailed "lookup.failed" Backend true "the lookup failed";
    MergeType "merge.type" Operator false "a stored value does not fit its IDL type exactly";
    MergeMissingField "merge.missing_field" Operator false "a required field of the reply has no value";
    ServerInternal "server.internal" Server true "the server itself has an error";
    ServerDraining "server.draining" Server true "the server is stopping";
    ServerOverloaded "server.overloaded" Server true "the server has too much to do: calls in flight, memory, lookups that wait, or the work of its event loop";
    WireUnknownTransform "wire.unknown_transform" Client false "the frame uses a transform that is not accepted here";
    WireUnknownProtocol "wire.unknown_protocol" Client false "the frame uses a protocol that is not accepted here";
    WireHandshake "wire.handshake" Client false "the TLS handshake failed";
    CallUnauthenticated "call.unauthenticated" Client false "the caller presented no identity, and this method requires one";
    CallForbidden "call.forbidden" Client false "the caller may not call this method";
    LookupThrew "lookup.threw" Backend false "the backend threw an exception that its IDL declares";
    CallReplyTooLarge "call.reply_too_large" Client false "the reply is larger than the limit";
    CallRateLimited "call.rate_limited" Client true "the caller calls more often, or has more calls in flight, than it may";
    LookupWaited "lookup.waited" Backend true "the lookup waited for its turn longer than its `wait_max`";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_consistently_spelt() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} is listed twice");
            let (area, name) = code.as_str().split_once('.').expect("area.name");
            assert!(["config", "idl", "wire", "call", "lookup", "merge", "server"].contains(&area));
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        }
    }
}
