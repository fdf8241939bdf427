// The service under test: the methods of echo.thrift, and one for UUIDs, which older compilers do not support.

include "echo.thrift"

service Echo extends echo.Echo {
  uuid testUuid(1: uuid thing)
}
