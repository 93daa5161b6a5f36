// Drives one of the vendor's Node libraries, unmodified. The first line on standard input configures it (see input),
// each further line adds credentials, or is {"call": name, "as": credentials, "args": {…}}; each is answered with one line:
// {"ok": true, "result": …}, {"ok": false, "error": {…}}, or {"absent": true} where the library has no such call.
'use strict'

const readline = require('node:readline')
const util = require('node:util')

class Absent extends Error {}

let input // library (name of the package), style ("promise" or "callback"), proxy (optional), credentials by name
let JPush

console.info = () => {} // one of the libraries prints the options of each push

function open (config) {
  input = config
  const library = require(input.library)
  JPush = library[input.style === 'promise' ? 'JPushAsync' : 'JPush'] ?? library // the oldest has one style only
}

function client (as) {
  const isGroup = as.startsWith('group')
  if (isGroup && input.library === 'jpush-sdk') throw new Absent()
  const { user, password } = input.credentials[as]
  return JPush.buildClient({
    appKey: user, masterSecret: password, isDebug: false, isGroup, ...(input.proxy ? { proxy: input.proxy } : {})
  })
}

// call gives both styles one shape: a promise, rejected with the library's error.
async function call (target, method, ...args) {
  if (typeof target[method] !== 'function') throw new Absent()
  if (input.style === 'callback') return util.promisify(target[method].bind(target))(...args)
  const answer = await target[method](...args)
  if (answer && answer.err) throw answer.err // two of the methods wrap what they return
  return answer && answer.res ? answer.res : answer
}

const text = (body) => input.style === 'callback' ? JSON.stringify(body) : body

function audience (wanted) {
  if (wanted === 'all') return [JPush.ALL]
  return Object.entries(wanted).map(([kind, values]) => {
    if (typeof JPush[kind] !== 'function') throw new Absent()
    return JPush[kind](...values)
  })
}

function payload (as, wanted) {
  const push = client(as).push()
  push.setPlatform(...(wanted.platform ?? [JPush.ALL])).setAudience(...audience(wanted.audience))
  switch (wanted.parts) {
    case 'full':
      push.setNotification('hello',
        JPush.android('to android', 'title', 1, { k: 'v', n: { deep: 1 } }, 1, 'msg', 1, 'a long text', 7, 'channel'),
        JPush.ios({ title: 'title', body: 'to ios' }, 'default', '+1', true, { k: 'v' }, 'category', true),
        JPush.winphone('to winphone', 'title', 'page', { k: 'v' }))
      push.setMessage('content', 'title', 'text', { a: 'b' })
      push.setSmsMessage('sms', 0)
      push.setOptions(40712, 3600, null, false, null, 'collapse', { xiaomi: { distribution: 'secondary_push' } })
      break
    case 'message':
      push.setMessage(wanted.text ?? 'content')
      break
    default:
      push.setNotification(wanted.text ?? 'hello')
  }
  if (wanted.options) push.payload.options = { ...push.payload.options, ...wanted.options }
  return push
}

async function schedule (as, args, method) {
  const at = args.trigger ?? {}
  const push = args.push ? payload(as, args.push) : client(as).push()
  if (at.single) push.setSingleSchedule(at.single.time)
  if (at.periodical) {
    const p = at.periodical
    push.setPeriodicalSchedule(p.start, p.end, p.time, p.time_unit, p.frequency, p.point ?? [])
  }
  if (method === 'setSchedule') return call(push, 'setSchedule', args.name, args.enabled)
  const change = { ...(args.name && { name: args.name }), ...('enabled' in args && { enabled: args.enabled }), ...(args.trigger && { trigger: at }) }
  return call(client(as), 'updateSchedule', args.id, text(change))
}

