// 4: the value `B` is 2147483648: out of range
enum E {
  A = 2147483647
  B
}
