// 2: text is not of type `i32`
service S { void m(1: i32 a = "x") }
