// 3: this comment never ends
struct S {}
/* and so on
