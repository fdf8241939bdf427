// 2: expected `>`, found `a`
struct S { 1: list<i32 a }
