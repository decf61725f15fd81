module.exports = { globalSetup: './test/start-etcd.js', globalTeardown: './test/stop-etcd.js' }
