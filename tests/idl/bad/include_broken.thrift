// broken.thrift 3: expected the field's name, found `}`
include "parts/broken.thrift"
