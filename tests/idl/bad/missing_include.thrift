// 2: the included file `nowhere/no.thrift` does not exist
include "nowhere/no.thrift"
