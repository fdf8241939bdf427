// 2: expected `:`, found `i32`
struct S { 1 i32 a }
