// 2: `void` is not a type
typedef void Nothing
