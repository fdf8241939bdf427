// 2: `i32` cannot be thrown
service S { void m() throws (1: i32 e) }
