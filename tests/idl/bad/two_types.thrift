// 2: expected `,`, found `>`
struct S { 1: map<i32> a }
