export * from 'etcdkit/etcd3'
