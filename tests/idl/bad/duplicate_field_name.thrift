// 4: there is a field `a` already
struct S {
  1: i32 a
  2: i32 a
}
