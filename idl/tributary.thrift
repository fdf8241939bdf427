/**
 * The standard include: the context a call may carry, the report a reply may carry, and the exceptions a
 * method may declare. All of it is optional. Include this file in your own IDL and use the types you want:
 *
 *     include "tributary.thrift"
 *
 * The file need not stand beside yours when Tributary reads it (the program carries a copy), but the
 * compilers of your clients' languages need it.
 */
namespace py tributary
namespace java tributary
namespace go tributary
namespace rs tributary
namespace cpp tributary
namespace js tributary
namespace rb Tributary

/** How a call's lookups are started. */
enum Mode {
  /** Each lookup starts the moment its inputs are known. */
  EVENTED = 0
  /** One lookup at a time, in plan order: the baseline to compare with. */
  SERIAL = 1
}

/** What a call may carry besides its parameters. Declare it as a parameter of any method. */
struct Context {
  /** Names the call in logs and is passed on to backends that can carry it. */
  1: optional string request_id
  /** W3C trace context. */
  2: optional string traceparent
  /** How long the caller will still wait, in milliseconds; the smaller of it and the view's deadline holds. */
  3: optional i64 budget_ms
  4: optional Mode mode
  /** Asks for the Report. */
  5: optional bool want_report
  /** The caller's own pairs, handed to every lookup. */
  6: optional map<string, string> baggage
}

/** What became of one lookup. Times are microseconds from the call's arrival. */
struct LookupReport {
  1: required string name
  2: required string backend
  /** ok, empty, default, skipped, skipped_dependency, timeout, timeout_pool, error, breaker_open, shed, cancelled */
  3: required string fate
  /** The stable error code, when there is one. */
  4: optional string code
  /** backend, cache, stale, coalesced, batched or none */
  5: required string source
  /** When its inputs were known. */
  6: required i64 planned_us
  /** When it was sent on its way; absent when it never was. */
  7: optional i64 started_us
  /** When the first byte of its answer came; absent when none did. */
  8: optional i64 first_answer_us
  /** When its fate was known. */
  9: required i64 done_us
  /** The lookups it waited for. */
  10: required list<string> after
  /** How much later it could have ended without the call ending later, in microseconds. */
  11: required i64 slack_us
}

/** What happened when in one call. Use it as a field of a method's return struct. */
struct Report {
  /** Every lookup that the reply is made of was ok. */
  1: required bool complete
  2: required Mode mode
  3: required list<LookupReport> lookups
  /** The chain of lookups that decided how long the call took. */
  4: required list<string> critical_path
  /** From arrival to the merged reply, in microseconds. */
  5: required i64 elapsed_us
  /** What the same lookups cost one after the other: the sum of their run times, in microseconds. */
  6: required i64 serial_us
  /** The most that starting lookups together can gain: serial_us over the longest chain. */
  7: required double bound
}

/** The parameters can't be served. */
exception InvalidRequest {
  1: required string code
  2: required string message
}

/** A required lookup failed or found nothing. */
exception LookupFailed {
  1: required string code
  2: required string message
  3: optional string lookup
  4: optional string fate
  /** Whether the same call may succeed later. */
  5: optional bool retryable
}

/** The call ran out of time. */
exception DeadlineExceeded {
  1: required string code
  2: required string message
}

/** The server has as many calls in flight as it allows. */
exception Overloaded {
  1: required string code
  2: required string message
}
