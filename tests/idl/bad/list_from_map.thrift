// 2: a map is not of type `list<i32>`
const list<i32> A = {1: 2}
