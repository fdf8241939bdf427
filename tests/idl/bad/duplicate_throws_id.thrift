// 5: the id 1 is taken by `a`
exception A {}
exception B {}
service S {
  void m() throws (1: A a, 1: B b)
}
