// 2: expected an integer, found `1.5`
enum E { A = 1.5 }
