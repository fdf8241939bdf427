// 2: `\x` is not an escape
const string A = "\x41"