const calls = {
  push: (as, args) => call(payload(as, args), 'send'),
  validate: (as, args) => call(payload(as, args), 'sendValidate'),
  'push.raw': (as, args) => call(client(as), 'sendPush', text(args.body)),
  'push.callback': (as, args) => {
    if (input.library !== 'jpush-async') throw new Absent()
    const library = require(input.library).JPush
    const { user, password } = input.credentials[as]
    const push = library.buildClient({ appKey: user, masterSecret: password, isDebug: false }).push()
      .setPlatform(library.ALL).setAudience(library.registration_id(...args.audience.registration_id)).setNotification('hello')
    return util.promisify(push.send.bind(push))()
  },
  'group.push': (as, args) => call(payload(as, args), 'send'),
  cid: (as, args) => call(client(as), 'getCid', args.count, args.type),
  'batch.regid': (as, args) => call(client(as), 'batchPushByRegid', single(args)),
  'batch.alias': (as, args) => call(client(as), 'batchPushByAlias', single(args)),

  'schedule.create': (as, args) => schedule(as, args, 'setSchedule'),
  'schedule.update': (as, args) => schedule(as, args, 'updateSchedule'),
  'schedule.list': (as, args) => call(client(as), 'getScheduleList', args.page),
  'schedule.get': (as, args) => call(client(as), 'getSchedule', args.id),
  'schedule.msg_ids': (as, args) => call(client(as), 'getScheduleMsgIds', args.id),
  'schedule.delete': (as, args) => call(client(as), 'delSchedule', args.id),

  'device.get': (as, args) => call(client(as), 'getDeviceTagAlias', args.rid),
  'device.set': (as, args) =>
    call(client(as), 'updateDeviceTagAlias', args.rid, args.alias ?? null, false, args.add ?? [], args.remove ?? []),
  'device.clear': (as, args) =>
    call(client(as), 'updateDeviceTagAlias', args.rid, args.alias ? '' : null, args.tags, [], []),
  'device.mobile': (as, args) => call(client(as), 'setMobile', args.rid, args.mobile),
  'device.status': (as, args) => call(client(as), 'getDeviceStatus', args.rids),
  'alias.get': (as, args) => call(client(as), 'getAliasDeviceList', args.alias, args.platform ?? null),
  'alias.delete': (as, args) => call(client(as), 'deleteAlias', args.alias, args.platform ?? null),
  'tags.list': (as) => call(client(as), 'getTagList'),
  'tags.check': (as, args) => call(client(as), 'isDeviceInTag', args.tag, args.rid),
  'tags.update': (as, args) => call(client(as), 'addRemoveDevicesFromTag', args.tag, args.add ?? [], args.remove ?? []),
  'tags.delete': (as, args) => call(client(as), 'deleteTag', args.tag, args.platform ?? null),

  'report.received': (as, args) => call(client(as), 'getReportReceiveds', args.ids),
  'report.received.detail': (as, args) => call(client(as), 'getReportReceivedDetail', args.ids),
  'report.messages': (as, args) => call(client(as), 'getReportMessages', args.ids),
  'report.messages.detail': (as, args) => call(client(as), 'getReportMessagesDetail', args.ids),
  'report.users': (as, args) => call(client(as), 'getReportUsers', args.unit, args.start, args.duration),
  'report.status': (as, args) => call(client(as), 'getReportStatusMessage', Number(args.id), args.rids, args.date)
}

const single = (args) => args.items.map(({ target, text }) => ({ platform: 'all', target, notification: { alert: text } }))

// visible is what a caller can find out about a refusal.
function visible (e) {
  const error = { type: e.name, message: e.message, status: e.httpCode ?? null, code: null }
  if (e.name === 'APIRequestError' && typeof e.response === 'string') {
    const answer = JSON.parse(e.response)
    const detail = answer.error ?? answer // the newest library shows only the inner object
    Object.assign(error, detail)
  }
  return error
}

const lines = readline.createInterface({ input: process.stdin })
lines.on('line', async (line) => {
  const request = JSON.parse(line)
  if (!input) return open(request)
  if (request.credentials) return Object.assign(input.credentials, request.credentials)
  let answer
  try {
    const make = calls[request.call]
    if (!make) throw new Absent()
    answer = { ok: true, result: await make(request.as, request.args) }
  } catch (e) {
    answer = e instanceof Absent ? { absent: true } : { ok: false, error: visible(e) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
})
lines.on('close', () => process.exit(0))
