// 5: write `parts.Thing`
include "parts/parts.thrift"

struct S {
  1: Thing at
}
