// 2: the double 1.5 is not of type `i32`
const i32 A = 1.5
