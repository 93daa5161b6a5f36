// Does with node-apn what standard input says, an object: options of the provider; steps, each with a call ("send", "broadcast" or an
// action of manageChannels), the properties of a notification, and tokens. Writes the results of the steps as a list.
'use strict'

const apn = require('@parse/node-apn')

async function main () {
  let text = ''
  for await (const chunk of process.stdin) text += chunk
  const { options, bundle, steps } = JSON.parse(text)
  const provider = new apn.Provider(options)
  const results = []
  for (const { call, note, tokens } of steps) {
    const n = Object.assign(new apn.Notification(), note)
    if (call === 'send') results.push(await provider.send(n, tokens))
    else if (call === 'broadcast') results.push(await provider.broadcast(n, bundle))
    else results.push(await provider.manageChannels(n, bundle, call))
  }
  process.stdout.write(JSON.stringify(results))
  await provider.shutdown()
}

main().catch(error => {
  console.error(error)
  process.exitCode = 1
})
