// 3: unknown constant `LIMT`; did you mean `LIMIT`?
const i32 LIMIT = 5
const i32 A = LIMT
