// 3: the value `A` is 4294967296: out of range
enum E {
  A = 0x100000000
}
