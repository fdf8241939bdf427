/** The benchmark's calls of a server that gets more of them than it can serve. */
struct Row {
  1: required i32 id
  2: required string value
}

struct Rows {
  1: optional list<Row> rows
}

service Overload {
  Rows rows(1: list<i32> ids)
}
