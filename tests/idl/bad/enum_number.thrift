// 3: out of range for `enum_number.Color`; `enum_number.Color` has no value with that number
enum Color { RED = 1 }
const Color A = 5
