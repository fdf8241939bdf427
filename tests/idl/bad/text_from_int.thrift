// 2: the integer 5 is not of type `string`; write text in quotes
const string A = 5
