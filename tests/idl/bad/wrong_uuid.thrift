// 2: text is out of range for `uuid`; a uuid looks like
const uuid A = "123"
