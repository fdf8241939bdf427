// 2: `void` is not a type
struct S { 1: void a }
