// 5: `parts.thrift` declares no `Elephant`
include "parts/parts.thrift"

struct S {
  1: parts.Elephant at
}
