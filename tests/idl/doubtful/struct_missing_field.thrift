// 4: this value is never used: the required field `count` of `struct_missing_field.S` is not set; add `"count": ...`
// 5: the required field `count` of `struct_missing_field.S` is not set
struct S { 1: required i32 count }
const S A = {}
struct T { 1: S s = {}, 2: list<S> many = [A] }
