// 3: `struct_unknown_field.S` has no such field; did you mean `count`?
struct S { 1: i32 count }
const S A = {"cuont": 1}
