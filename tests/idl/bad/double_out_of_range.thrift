// 2: `1e999` does not fit into a double
const double A = 1e999
