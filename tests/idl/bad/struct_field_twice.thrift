// 3: the field `count` is set twice
struct S { 1: i32 count }
const S A = {"count": 1, "count": 2}
