// 2: expected `=`, found `5`
const i32 A 5
