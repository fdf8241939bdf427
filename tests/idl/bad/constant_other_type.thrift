// 3: text is not of type `i32`
const string TEXT = "t"
const i32 A = TEXT
