// 2: a list is not of type `map<i32, i32>`
const map<i32, i32> A = [1]
