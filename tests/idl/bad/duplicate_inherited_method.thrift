// 4: `ping` is a method of `Inherited` already
include "parts/parts.thrift"
service S extends parts.Inherited {
  void ping()
}
