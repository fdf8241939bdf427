// 3: the id 32768 of `a` is out of range
struct S {
  32768: i32 a
}
