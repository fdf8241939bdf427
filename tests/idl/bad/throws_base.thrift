// 2: `i32` can't be thrown
service S { void m() throws (1: i32 e) }
