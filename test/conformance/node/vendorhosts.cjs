// Preloaded into a process that runs one of the vendor's libraries, which have the vendor's host names built in and no
// option for another. It stands for a resolver that leads these names (VENDOR_HOSTS) to our node, as an operator's would:
// connections go to the loopback port in NODE_PORT, while names, paths, headers and the verification of the certificate
// stay the library's. Every other destination is refused.
'use strict'

const https = require('node:https')

const vendor = new Set(process.env.VENDOR_HOSTS.split(','))
const port = Number(process.env.NODE_PORT)

function lookup (host, options, found) {
  const address = { address: '127.0.0.1', family: 4 }
  if (options.all) found(null, [address])
  else found(null, address.address, address.family)
}

const createConnection = https.Agent.prototype.createConnection

https.Agent.prototype.createConnection = function (options, ...rest) {
  if (!vendor.has(options.host)) throw new Error(`the library connects to ${options.host}`)
  return createConnection.call(this, { ...options, port, lookup }, ...rest)
}
