// 2: `1_000` is not a number
const i32 A = 1_000
