/** What the file is about: not what the first struct is about. */
# A comment as shells write it.
// A comment as C++ writes it.
/* A comment
   as C writes it. */
namespace * headers
namespace py headers.python
namespace java com.example.headers (uri = "http://example.com/headers")
namespace cpp headers

cpp_include "<vector>"
include "parts/shared.thrift"
include "tributary.thrift"

/**/
struct Empty {}

/**
 * Carries the caller's wishes.
 *   - this line is indented
 *
 * And a second paragraph.
 */
struct Wish {
  /** The standard context. */
  1: tributary.Context context // behind the field
  2: shared.Point at           # behind this one too
} # the end
