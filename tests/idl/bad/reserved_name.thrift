// 2: found the reserved word `list`
struct S { 1: string list }
