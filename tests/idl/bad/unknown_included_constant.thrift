// 3: did you mean `parts.LIMIT`?
include "parts/parts.thrift"
const i32 A = parts.LIMT
