// 2: out of range for `i32`
const i32 A = 0xFFFFFFFF
