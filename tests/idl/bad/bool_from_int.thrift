// 2: the integer 5 is out of range for `bool`
const bool A = 5
