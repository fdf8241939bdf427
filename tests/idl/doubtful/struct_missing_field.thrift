// 3: the required field `count` of `struct_missing_field.S` is not set; add `"count": ...`
struct S { 1: required i32 count }
const S A = {}
