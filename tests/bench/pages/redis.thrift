/** The page of the benchmark: seven parts of one key, and what happened when. */
include "tributary.thrift"

namespace py page

struct Page {
  1: optional binary summary
  2: optional binary details
  3: optional binary prices
  4: optional binary stock
  5: optional binary reviews
  6: optional binary images
  7: optional binary related
  8: optional tributary.Report report
}

service Pages {
  Page getPage(1: string id)
}
