// 2: this string does not end on its line
const string A = "and so on
const string B = "b"
