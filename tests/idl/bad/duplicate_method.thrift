// 4: the service has a method `m` already
service S {
  void m()
  i32 m()
}
