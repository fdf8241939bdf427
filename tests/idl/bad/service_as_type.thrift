// 3: `S` is a service, not a type
service S {}
struct T { 1: S s }
