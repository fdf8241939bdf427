// 3: write `Color.RED`
enum Color { RED, GREEN }
const Color A = RED
