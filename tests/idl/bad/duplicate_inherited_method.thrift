// 4: `ping` is already a method of `Inherited`
include "parts/parts.thrift"
service S extends parts.Inherited {
  void ping()
}
