// 2: text is not of type `i32`; write an integer
const i32 A = "5"
