// 3: the id -5 of `a` is negative; use an id from 1 to 32767; Apache's compiler would make it -1
struct S {
  -5: i32 a
}
