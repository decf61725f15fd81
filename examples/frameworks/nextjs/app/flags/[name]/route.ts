import { isEtcdError } from 'etcdkit'
import { etcdClient } from '../../../lib/etcd'

interface Context {
  readonly params: Promise<{ readonly name: string }>
}

export const dynamic = 'force-dynamic'

export async function GET(request: Request, { params }: Context): Promise<Response> {
  const { name } = await params
  return answer(async () => {
    const kv = await etcdClient().get(`flags/${name}`, { signal: request.signal })
    if (kv === undefined) return new Response(null, { status: 404 })
    return Response.json({ value: kv.valueText, revision: kv.modRevision })
  })
}

export async function PUT(request: Request, { params }: Context): Promise<Response> {
  const { name } = await params
  return answer(async () => {
    const { revision } = await etcdClient().put(`flags/${name}`, await request.text(), { timeoutMs: 2000 })
    return Response.json({ revision })
  })
}

async function answer(work: () => Promise<Response>): Promise<Response> {
  try {
    return await work()
  } catch (error) {
    if (!isEtcdError(error)) throw error
    return Response.json({ code: error.code, effect: error.effect }, { status: error.retryable ? 503 : 500 })
  }
}
