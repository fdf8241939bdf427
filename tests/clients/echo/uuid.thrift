// What is served: the methods of echo.thrift, and that of the type which older compilers do not know.

include "echo.thrift"

service Echo extends echo.Echo {
  uuid testUuid(1: uuid thing)
}
