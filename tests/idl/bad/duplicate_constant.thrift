// 3: `A` is declared twice
const i32 A = 1
const i32 A = 2
