// 3: the enum `unknown_enum_value.Color` has no value `REDD`; did you mean `RED`?
enum Color { RED, GREEN }
const Color A = Color.REDD
