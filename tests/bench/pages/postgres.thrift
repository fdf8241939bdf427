/** The benchmark's page on a database: seven rows of one key, and what happened when. */
include "tributary.thrift"

namespace py page

struct Row {
  1: required i32 id
  2: required string value
}

struct Page {
  1: optional Row summary
  2: optional Row details
  3: optional Row prices
  4: optional Row stock
  5: optional Row reviews
  6: optional Row images
  7: optional Row related
  8: optional tributary.Report report
}

service Pages {
  Page getPage(1: i32 id)
}
