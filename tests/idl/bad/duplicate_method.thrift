// 4: the service already has a method `m`
service S {
  void m()
  i32 m()
}
