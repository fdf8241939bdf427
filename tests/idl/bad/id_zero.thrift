// 3: the id 0 of `a` is out of range; ids run from 1 to 32767
struct S {
  0: i32 a
}
