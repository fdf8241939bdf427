// 4: the id 1 is taken by `a`
struct S {
  1: i32 a
  1: i32 b
}
