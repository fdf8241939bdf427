/** The service that tests/clients/stock_server.py serves and a Tributary asks. */
enum State { NEW = 1, USED = 2 }
union Size { 1: i32 pages, 2: string words }
struct Book {
  1: required string title
  2: optional i32 year
  3: optional State state
  4: optional double price
  5: optional Size size
  6: optional list<string> tags
  7: optional map<string, i64> sold
}
exception NotFound { 1: string title }
exception Closed { 1: string until }
service Stock {
  Book find(1: string title) throws (1: NotFound missing, 2: Closed closed)
  list<Book> all(1: State state, 2: i32 limit)
  i64 count(1: State state)
  /** Null for titles that begin with a blank. */
  string cover(1: string title)
  void touch(1: string title)
  /** What came beside the call under this name, where the transport has headers. */
  string header(1: string name)
  /** Whom the certificate of the caller is for, where there is TLS. */
  string caller()
  /** An error that the IDL does not declare. */
  string fail(1: string title)
}
