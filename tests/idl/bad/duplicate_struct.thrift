// 3: `S` is declared twice; the first is on line 2
struct S {}
enum S { A }
