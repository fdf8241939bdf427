include "inner.thrift"

struct Thing { 1: inner.Hidden hidden }
enum Mood { GOOD, BAD }
const i32 LIMIT = 10
service Inherited { void ping() }
