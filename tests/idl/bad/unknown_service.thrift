// 3: unknown service `Bose`; did you mean `Base`?
service Base {}
service S extends Bose {}
