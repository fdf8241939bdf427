// 3: `Base` is not a service
struct Base {}
service S extends Base {}
