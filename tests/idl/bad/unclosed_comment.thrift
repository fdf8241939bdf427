// 3: this comment is not closed
struct S {}
/* and so on
