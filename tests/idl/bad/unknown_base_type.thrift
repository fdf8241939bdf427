// 3: unknown type `int`; did you mean `i32`?
struct S {
  1: int count
}
