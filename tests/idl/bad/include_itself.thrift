// 2: includes form a cycle: include_itself.thrift -> include_itself.thrift
include "include_itself.thrift"
