// Drives mqtt.js, one connection after the other. Commands come as JSON lines on standard input. On standard output go, as JSON
// lines: {"ack": code} for the packet that answers a command, {"message": …} for each message that the library hands
// to its user, {"gone": code} when the other side ends an accepted connection (the code of DISCONNECT, or -1), and
// {"failed": text}.
'use strict'

const readline = require('node:readline')
const mqtt = require('mqtt')

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n')

let client = null
let online = false

function connect (command) {
  let end = -1
  client = mqtt.connect(command.url, {
    protocolVersion: command.version,
    clientId: command.id,
    username: command.user,
    password: command.password,
    reconnectPeriod: 0,
    connectTimeout: 15000
  })
  client.on('packetreceive', (packet) => {
    switch (packet.cmd) {
      case 'connack': {
        const code = command.version === 5 ? packet.reasonCode : packet.returnCode
        online = code === 0
        return say({ ack: code })
      }
      case 'suback':
        return say({ ack: packet.granted[0] })
      case 'puback':
        return say({ ack: packet.reasonCode ?? 0 })
      case 'disconnect':
        end = packet.reasonCode
    }
  })
  client.on('message', (topic, payload, packet) => {
    say({ message: { topic, qos: packet.qos, payload: payload.toString('base64') } })
  })
  client.on('close', () => {
    if (online) say({ gone: end })
    online = false
  })
  client.on('error', (error) => {
    if (error.code === undefined || typeof error.code === 'string') say({ failed: String(error) })
  })
}

const commands = {
  connect,
  subscribe: (command) => client.subscribe(command.filter, { qos: command.qos }, () => {}),
  publish: (command) => client.publish(command.topic, command.payload, { qos: 1 }, () => {}),
  disconnect: () => {
    online = false
    client.end(false, () => say({ ack: 0 }))
  }
}

readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line)
    commands[command.do](command)
  })
  .on('close', () => {
    if (client === null) process.exit(0)
    online = false
    client.end(true, () => process.exit(0))
  })
