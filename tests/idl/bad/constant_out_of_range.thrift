// 3: the integer 70000 is out of range for `i16`
const i32 BIG = 70000
const i16 SMALL = BIG
