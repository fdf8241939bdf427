// 2: the integer 1 is not of type `string`
const map<string, string> A = {"a": 1}
