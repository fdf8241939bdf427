// 3: write the field's name in quotes
struct S { 1: i32 count }
const S A = {1: 1}
