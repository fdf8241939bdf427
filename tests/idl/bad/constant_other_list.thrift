// 3: a `list<i32>` is not of type `list<string>`
const list<i32> NUMBERS = [1]
const list<string> WORDS = NUMBERS
