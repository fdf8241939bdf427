/** The benchmark's quick calls, and the slow and large ones that run beside them. */
include "tributary.thrift"

struct Row {
  1: required i32 id
  2: required string value
}

struct Part {
  1: optional Row row
  2: optional string text
  3: optional string hung
}

struct Large {
  1: optional list<Row> rows
  2: optional map<string, string> fields
  3: optional i64 total
}

struct Page {
  1: optional string summary
  2: optional string details
  3: optional string prices
  4: optional string stock
  5: optional string reviews
  6: optional string images
  7: optional string related
}

service Neighbours {
  Part quickPostgres(1: i32 id)
  Part quickMysql(1: i32 id)
  Part quickMemcached(1: i32 id)
  Part quickRedis(1: i32 id)

  Part slowPostgres(1: i32 id, 2: tributary.Context context)
  Part slowPostgresPlain(1: i32 id, 2: tributary.Context context)
  Part slowMysql(1: i32 id, 2: tributary.Context context)
  Part slowMysqlPlain(1: i32 id, 2: tributary.Context context)
  Part withHung(1: i32 id)
  Large manyRows(1: i32 count)
  Large largeJson(1: i32 id)
  Large largeHash(1: string name)

  Page burst(1: i32 id)
}
