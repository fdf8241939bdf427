// 3: unknown service `parts.Inherit`; did you mean `parts.Inherited`?
include "parts/parts.thrift"
service S extends parts.Inherit {}
