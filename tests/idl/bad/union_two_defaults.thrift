// 2: both `a` and `b` have a default value
union U { 1: i32 a = 1, 2: i32 b = 2 }
