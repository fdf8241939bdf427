// 3: `S` is declared twice
struct S {}
service S {}
