// Calls the push, device and report API with one of the vendor's libraries, unmodified, as the backend of an app does.
// Standard input is one JSON object (see input below). On standard output go JSON lines: {"sent": id, "to": [device]}
// for each accepted push and the devices that must get it, {"case": name, "error": text or null} for each case.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const util = require('node:util')

// input: library (name of the package), style ("promise" or "callback"), app_key, master_secret, proxy (optional),
// devices: android (connected), silent (android, joined, never connected), ios (connected).
const input = JSON.parse(fs.readFileSync(0, 'utf8'))
const { android, silent, ios } = input.devices
const library = require(input.library)
const JPush = library[input.style === 'promise' ? 'JPushAsync' : 'JPush'] ?? library // the oldest has one style only

console.info = () => {} // one of the libraries prints the options of each push

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n')

// Client gives both styles of the library one shape: a promise, rejected with the library's error.
class Client {
  constructor (appKey, masterSecret) {
    this.library = JPush.buildClient({
      appKey, masterSecret, isDebug: false, ...(input.proxy ? { proxy: input.proxy } : {})
    })
  }

  has (method) { return typeof this.library[method] === 'function' }

  async call (method, ...args) {
    if (input.style === 'callback') return util.promisify(this.library[method].bind(this.library))(...args)
    const answer = await this.library[method](...args)
    if (answer && answer.err) throw answer.err // two of the methods wrap what they return
    return answer && answer.res ? answer.res : answer
  }

  // push begins a push with the library's builder.
  push () { return this.library.push() }

  async send (payload) { return this.finish(payload, 'send') }
  async validate (payload) { return this.finish(payload, 'sendValidate') }

  async finish (payload, method) {
    return input.style === 'callback' ? util.promisify(payload[method].bind(payload))() : payload[method]()
  }

  // raw sends what the builder would not build.
  async raw (body) { return this.call('sendPush', input.style === 'callback' ? JSON.stringify(body) : body) }
}

const client = new Client(input.app_key, input.master_secret)
const stranger = new Client('x'.repeat(24), input.master_secret)
const forger = new Client(input.app_key, 'x'.repeat(24))

// withQuery: the newest library sends a path without its query.
const withQuery = require(input.library + '/package.json').version !== '4.2.0'

function accepted (answer, to) {
  assert.deepEqual(Object.keys(answer).sort(), ['msg_id', 'sendno'])
  assert.match(answer.msg_id, /^[0-9]+$/)
  if (to) say({ sent: answer.msg_id, to })
  return answer.msg_id
}

// refused checks what a caller can find out about a refusal.
async function refused (call, status, code) {
  let error = null
  try {
    await call
  } catch (e) {
    error = e
  }
  assert.ok(error, `not refused, want ${code}`)
  assert.equal(error.name, 'APIRequestError', error.stack)
  const body = JSON.parse(error.response)
  const detail = body.error ?? body // the newest library shows only the inner object
  assert.equal(detail.code, code, error.response)
  assert.equal(typeof detail.message, 'string')
  assert.ok(!error.response.includes('msg_id'))
  if (error.httpCode !== undefined) assert.equal(error.httpCode, status) // the newest library loses it
  return detail
}

const greeting = (audience) => client.push().setPlatform(JPush.ALL).setAudience(audience).setNotification('hello')

let reported = '' // a push that android received

