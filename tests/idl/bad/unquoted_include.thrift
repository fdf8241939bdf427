// 2: expected the path of a `.thrift` file in quotes, found `<`
include <parts/parts.thrift>
