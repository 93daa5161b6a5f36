// Drives web-push, the usual sender of Web Push messages, and http_ece, which decrypts them as a browser does. Calls come as
// JSON lines on standard input: {"call": name, "args": …}; the answers go as JSON lines to standard output, in their order: {"ok": true, "result":
// …} or {"ok": false, "error": {"message", "status"}}.
'use strict'

const crypto = require('node:crypto')
const readline = require('node:readline')
const webpush = require('web-push')
const ece = require('http_ece')

// Keys of the browsers that were made here, by their public keys.
const browsers = new Map()

const calls = {
  // The keys of an application server.
  keys: () => webpush.generateVAPIDKeys(),

  // A browser: the member "keys" of its subscription.
  browser: () => {
    const own = crypto.createECDH('prime256v1')
    const p256dh = own.generateKeys('base64url')
    const auth = crypto.randomBytes(16).toString('base64url')
    browsers.set(p256dh, { own, auth })
    return { p256dh, auth }
  },

  // Sends a message; options are those of the library.
  send: async ({ subscription, payload, options }) => {
    const answer = await webpush.sendNotification(subscription, payload, options)
    return { status: answer.statusCode, location: answer.headers.location, ttl: answer.headers.ttl }
  },

  // What a browser reads in a body (base64).
  decrypt: ({ p256dh, body, encoding, salt, dh }) => {
    const { own, auth } = browsers.get(p256dh)
    const params = { version: encoding, privateKey: own, authSecret: auth }
    if (encoding === 'aesgcm') Object.assign(params, { salt, dh })
    return ece.decrypt(Buffer.from(body, 'base64'), params).toString('utf8')
  }
}

let last = Promise.resolve()
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  last = last.then(async () => {
    const { call, args } = JSON.parse(line)
    if (call === undefined) return // the line that configures drivers
    let answer
    try {
      answer = { ok: true, result: await calls[call](args) }
    } catch (error) {
      answer = { ok: false, error: { message: String(error.body || error.message), status: error.statusCode } }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  })
})
