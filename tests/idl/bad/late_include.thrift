// 3: `include` stands after a definition
struct S {}
include "parts/parts.thrift"
