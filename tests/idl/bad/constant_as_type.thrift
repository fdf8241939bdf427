// 3: unknown type `LIMIT_VALUE`
const i32 LIMIT_VALUE = 1
struct T { 1: LIMIT_VALUE s }
