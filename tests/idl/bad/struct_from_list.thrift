// 3: a list is not of type `struct_from_list.S`; write its fields as `{"a": value, ...}`
struct S { 1: i32 a }
const S A = [1]
