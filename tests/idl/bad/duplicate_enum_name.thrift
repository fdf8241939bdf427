// 4: the enum already has a value `A`
enum E {
  A = 1
  A = 2
}
