// 2: can't be read: it is not a file
include "parts"
