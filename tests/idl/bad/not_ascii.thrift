// 2: `ł` is unexpected here
struct ł {}
