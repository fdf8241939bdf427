// 2: this string is not closed on its line
const string A = "and so on
const string B = "b"
