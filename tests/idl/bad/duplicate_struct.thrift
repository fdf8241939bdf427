// 3: `S` is declared twice; the first stands in line 2
struct S {}
enum S { A }
