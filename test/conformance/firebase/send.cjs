// Sends through firebase-admin what it is told on standard input, {account, messages}, one by one (send) and together
// (sendEach), and prints what the library gave its caller. Over HTTP/2 it names the scheme "https:", with a colon, which Go's
// server refuses as RFC 9113 wants and Google's does not mind; so it is told to use HTTP/1.1, by its own option.
'use strict'

const { initializeApp, cert } = require('firebase-admin/app')
const { getMessaging } = require('firebase-admin/messaging')

const outcome = r => (r.success ? { id: r.messageId } : { code: r.error.code, message: r.error.message })

async function main () {
  let text = ''
  for await (const part of process.stdin) text += part
  const { account, messages } = JSON.parse(text)
  const messaging = getMessaging(initializeApp({ credential: cert(account) }))
  messaging.enableLegacyHttpTransport()
  const send = []
  for (const m of messages) {
    send.push(await messaging.send(m).then(id => ({ id }), error => ({ code: error.code, message: error.message })))
  }
  const sendEach = (await messaging.sendEach(messages)).responses.map(outcome)
  const dryRun = await messaging.send(messages[0], true)
  process.stdout.write(JSON.stringify({ send, sendEach, dryRun }))
}

main().then(() => process.exit(0), error => {
  process.stderr.write(`${error.stack}\n`)
  process.exit(1)
})
