// Preloaded beside Google's library, which has Google's names built in. It stands for a resolver that leads these names
// to the simulator: connections go to the loopback port in SIM_PORT, while names, paths, headers and the verification of the
// certificate stay the library's. Every other destination is refused.
'use strict'

const tls = require('node:tls')

const google = new Set(['fcm.googleapis.com', 'oauth2.googleapis.com'])
const connect = tls.connect

tls.connect = function (...args) {
  const options = Object.assign({}, ...args.filter(a => a !== null && typeof a === 'object'))
  const host = options.host || (typeof args[1] === 'string' ? args[1] : undefined)
  if (!google.has(host)) throw new Error(`the library connects to ${host}`)
  const done = args.find(a => typeof a === 'function')
  return connect({ servername: host, ...options, host: '127.0.0.1', port: Number(process.env.SIM_PORT) }, done)
}
