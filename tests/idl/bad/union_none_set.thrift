// 3: 0 fields of the union
union U { 1: i32 a, 2: i32 b }
const U A = {}
