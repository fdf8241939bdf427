// 2: it is not a file
include "parts"
