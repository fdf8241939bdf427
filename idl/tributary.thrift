/**
 * The standard include: the context a call may carry, the report a reply may carry, the exceptions a
 * method may declare, and the service by which a server tells of itself. All of it is optional. Include this file
 * in your own IDL and use the types you want:
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
  /**
   * backend: the store was asked for this call alone; batched: one question for several calls; coalesced: the same
   * question of another call; hedged: a second endpoint, because the first was slow; cache: a fresh cached answer; stale:
   * an older one; none: there is no answer.
   */
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
  /** How old a cached answer is, in microseconds; absent when it is not cached. */
  12: optional i64 age_us
  /** What was asked last, by its name in `else`; absent when nothing was asked instead. Then `backend` is its backend. */
  13: optional string answered_by
  /** Why the lookup itself failed, when another one was asked instead. */
  14: optional string first_code
  /** How many endpoints of its backend were asked; absent when it was one. Of a foreach it is not said. */
  15: optional i32 attempts
  /** A second endpoint was asked because the first was slow, whichever answered; absent when none was. */
  16: optional bool hedged
  /** When the second endpoint was asked; absent when none was because the first was slow. */
  17: optional i64 hedged_us
  /**
   * How many other lookups travelled in the same question; absent unless the source is batched. Of a foreach it is
   * not said, and so 0.
   */
  18: optional i32 mates
}

/** What happened when in one call. Use it as a field of a method's return struct. */
struct Report {
  /**
   * Nothing is missing for want of an answer: every lookup is ok, empty, skipped or skipped_dependency. False as soon
   * as one failed, a default stands in for one, or the call ended before it.
   */
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

/** Null, as a Value has it: a union of which nothing is set can't be told from a mistake. */
struct Null {
}

/**
 * A value of any type, for callers without the service's IDL. Exactly one field is set.
 *
 * Integers of every size are i64_value; an enum is its name, or its number where the IDL has no name for it; a uuid
 * is its 36 characters. Lists and sets are list_value. Structs, unions and exceptions are map_value by the names of
 * their fields, without those that are not set. A map whose keys are strings is map_value as well; any other is a
 * list_value of map_values, each with `key` and `value`.
 */
union Value {
  1: Null null_value
  2: bool bool_value
  3: i64 i64_value
  4: double double_value
  5: string string_value
  6: binary binary_value
  7: list<Value> list_value
  8: map<string, Value> map_value
}

/** A parameter, a field, or an exception that a method throws. */
struct FieldDescription {
  1: required i32 id
  2: required string name
  /** As the IDL writes it, named types with their file: `list<flights.Airport>`. */
  3: required string type
  /** required, optional or default */
  4: required string requiredness
  5: optional string doc
}

/** One lookup of a method's view. */
struct LookupDescription {
  1: required string name
  /** Whom it asks, and what kind of store that is. */
  2: required string backend
  3: required string kind
  /** The call fails without it. */
  4: required bool is_required
  /** The lookups it waits for. */
  5: required list<string> after
  /** What is asked instead if it fails, in this order: lookups or backends. */
  6: optional list<string> fallbacks
}

/** A method that is served. */
struct MethodDescription {
  1: required string name
  2: required list<FieldDescription> params
  /** As the IDL writes it; `void` if it returns nothing. */
  3: required string result
  4: required list<FieldDescription> exceptions
  5: required bool is_oneway
  /** How long a call may take, in milliseconds. */
  6: required i64 deadline_ms
  7: required list<LookupDescription> lookups
  /** The names of the lookups that may start together, stage after stage. */
  8: required list<list<string>> stages
  9: optional string doc
}

/** A struct, union, exception or enum that some method needs. */
struct TypeDescription {
  /** With its file: `flights.Airport`. */
  1: required string name
  /** struct, union, exception or enum */
  2: required string kind
  /** Empty for an enum. */
  3: required list<FieldDescription> fields
  /** An enum's names and their numbers; empty for others. */
  4: required map<string, i32> numbers
  5: optional string doc
}

/** What is served. */
struct Description {
  /** The service's name. */
  1: required string service_name
  /** In the IDL's order. */
  2: required list<MethodDescription> methods
  /** The types that the methods name, and those that these name. */
  3: required list<TypeDescription> types
  4: optional string doc
  /** The other services, if there are several. Each has types of its own, also where names are the same. */
  5: optional list<Description> others
}

/** The IDL, file by file. */
struct Idl {
  /** The file that declares the service, as `files` has it. */
  1: required string root
  /** Texts by path, as seen from the folder of `root`. */
  2: required map<string, string> files
  /** The service that is served. */
  3: required string service_name
  /** Those of the other services, if there are several. */
  4: optional list<Idl> others
}

/** What a parameter of a lookup is bound to. */
struct BindingExplanation {
  1: required string param
  2: required string bound_to
}

/** How one lookup of a view is made. */
struct LookupExplanation {
  1: required string name
  2: required string backend
  /** The kind of store, or `closure`. */
  3: required string kind
  /** What it asks there, by its name in the configuration. */
  4: required string lookup
  /** The lookups it waits for. */
  5: required list<string> after
  /** When it runs, how often and how long, and what comes of it when it fails. */
  6: required list<string> facts
  /** What it shares with lookups of the same turn, if that is anything. */
  7: optional string batching
  8: required list<BindingExplanation> bindings
  /** Where its value goes. */
  9: required string fills
}

/** How a method's reply is made. */
struct Explanation {
  /** `getAirport(code, context) returns flights.Airport` */
  1: required string signature
  2: required i64 deadline_ms
  3: required list<list<LookupExplanation>> stages
  /** The lookups of the longest chain. */
  4: required list<string> longest_chain
  /** How long a call can take, and why. */
  5: required string worst_case
  6: required list<string> warnings
  /** All of it as `tributary explain` prints it. */
  7: required string text
}

/** Whether a server takes calls. */
enum ServerState {
  STARTING = 0
  SERVING = 1
  /** It was asked to stop, and finishes the calls that it has. */
  DRAINING = 2
}

/** A store as the loop that answers sees it. */
struct BackendHealth {
  1: required string name
  2: required string kind
  /** False from a lookup that could not reach it to the next one that it answers. */
  3: required bool is_answering
}

/** How a server is. */
struct Health {
  1: required ServerState state
  2: required string version
  3: required list<BackendHealth> backends
  /** How late the last timer of the loop that answers was, and the most of the last half minute or so: microseconds. */
  4: required i64 loop_lag_us
  5: required i64 loop_lag_max_us
}

/**
 * What a server tells of itself. It is there under the multiplexed name `Tributary`, beside the operator's own
 * service, and without that name where the operator's service extends it.
 */
service Tributary {
  /** What is served. */
  Description describe()

  /** The IDL of what is served. */
  Idl idl()

  /** How a method's reply is made: `method`, or `service:method` if several services have one of that name. */
  Explanation explain(1: string method) throws (1: InvalidRequest invalid)

  /** How the server is. */
  Health health()

  /**
   * Calls a method without its IDL, named as for explain: parameters by name, and the result, as Values. What the method's caller needs to
   * be allowed holds here too. The context stands for the parameter of that type, where the method has one.
   */
  Value fetch(1: string view, 2: map<string, Value> params, 3: Context context) throws (
    1: InvalidRequest invalid
    2: LookupFailed failed
    3: DeadlineExceeded late
    4: Overloaded overloaded
  )
}
