// 3: `include` comes after a definition
struct S {}
include "parts/parts.thrift"
