// back.thrift 1: includes form a cycle: include_cycle.thrift -> back.thrift -> include_cycle.thrift
include "parts/back.thrift"
