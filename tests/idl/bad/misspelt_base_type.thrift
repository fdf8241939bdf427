// 3: did you mean `string`?
struct S {
  1: String count
}
