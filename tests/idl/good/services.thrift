include "parts/shared.thrift"
include "tributary.thrift"

exception Refused { 1: string why }
typedef Refused AlsoRefused

/** All kinds of methods. */
service Everything extends shared.Base {
  void nothing(),
  i32 add(1: i32 a, 2: i32 b);
  /** Takes its time. */
  map<string, list<shared.Point>> points(1: required string which, 2: optional i32 count = 5) throws (
    1: Refused refused
    2: shared.NotFound absent,
    3: tributary.DeadlineExceeded late
  ) (idempotent)
  oneway void forget(1: string what) (fire = "and forget")
  async void forget_too()
  string without_ids(string a, i32 b) throws (AlsoRefused refused)
  list<string> (sorted) words()
  Refused last_refusal()
} (priority = "low")

service Small {}
service Larger extends Small { bool large() }
