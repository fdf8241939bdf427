// 4: there already is a field `a`
struct S {
  1: i32 a
  2: i32 a
}
