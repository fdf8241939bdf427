// 4: the value `B` is out of range: 2147483648
enum E {
  A = 2147483647
  B
}
