// 4: the id -1 of `b` is negative
struct S {
  i32 a
  -1: i32 b
}
