/** An Express service with a readiness probe, errors of etcd as HTTP status codes, and a graceful shutdown. */
import { Etcd, isEtcdError } from 'etcdkit'
import express, { type ErrorRequestHandler } from 'express'

const etcd = Etcd.fromEnv() // one client per process; the first call connects
const app = express()
app.use(express.text())

app.get('/readyz', async (_, response) => {
  const { status, problems } = await etcd.health({ timeoutMs: 800 }) // less than the timeout of the probe
  response.status(status === 'unhealthy' ? 503 : 200).json({ status, problems })
})

app.get('/flags/:name', async (request, response) => {
  const kv = await etcd.get(`flags/${request.params.name}`)
  if (kv === undefined) response.sendStatus(404)
  else response.json({ value: kv.valueText, revision: kv.modRevision })
})

app.put('/flags/:name', async (request, response) => {
  const { revision } = await etcd.put(`flags/${request.params.name}`, String(request.body), { timeoutMs: 2000 })
  response.json({ revision })
})

// Express 5 passes rejections of handlers on to here.
const onError: ErrorRequestHandler = (error, _request, response, next) => {
  if (!isEtcdError(error) || response.headersSent) return next(error)
  if (error.retryable && error.effect === 'none') response.setHeader('retry-after', '1')
  response.status(error.retryable ? 503 : 500).json({ code: error.code, effect: error.effect })
}
app.use(onError)

const server = app.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? '0.0.0.0')

// Finish the requests, then close the client. Without pending work the process exits.
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => server.close(() => void etcd.close()))
