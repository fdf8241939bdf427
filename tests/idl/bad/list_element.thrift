// 4: text is not of type `i32`
const list<i32> A = [
  1
  "two"
]
