// 3: 2 fields of the union `union_two_set.U` are set; set exactly one
union U { 1: i32 a, 2: i32 b }
const U A = {"a": 1, "b": 2}