const cases = {
  'push to devices': async () => {
    const answer = await client.send(client.push().setPlatform('android', 'ios')
      .setAudience(JPush.registration_id(android, ios))
      .setNotification('hello', JPush.android('to android', 'title', 1, { k: 'v' }), JPush.ios('to ios', 'default', 1))
      .setMessage('content', 'title', 'text', { a: 'b' })
      .setOptions(40712, 3600, null, false))
    assert.equal(answer.sendno, '40712')
    reported = accepted(answer, [android, ios])
  },

  'push without a number of its own': async () => {
    const payload = greeting(JPush.registration_id(android))
    const answer = await client.send(payload)
    assert.equal(answer.sendno, String(payload.payload.options.sendno))
    accepted(answer, [android])
  },

  'validate': async () => {
    accepted(await client.validate(greeting(JPush.registration_id(android))))
  },

  'device: tags, alias and mobile': async () => {
    const get = () => client.call('getDeviceTagAlias', android)
    assert.deepEqual(await get(), { tags: [], alias: '', mobile: '' })
    assert.deepEqual(await client.call('updateDeviceTagAlias', android, 'ann', false, ['beta', 'staff'], ['none']), {})
    assert.deepEqual(await get(), { tags: ['beta', 'staff'], alias: 'ann', mobile: '' })
    assert.deepEqual(await client.call('setMobile', android, '13800000000'), {})
    assert.deepEqual(await client.call('updateDeviceTagAlias', android, null, false, [], ['beta']), {})
    assert.deepEqual(await get(), { tags: ['staff'], alias: 'ann', mobile: '13800000000' })
    assert.deepEqual(await client.call('updateDeviceTagAlias', android, null, false, [], []), {})
    await refused(client.call('getDeviceTagAlias', 'nobody'), 400, 7002)
    await refused(stranger.call('getDeviceTagAlias', android), 400, 7008)
    await refused(forger.call('getDeviceTagAlias', android), 401, 7004)
  },

  'push to alias and tags': async () => {
    accepted(await client.send(greeting(JPush.alias('ann'))), [android])
    accepted(await client.send(client.push().setPlatform(JPush.ALL)
      .setAudience(JPush.tag('staff', 'nothing'), JPush.tag_and('staff'), JPush.alias('ann', 'bob'))
      .setNotification('hello')), [android])
  },

  'tags': async () => {
    const has = (tag, rid) => client.call('isDeviceInTag', tag, rid)
    assert.deepEqual(await client.call('addRemoveDevicesFromTag', 'vip', [android, silent], []), {})
    assert.deepEqual(await client.call('getTagList'), { tags: ['staff', 'vip'] })
    assert.deepEqual(await has('vip', silent), { result: true })
    assert.deepEqual(await client.call('addRemoveDevicesFromTag', 'vip', [], [silent]), {})
    assert.deepEqual(await has('vip', silent), { result: false })
    assert.deepEqual(await has('vip', android), { result: true })
    const detail = await refused(client.call('addRemoveDevicesFromTag', 'vip', [silent, 'nobody'], []), 400, 7013)
    assert.deepEqual(detail.illegal_rids, ['nobody'])
    assert.deepEqual(await has('vip', silent), { result: false })
    if (withQuery) {
      assert.deepEqual(await client.call('deleteTag', 'vip', 'ios'), {})
      assert.deepEqual(await has('vip', android), { result: true })
    }
    assert.deepEqual(await client.call('deleteTag', 'vip', 'android,ios'), {})
    assert.deepEqual(await has('vip', android), { result: false })
    assert.deepEqual(await client.call('deleteTag', 'nothing', null), {})
    await refused(forger.call('getTagList'), 401, 7004)
    await refused(stranger.call('getTagList'), 400, 7008)
  },

  'alias': async () => {
    assert.deepEqual(await client.call('getAliasDeviceList', 'ann', null), { registration_ids: [android] })
    if (withQuery) {
      assert.deepEqual(await client.call('getAliasDeviceList', 'ann', 'ios'), { registration_ids: [] })
      assert.deepEqual(await client.call('deleteAlias', 'ann', 'ios'), {})
    }
    assert.deepEqual(await client.call('getAliasDeviceList', 'ann', 'android'), { registration_ids: [android] })
    assert.deepEqual(await client.call('deleteAlias', 'ann', 'android'), {})
    assert.deepEqual(await client.call('getAliasDeviceList', 'ann', null), { registration_ids: [] })
    await refused(client.send(greeting(JPush.alias('ann'))), 400, 1011)
    await refused(client.call('getAliasDeviceList', 'a'.repeat(41), null), 400, 7002)
  },

  'clearing a device': async () => {
    assert.deepEqual(await client.call('updateDeviceTagAlias', android, '', true, [], []), {})
    assert.deepEqual(await client.call('getDeviceTagAlias', android), { tags: [], alias: '', mobile: '13800000000' })
  },

  'online status': async () => {
    if (!client.has('getDeviceStatus')) return
    const status = await client.call('getDeviceStatus', [android, 'nobody'])
    assert.deepEqual(status[android], { online: true })
    assert.ok(status.nobody === null || !('nobody' in status))
    await refused(client.call('getDeviceStatus', []), 400, 7002)
  },

  'report of received': async () => {
    if (!withQuery) {
      await refused(client.call('getReportReceiveds', reported), 400, 1002)
      return
    }
    let rows
    do { // a receipt may be on its way
      rows = await client.call('getReportReceiveds', reported)
    } while (rows[0].android_received !== 1 || rows[0].ios_msg_received !== 1)
    assert.equal(rows.length, 1)
    assert.equal(rows[0].msg_id, reported)
    assert.deepEqual(await client.call('getReportReceiveds', '1'), [])
    await refused(forger.call('getReportReceiveds', reported), 401, 3001)
    await refused(stranger.call('getReportReceiveds', reported), 401, 3001)
  },

  'detailed report': async () => {
    if (!client.has('getReportReceivedDetail')) return
    if (!withQuery) {
      await refused(client.call('getReportReceivedDetail', reported), 400, 1002)
      return
    }
    const rows = await client.call('getReportReceivedDetail', reported)
    assert.equal(rows.length, 1)
    assert.equal(rows[0].jpush_received, 1)
    assert.equal(rows[0].ios_msg_received, 1)
    assert.equal(rows[0].live_acivity_sent, null)
  },

  'status of a message': async () => {
    if (!client.has('getReportStatusMessage')) return
    const today = new Date().toISOString().slice(0, 10)
    let status
    do {
      status = await client.call('getReportStatusMessage', Number(reported), [android, silent, 'nobody'], today)
    } while (status[android].status !== 0)
    assert.deepEqual(status, { [android]: { status: 0 }, [silent]: { status: 3 }, nobody: { status: 2 } })
    await refused(client.call('getReportStatusMessage', Number(reported), [], today), 400, 1002)
    await refused(forger.call('getReportStatusMessage', Number(reported), [android], today), 401, 3001)
  },

  'cid': async () => {
    if (!client.has('getCid') || !withQuery) return
    const { cidlist, ...more } = await client.call('getCid', 3, 'push')
    assert.deepEqual(more, {})
    assert.equal(new Set(cidlist).size, 3)
    for (const cid of cidlist) assert.ok(cid.startsWith(input.app_key + '-'))
    const body = {
      cid: cidlist[0], platform: 'all', audience: { registration_id: [android] }, notification: { alert: 'once' }
    }
    const first = await client.raw(body)
    accepted(first, [android])
    assert.deepEqual(await client.raw(body), first)
    await refused(client.call('getCid', 1001, 'push'), 400, 1003)
  },

  'refused pushes': async () => {
    const push = (body) => client.raw({
      platform: 'all', audience: { registration_id: [android] }, notification: { alert: 'must not arrive' }, ...body
    })
    const tags = Array.from({ length: 21 }, (_, i) => 'tag' + i)
    await refused(client.send(greeting(JPush.tag(tags))), 400, 1003)
    await refused(client.send(greeting(JPush.tag('nobody'))), 400, 1011)
    await refused(client.validate(greeting(JPush.tag('nobody'))), 400, 1011)
    await refused(client.send(greeting(JPush.registration_id(android)).setOptions(1, -1)), 400, 1003)
    await refused(push({ notifications: {} }), 400, 1009)
    await refused(push({ notification: undefined }), 400, 1002)
    await refused(push({ audience: 'everybody' }), 400, 1003)
    await refused(forger.send(forger.push().setPlatform(JPush.ALL).setAudience(JPush.ALL).setNotification('x')), 401, 1004)
    await refused(stranger.send(stranger.push().setPlatform(JPush.ALL).setAudience(JPush.ALL).setNotification('x')), 400, 1008)
  },

  'push to everybody': async () => {
    accepted(await client.send(greeting(JPush.ALL)), [android, ios])
  }
}

// With a proxy every call of the library goes to that one address, so there are only pushes.
const proxied = ['push to devices', 'push without a number of its own', 'refused pushes', 'push to everybody']

async function main () {
  for (const [name, run] of Object.entries(cases)) {
    if (input.proxy && !proxied.includes(name)) continue
    let error = null
    try {
      await run()
    } catch (e) {
      error = e.stack
    }
    say({ case: name, error })
  }
}

main()
