// 3: text is not of type `i32`
struct S { 1: i32 count }
const S A = {"count": "one"}
