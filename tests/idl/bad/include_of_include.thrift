// 5: add `include "inner.thrift"`
include "parts/parts.thrift"

struct S {
  1: inner.Hidden at
}
