// 4: the enum has a value `A` already
enum E {
  A = 1
  A = 2
}
