import { defineCommand } from '../command.js'

/** Lists the members. */
export const membersCommand = defineCommand({
  name: 'members',
  usage: '',
  summary: 'list the members of the cluster',
  flags: {},
  arity: [0, 0],
  async run({ client, output, signal }) {
    const members = await client().cluster.list({ signal })
    if (output.format === 'json') {
      for (const member of members) await output.json(member)
      return 0
    }
    await output.table(
      [{ title: 'ID' }, { title: 'NAME' }, { title: 'LEARNER' }, { title: 'CLIENT URLS' }, { title: 'PEER URLS' }],
      members.map(({ id, name, isLearner, clientUrls, peerUrls }) => [
        id,
        name === '' ? '(not started)' : name,
        isLearner ? 'yes' : 'no',
        clientUrls.join(','),
        peerUrls.join(','),
      ]),
    )
    return 0
  },
})
