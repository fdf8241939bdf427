// 2: the default value of `s` contains itself
struct S { 1: optional S s = {} }
