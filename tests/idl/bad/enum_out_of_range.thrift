// 3: the value `A` is out of range: 4294967296
enum E {
  A = 0x100000000
}
