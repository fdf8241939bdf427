// 3: text is not of type `enum_from_text.Color`; write one of its values, such as `Color.RED`
enum Color { RED = 1 }
const Color A = "RED"
