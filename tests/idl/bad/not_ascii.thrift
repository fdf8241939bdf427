// 2: `ł` has no meaning here
struct ł {}
