require('reflect-metadata')
const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { ETCD } = require('@nestcloud/common')
const { Etcd, EtcdModule, EtcdValue } = require('@nestcloud/etcd')
const { Injectable, Module } = require('@nestjs/common')
const { NestFactory } = require('@nestjs/core')
const { Etcd3 } = require('etcd3')
const { WatchBuilder } = require('etcd3/lib/watch')

class Config {}
EtcdValue('config/port')(Config.prototype, 'port')
Injectable()(Config)

class App {}
Module({ imports: [EtcdModule.forRoot({ hosts: process.env.ETCD_ADDRESS })], providers: [Config] })(App)

async function main() {
  const writer = new Etcd({ hosts: process.env.ETCD_ADDRESS })
  await writer.put('config/port').value('8080')
  const app = await NestFactory.createApplicationContext(App, { logger: false })
  const config = app.get(Config)
  assert.ok(app.get(ETCD) instanceof Etcd3)
  // The types of this package are imported from the files of etcd3.
  assert.ok(writer.watch() instanceof WatchBuilder)
  assert.equal(String(config.port), '8080')
  await writer.put('config/port').value('9090')
  while (String(config.port) !== '9090') await sleep(10)
  app.get(ETCD).close()
  await app.close()
  writer.close()
}

main()
