// 2: the name `a.b` has a dot; write `a_b`
struct a.b {}
