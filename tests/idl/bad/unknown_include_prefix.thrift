// 3: add `include "shapes.thrift"`
struct S {
  1: shapes.Point at
}
