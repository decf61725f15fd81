import type { Workplace } from '../worker.js'

export const accountNames = ['acc/a', 'acc/b', 'acc/c', 'acc/d']
export const startBalance = 100

/** Transfers between accounts, whose sum never changes. */
export async function accounts({ etcd, random, repeat }: Workplace): Promise<void> {
  await repeat('transfer', async () => {
    const [from = '', to = ''] = [...accountNames].sort(() => random() - 0.5)
    await etcd.stm(async (tx) => {
      const [rich, poor] = await tx.getAll([from, to])
      const amount = Math.min(Math.floor(random() * 10), Number(rich?.valueText ?? startBalance))
      tx.put(from, String(Number(rich?.valueText ?? startBalance) - amount))
      tx.put(to, String(Number(poor?.valueText ?? startBalance) + amount))
    })
  })
}
