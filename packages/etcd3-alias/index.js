module.exports = require('etcdkit/etcd3')
