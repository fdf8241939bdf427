// 2: the integer 300 is out of range for `i8`; the type holds -128 to 127
struct S { 1: i8 a = 300 }
