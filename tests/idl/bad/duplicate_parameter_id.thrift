// 3: the id 1 is taken by `a`
service S {
  void m(1: i32 a, 1: i32 b)
}
