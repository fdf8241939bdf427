// 3: the constant `A` leads back to itself
const i32 A = B
const i32 B = A
