// 2: use `enum`
senum S { "a", "b" }
