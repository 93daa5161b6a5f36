"use strict";
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);

// src/miniprogram/index.ts
var index_exports = {};
__export(index_exports, {
  Device: () => Device,
  MemoryStorage: () => MemoryStorage,
  MiniProgramStorage: () => MiniProgramStorage,
  MiniProgramTransport: () => MiniProgramTransport,
  RefusedError: () => RefusedError,
  TooMuchError: () => TooMuchError,
  WebSocketTransport: () => WebSocketTransport,
  backoff: () => backoff,
  openDevice: () => openDevice,
  version: () => version
});
module.exports = __toCommonJS(index_exports);

// src/backoff.ts
var base = 1e3;
var most = 12e4;
var retryAfterMost = 36e5;
var settled = 3e4;
function backoff(n, random2, retryAfter = 0) {
  const grown = n > 20 ? most : Math.min(base * 2 ** (n - 1), most);
  return Math.min(Math.max(retryAfter, 0), retryAfterMost) + Math.floor(random2 * grown);
}
function longBackoff(random2) {
  return most * (0.5 + random2 / 2);
}

// src/text.ts
function encodeUTF8(text) {
  const out = [];
  for (const c of text) {
    let p = c.codePointAt(0);
    if (p >= 55296 && p <= 57343) p = 65533;
    if (p < 128) out.push(p);
    else if (p < 2048) out.push(192 | p >> 6, 128 | p & 63);
    else if (p < 65536) out.push(224 | p >> 12, 128 | p >> 6 & 63, 128 | p & 63);
    else out.push(240 | p >> 18, 128 | p >> 12 & 63, 128 | p >> 6 & 63, 128 | p & 63);
  }
  return Uint8Array.from(out);
}
function decodeUTF8(bytes) {
  const parts = [];
  let chunk = [];
  for (let i = 0; i < bytes.length; ) {
    const first2 = bytes[i++];
    let p = first2;
    let more = 0;
    let least = 0;
    if (first2 >= 240 && first2 < 248) [p, more, least] = [first2 & 7, 3, 65536];
    else if (first2 >= 224 && first2 < 240) [p, more, least] = [first2 & 15, 2, 2048];
    else if (first2 >= 192 && first2 < 224) [p, more, least] = [first2 & 31, 1, 128];
    else if (first2 >= 128) return void 0;
    for (; more > 0; more--) {
      const b = bytes[i++];
      if (b === void 0 || (b & 192) !== 128) return void 0;
      p = p << 6 | b & 63;
    }
    if (p < least || p > 1114111 || p >= 55296 && p <= 57343) return void 0;
    chunk.push(p);
    if (chunk.length === 4096) {
      parts.push(String.fromCodePoint(...chunk));
      chunk = [];
    }
  }
  parts.push(String.fromCodePoint(...chunk));
  return parts.join("");
}
var digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
function base64(bytes) {
  let out = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b, c] = [bytes[i], bytes[i + 1], bytes[i + 2]];
    out += digits[a >> 2] + digits[(a & 3) << 4 | (b != null ? b : 0) >> 4];
    out += b === void 0 ? "=" : digits[(b & 15) << 2 | (c != null ? c : 0) >> 6];
    out += c === void 0 ? "=" : digits[c & 63];
  }
  return out;
}

// src/mqtt.ts
var packetType = { connect: 1, connack: 2, publish: 3, puback: 4, pingreq: 12, pingresp: 13, disconnect: 14 };
var code = {
  identifierInvalid: 133,
  badCredentials: 134,
  notAuthorized: 135,
  takenOver: 142,
  quota: 151,
  invalidPayload: 153,
  useAnotherServer: 156,
  serverMoved: 157
};
var maxPacket = 256 << 10;
var receiveMaximum = 32;
var MalformedError = class extends Error {
  constructor() {
    super(...arguments);
    this.name = "MalformedError";
  }
};
var PacketReader = class {
  constructor() {
    this.buffer = new Uint8Array(0);
  }
  /** The packets that are whole now. Throws MalformedError. */
  push(bytes) {
    const joined = new Uint8Array(this.buffer.length + bytes.length);
    joined.set(this.buffer);
    joined.set(bytes, this.buffer.length);
    this.buffer = joined;
    const out = [];
    for (let p = this.next(); p; p = this.next()) out.push(p);
    return out;
  }
  next() {
    const b = this.buffer;
    let size = 0;
    let at = 1;
    for (; ; at++) {
      if (at >= b.length) return void 0;
      size |= (b[at] & 127) << 7 * (at - 1);
      if (!(b[at] & 128)) break;
      if (at === 4) throw new MalformedError("length of more than four bytes");
    }
    if (size > maxPacket) throw new MalformedError(`packet of ${size} bytes`);
    at++;
    if (b.length < at + size) return void 0;
    this.buffer = b.subarray(at + size);
    return { type: b[0] >> 4, flags: b[0] & 15, body: b.subarray(at, at + size) };
  }
};
var Writer = class _Writer {
  constructor() {
    this.bytes = [];
  }
  byte(...v) {
    this.bytes.push(...v);
    return this;
  }
  uint16(v) {
    return this.byte(v >> 8 & 255, v & 255);
  }
  uint32(v) {
    return this.uint16(v >>> 16).uint16(v & 65535);
  }
  varint(v) {
    for (; v >= 128; v >>= 7) this.byte(v & 127 | 128);
    return this.byte(v);
  }
  raw(v) {
    for (let i = 0; i < v.length; i++) this.bytes.push(v[i]);
    return this;
  }
  text(v) {
    const bytes = encodeUTF8(v);
    return this.uint16(bytes.length).raw(bytes);
  }
  packet(first2) {
    return Uint8Array.from(new _Writer().byte(first2).varint(this.bytes.length).raw(this.bytes).bytes);
  }
};
function connectPacket(clientID, user, password, keepAlive) {
  const properties = new Writer().byte(17).uint32(4294967295).byte(33).uint16(receiveMaximum).byte(39).uint32(maxPacket).bytes;
  const w = new Writer().text("MQTT").byte(5, 192).uint16(keepAlive).varint(properties.length).raw(properties);
  return w.text(clientID).text(user).text(password).packet(packetType.connect << 4);
}
function publishPacket(topic, id, payload) {
  return new Writer().text(topic).uint16(id).byte(0).raw(encodeUTF8(payload)).packet(packetType.publish << 4 | 2);
}
var pubackPacket = (id) => new Writer().uint16(id).packet(packetType.puback << 4);
var pingPacket = () => Uint8Array.of(packetType.pingreq << 4, 0);
var disconnectPacket = () => Uint8Array.of(packetType.disconnect << 4, 0);
var Reader = class _Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  get left() {
    return this.bytes.length - this.at;
  }
  take(n) {
    if (n > this.left) throw new MalformedError("packet too short");
    this.at += n;
    return this.bytes.subarray(this.at - n, this.at);
  }
  byte() {
    return this.take(1)[0];
  }
  uint16() {
    return this.byte() * 256 + this.byte();
  }
  text() {
    const v = decodeUTF8(this.take(this.uint16()));
    if (v === void 0) throw new MalformedError("text that is not UTF-8");
    return v;
  }
  varint() {
    let n = 0;
    for (let i = 0; i < 4; i++) {
      const b = this.byte();
      n |= (b & 127) << 7 * i;
      if (!(b & 128)) return n;
    }
    throw new MalformedError("length of more than four bytes");
  }
  properties() {
    const out = { user: {} };
    if (this.left === 0) return out;
    const r = new _Reader(this.take(this.varint()));
    while (r.left > 0) {
      const id = r.byte();
      if (id === 19) out.keepAlive = r.uint16();
      else if (id === 28) out.reference = r.text();
      else if (id === 31) out.reason = r.text();
      else if (id === 38) {
        const name = r.text();
        out.user[name] = r.text();
      } else if ([1, 23, 25, 36, 37, 40, 41, 42].includes(id)) r.take(1);
      else if ([33, 34, 35].includes(id)) r.take(2);
      else if ([2, 17, 24, 39].includes(id)) r.take(4);
      else if (id === 11) r.varint();
      else if ([3, 8, 9, 18, 21, 22, 26].includes(id)) r.take(r.uint16());
      else throw new MalformedError(`unknown property ${id}`);
    }
    return out;
  }
};
function parseAnswer(p) {
  const r = new Reader(p.body);
  let id = 0;
  if (p.type === packetType.connack) r.byte();
  if (p.type === packetType.puback) id = r.uint16();
  const c = p.type === packetType.connack || r.left > 0 ? r.byte() : 0;
  return { id, code: c, ...r.properties() };
}
function parsePublish(p) {
  const r = new Reader(p.body);
  const topic = r.text();
  const qos = p.flags >> 1 & 3;
  if (qos > 1) throw new MalformedError("QoS that nobody asked for");
  const id = qos === 1 ? r.uint16() : 0;
  if (qos === 1 && id === 0) throw new MalformedError("packet identifier 0");
  if (r.left === 0) throw new MalformedError("packet too short");
  r.properties();
  return { topic, id, payload: r.take(r.left) };
}

// src/options.ts
var version = "0.1.0";
var platforms = ["android", "ios", "quickapp", "hmos", "web", "desktop", "iot"];
function settle(o, on) {
  var _a, _b, _c, _d;
  if (!/^https?:\/\/[^/]/.test((_a = o.server) != null ? _a : "")) throw new TypeError(`server ${JSON.stringify(o.server)} is not a URL such as https://push.example.com`);
  if (!o.appKey) throw new TypeError("appKey is required");
  if (!platforms.includes(o.platform)) throw new TypeError(`platform ${JSON.stringify(o.platform)} is none of ${platforms.join(", ")}`);
  if (!o.storage) throw new TypeError("storage is required");
  return {
    ...o,
    server: o.server.replace(/\/+$/, ""),
    now: (_b = o.now) != null ? _b : Date.now,
    random: (_c = o.random) != null ? _c : Math.random,
    scale: (_d = o.scale) != null ? _d : 1,
    on
  };
}
var RefusedError = class extends Error {
  constructor(what, code2, reason = "") {
    super(`${what} refused with ${what === "register" ? code2 : "0x" + code2.toString(16)}${reason && ": " + reason}`);
    this.what = what;
    this.code = code2;
    this.reason = reason;
    this.name = "RefusedError";
  }
};
var LaterError = class extends Error {
  constructor(status, after) {
    super(`the server answered ${status}`);
    this.status = status;
    this.after = after;
    this.name = "LaterError";
  }
};

// src/profile.ts
var isEmpty = (p) => Object.keys(p).length === 0;
function then(p, q) {
  const out = { ...p, ...q };
  if (q.alias !== void 0 && q.alias_signature === void 0) delete out.alias_signature;
  if (p.attributes && q.attributes) out.attributes = { ...p.attributes, ...q.attributes };
  if (p.tags && q.tags) out.tags = tagsThen(p.tags, q.tags);
  return out;
}
function tagsThen(t, u) {
  var _a, _b, _c, _d;
  if (u.set) return u;
  const [add, remove] = [(_a = u.add) != null ? _a : [], (_b = u.remove) != null ? _b : []];
  const others = (list) => list.filter((v) => !add.includes(v) && !remove.includes(v));
  if (t.set) return { set: [...others(t.set), ...add] };
  return { add: [...others((_c = t.add) != null ? _c : []), ...add], remove: [...others((_d = t.remove) != null ? _d : []), ...remove] };
}
function first(p) {
  const rest = { ...p };
  const one = {};
  const name = Object.keys(p).find((k) => k !== "alias_signature");
  for (const k of name === "alias" ? ["alias", "alias_signature"] : name ? [name] : []) {
    if (k in rest) one[k] = rest[k];
    delete rest[k];
  }
  return [one, rest];
}
function forNew(p) {
  var _a;
  const { consent: _, ...out } = p;
  if (out.tags && !out.tags.set) {
    const add = (_a = out.tags.add) != null ? _a : [];
    if (add.length > 0) out.tags = { add };
    else delete out.tags;
  }
  if (out.attributes) out.attributes = Object.fromEntries(Object.entries(out.attributes).filter(([, v]) => v !== null));
  if (out.alias === "") delete out.alias;
  return out;
}
function remembered(p) {
  var _a;
  return p.tags && !p.tags.set ? { ...p, tags: { add: (_a = p.tags.add) != null ? _a : [] } } : p;
}

// src/register.ts
function call(d, method, path, as, body) {
  const headers = { "X-App-Key": d.o.appKey };
  if (as) headers["Authorization"] = "Basic " + base64(encodeUTF8(`${as.registration_id}:${as.secret}`));
  if (body !== void 0) headers["Content-Type"] = "application/json";
  return d.o.on.request({ method, url: d.o.server + path, headers, ...body !== void 0 ? { body: JSON.stringify(body) } : {} });
}
async function register(d) {
  var _a, _b, _c, _d;
  const { install_id, consent } = d.state.identity;
  const signature = await ((_b = (_a = d.o).sign) == null ? void 0 : _b.call(_a, install_id));
  const answer = await call(d, "POST", "/device/v1/register", void 0, {
    app_key: d.o.appKey,
    install_id,
    platform: d.o.platform,
    package: d.o.package,
    device: { ...d.o.device, sdk_version: "js/" + version },
    consent,
    signature
  });
  if (answer.status !== 200) throw refusal(answer);
  const got = JSON.parse(answer.body);
  if (!got.registration_id || !got.secret) throw new Error(`the answer to the registration is not one: ${answer.body.slice(0, 100)}`);
  const id = d.state.identity;
  if (id.install_id !== install_id) {
    id.ending = { registration_id: got.registration_id, secret: got.secret };
    return d.state.save("identity");
  }
  if (id.known && id.known !== got.registration_id) {
    const w = d.state.words;
    w.pending = forNew(w.said);
    w.pending_tokens = Object.fromEntries(Object.entries(w.tokens).filter(([, t]) => t.token !== ""));
    await d.saveWords();
  }
  id.registration_id = id.known = got.registration_id;
  id.secret = got.secret;
  id.mqtt = (_c = got.mqtt) != null ? _c : [];
  id.keep_alive = (_d = got.keep_alive) != null ? _d : 0;
  if (got.server_time) id.offset = got.server_time - d.o.now();
  await d.state.save("identity");
  d.emit({ kind: "registered", registrationID: got.registration_id });
}
function refusal(a) {
  var _a, _b;
  if (a.status >= 500 || [408, 425, 429].includes(a.status)) {
    const seconds = Number((_a = a.retryAfter) != null ? _a : 0);
    return new LaterError(a.status, Number.isFinite(seconds) ? Math.min(Math.max(seconds * 1e3, 0), retryAfterMost) : 0);
  }
  let reason = "";
  try {
    reason = String((_b = JSON.parse(a.body).detail) != null ? _b : "");
  } catch (e) {
  }
  return new RefusedError("register", a.status, reason);
}
async function forget(d, registrationID) {
  const id = d.state.identity;
  if (id.registration_id !== registrationID) return;
  delete id.registration_id;
  delete id.secret;
  delete id.mqtt;
  delete id.keep_alive;
  await d.state.save("identity");
}
async function tellEnd(d) {
  const old = d.state.identity.ending;
  if (!old) return;
  const answer = await call(d, "DELETE", "/device/v1/registration", old);
  const gone = answer.status >= 200 && answer.status < 300 || answer.status === 401 || answer.status === 404;
  if (!gone) throw refusal(answer);
  delete d.state.identity.ending;
  await d.state.save("identity");
}

// src/message.ts
var types = ["notification", "message", "inapp", "withdraw"];
var texts = ["title", "alert", "override", "withdraw"];
function parseFrame(payload) {
  const text = decodeUTF8(payload);
  if (text === void 0) return "not UTF-8";
  let v;
  try {
    v = JSON.parse(text);
  } catch (e) {
    return "not JSON";
  }
  return frameOf(v);
}
function frameOf(v) {
  if (typeof v !== "object" || v === null || Array.isArray(v)) return "not an object";
  const f = { ...v, silent: false };
  if (typeof f.id !== "string" || f.id === "" || typeof f.type !== "string") return "no id or no type";
  if (!types.includes(f.type)) return `unknown type ${f.type.slice(0, 20)}`;
  for (const name of texts) {
    if (f[name] !== void 0 && typeof f[name] !== "string") return `${name} is not a string`;
  }
  if (f.expires_at !== void 0 && typeof f.expires_at !== "number") return "expires_at is not a number";
  if (f.type === "withdraw" && !f.withdraw) return "a withdrawal of nothing";
  return f;
}
var keyOf = (f) => `${f.type}/${f.id}`;
var timeOfDay = /^([01]\d|2[0-3]):([0-5]\d)$/;
function minutes(v) {
  const m = timeOfDay.exec(v);
  return m ? Number(m[1]) * 60 + Number(m[2]) : NaN;
}
function checkSilence(s) {
  for (const v of s ? [s.from, s.to] : []) {
    if (Number.isNaN(minutes(v))) throw new TypeError(`${JSON.stringify(v)} is not a time of day such as "22:00"`);
  }
}
function covers(s, t) {
  if (!s) return false;
  const [from, to, now] = [minutes(s.from), minutes(s.to), t.getHours() * 60 + t.getMinutes()];
  if (Number.isNaN(from) || Number.isNaN(to)) return false;
  return from < to ? from <= now && now < to : now >= from || now < to;
}

// src/state.ts
var maxSeen = 500;
var maxReceipts = 1e3;
var batchSize = 100;
var maxTags = 1e3;
var maxMembers = 64;
var noWords = () => ({ said: {}, pending: {}, tokens: {}, pending_tokens: {}, off: false, silence: null });
var documents = ["identity", "profile", "receipts", "seen"];
var State = class {
  constructor(storage) {
    this.storage = storage;
    this.identity = {};
    this.words = noWords();
    this.receipts = [];
    this.seen = { messages: [], gone: [] };
    this.last = Promise.resolve();
  }
  async load() {
    const read = async (name, otherwise) => {
      const text = await this.storage.get(name);
      return text ? JSON.parse(text) : otherwise;
    };
    this.identity = await read("identity", {});
    this.words = { ...noWords(), ...await read("profile", {}) };
    this.receipts = await read("receipts", []);
    this.seen = await read("seen", this.seen);
  }
  /** Stores a document as it is when its turn comes; fulfilled when it is stored. */
  save(name, merged) {
    return this.turn(() => this.storage.put(name, JSON.stringify(merged ? merged() : this.document(name))));
  }
  remove(name) {
    return this.turn(() => this.storage.remove(name));
  }
  /** One access after the other, in the order they were asked for. */
  turn(work) {
    const done = this.last.then(work);
    this.last = done.catch(() => void 0);
    return done;
  }
  document(name) {
    return { identity: this.identity, profile: this.words, receipts: this.receipts, seen: this.seen }[name];
  }
};
var bounded = (list, v, limit) => [...list, v].slice(-limit);

// src/session.ts
var connectTimeout = 2e4;
var lingering = 1e3;
var DisconnectError = class extends Error {
  constructor(answer) {
    var _a;
    super(`the server ended the connection: 0x${answer.code.toString(16)} ${(_a = answer.reason) != null ? _a : ""}`.trim());
    this.answer = answer;
    this.name = "DisconnectError";
  }
};
var ResetError = class extends Error {
  constructor() {
    super(...arguments);
    this.name = "ResetError";
  }
};
var kinds = ["profile", "token", "events"];
var topics = { profile: "up/profile", token: "up/tokens", events: "up/events" };
var Session = class {
  constructor(d, registrationID) {
    this.d = d;
    this.registrationID = registrationID;
    this.reader = new PacketReader();
    this.accepted = false;
    this.over = false;
    this.began = 0;
    this.heard = 0;
    this.nextID = 0;
    this.due = 0;
    this.ups = { profile: newUp(), token: newUp(), events: newUp() };
    this.queue = [];
    this.working = false;
    this.finish = () => void 0;
  }
  /** Connects and serves the connection until it ends. lasted, milliseconds, is 0 if the server did not accept it. */
  async run(address) {
    const ended = new Promise((resolve) => this.finish = resolve);
    this.limit = setTimeout(() => this.fail(new Error("no answer in time")), connectTimeout);
    const transport = this.d.o.on.transports.find((t) => t.schemes.includes(schemeOf(address)));
    try {
      this.channel = transport.open(address, {
        opened: () => this.greet(),
        received: (bytes) => this.received(bytes),
        closed: (why2) => this.fail(why2)
      });
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
    const why = await ended;
    return { lasted: this.accepted ? Math.max(1, Date.now() - this.began) : 0, why };
  }
  /** Ends the connection; the first reason counts. */
  fail(why) {
    var _a;
    if (this.over) return;
    this.over = true;
    clearTimeout(this.limit);
    clearTimeout(this.timer);
    clearInterval(this.pings);
    this.queue.length = 0;
    if (!(why instanceof ResetError)) this.d.grounded();
    (_a = this.channel) == null ? void 0 : _a.close();
    this.finish(why);
  }
  /** Says good-bye and ends the connection. */
  leave() {
    if (this.accepted && !this.over) this.send(disconnectPacket());
    this.fail(new Error("stopped"));
  }
  send(bytes) {
    var _a;
    if (this.over) return;
    try {
      (_a = this.channel) == null ? void 0 : _a.send(bytes);
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }
  greet() {
    const { secret, keep_alive } = this.d.state.identity;
    this.send(connectPacket(this.registrationID, this.d.o.appKey, secret != null ? secret : "", Math.min(keep_alive != null ? keep_alive : 0, 65535)));
  }
  received(bytes) {
    this.heard = Date.now();
    try {
      for (const p of this.reader.push(bytes)) {
        if (this.over) return;
        this.take(p);
      }
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }
  take(p) {
    if (!this.accepted) {
      if (p.type !== packetType.connack) throw new MalformedError(`packet ${p.type} instead of CONNACK`);
      return this.answered(parseAnswer(p));
    }
    switch (p.type) {
      case packetType.publish:
        this.queue.push(parsePublish(p));
        void this.work();
        return;
      case packetType.puback:
        return this.acknowledged(parseAnswer(p));
      case packetType.pingresp:
        return;
      case packetType.disconnect:
        return this.fail(new DisconnectError(parseAnswer(p)));
      default:
        throw new MalformedError(`packet ${p.type}`);
    }
  }
  answered(a) {
    var _a, _b, _c;
    if (a.code === code.useAnotherServer || a.code === code.serverMoved) return this.fail(new DisconnectError(a));
    if (a.code !== 0) return this.fail(new RefusedError("connect", a.code, a.reason));
    this.accepted = true;
    this.began = Date.now();
    clearTimeout(this.limit);
    const time = Number((_a = a.user["server_time"]) != null ? _a : 0);
    this.d.setOffset(time).catch((error) => this.d.trouble(error));
    const keepAlive = ((_c = (_b = a.keepAlive) != null ? _b : this.d.state.identity.keep_alive) != null ? _c : 0) * 1e3;
    if (keepAlive > 0) this.keepAlive(keepAlive);
    this.d.emit({ kind: "connected" });
    this.sendDue();
  }
  keepAlive(every) {
    let pinged = Date.now();
    this.pings = setInterval(() => {
      const now = Date.now();
      if (now - this.heard >= every * 1.5) return this.fail(new Error("the server is silent"));
      if (now - pinged >= every) {
        pinged = now;
        this.send(pingPacket());
      }
    }, every / 4);
  }
  /** Handles messages one after another. */
  async work() {
    if (this.working) return;
    this.working = true;
    for (let p = this.queue.shift(); p; p = this.queue.shift()) {
      const publish = p;
      const done = this.d.handling.then(() => this.handle(publish));
      this.d.handling = done;
      await done;
    }
    this.working = false;
  }
  async handle(p) {
    if (this.over) return;
    let acknowledge = true;
    if (p.topic === "push") {
      const frame = parseFrame(p.payload);
      try {
        if (typeof frame === "string") this.d.trouble(new Error(`a message was ignored: ${frame}`));
        else acknowledge = await this.d.handle(frame);
      } catch (error) {
        acknowledge = false;
        this.d.trouble(error);
      }
    }
    if (acknowledge && p.id !== 0) this.send(pubackPacket(p.id));
  }
  /** Sends what may be sent now. */
  sendDue() {
    if (!this.accepted || this.over || this.d.registrationID !== this.registrationID) return;
    clearTimeout(this.timer);
    let wait = Infinity;
    for (const kind of kinds) {
      const up = this.ups[kind];
      if (up.id !== 0) continue;
      const left = up.notBefore - Date.now();
      if (left > 0) {
        wait = Math.min(wait, left);
        continue;
      }
      const body = this.next(kind);
      if (typeof body === "number") {
        wait = Math.min(wait, body);
        continue;
      }
      this.nextID = this.nextID % 65535 + 1;
      up.id = this.nextID;
      this.send(publishPacket(topics[kind], up.id, JSON.stringify(body)));
    }
    if (wait !== Infinity && !this.over) this.timer = setTimeout(() => this.sendDue(), wait);
  }
  /** Takes the next of a kind into flight; a number says how many milliseconds until there may be one. */
  next(kind) {
    var _a, _b;
    const { words, receipts } = this.d.state;
    if (kind === "profile") return (_a = this.d.nextProfile()) != null ? _a : Infinity;
    if (kind === "token") {
      this.token = Object.values(words.pending_tokens)[0];
      return (_b = this.token) != null ? _b : Infinity;
    }
    const n = Math.min(receipts.length, batchSize);
    if (n === 0) {
      this.due = 0;
      return Infinity;
    }
    if (this.due === 0) this.due = Date.now() + lingering * this.d.o.scale;
    const left = this.due - Date.now();
    if (left > 0 && n < batchSize) return left;
    this.due = 0;
    this.d.flyingReceipts = n;
    return { events: receipts.slice(0, n) };
  }
  acknowledged(a) {
    var _a;
    const kind = kinds.find((k) => this.ups[k].id === a.id && a.id !== 0);
    if (!kind || this.d.registrationID !== this.registrationID) return;
    const up = this.ups[kind];
    up.id = 0;
    let final = a.code < 128;
    if (a.code === code.notAuthorized || a.code === code.quota || a.code === code.invalidPayload) {
      if (kind === "profile" && this.sendApart()) return this.sendDue();
      final = true;
      const what = kind;
      this.d.emit({ kind: "refused", what, code: a.code, reason: (_a = a.reason) != null ? _a : "" });
    }
    if (final) [up.failures, up.notBefore] = [0, 0];
    else {
      up.failures++;
      up.notBefore = Date.now() + backoff(up.failures, this.d.o.random()) * this.d.o.scale;
    }
    this.landed(kind, final).catch((error) => this.d.trouble(error));
    this.sendDue();
  }
  /** Makes a profile that was refused wait again, member by member; false if it has only one. */
  sendApart() {
    const s = this.d.state;
    if (!s.flying || isEmpty(first(s.flying)[1])) return false;
    this.d.apart = true;
    s.words.pending = then(s.flying, s.words.pending);
    s.flying = void 0;
    return true;
  }
  /** Ends the flight of a kind: what is final is forgotten, the rest waits again. */
  async landed(kind, final) {
    const s = this.d.state;
    if (kind === "profile") {
      if (!final && s.flying) s.words.pending = then(s.flying, s.words.pending);
      s.flying = void 0;
      if (final) await this.d.saveWords();
      return;
    }
    if (kind === "token") {
      const t = this.token;
      this.token = void 0;
      if (final && t && s.words.pending_tokens[t.channel] === t) {
        delete s.words.pending_tokens[t.channel];
        await this.d.saveWords();
      }
      return;
    }
    const n = this.d.flyingReceipts;
    this.d.flyingReceipts = 0;
    if (final && n > 0) {
      s.receipts = s.receipts.slice(n);
      await s.save("receipts");
    }
  }
};
var newUp = () => ({ id: 0, failures: 0, notBefore: 0 });

// src/life.ts
var Life = class {
  // the server to go to instead
  constructor(d) {
    this.d = d;
    this.over = false;
    this.stopping = false;
    this.ended = Promise.resolve();
    this.waitsForConsent = false;
    this.failures = 0;
    // in a row
    this.voids = 0;
    // refusals of the credentials in a row
    this.turn = 0;
  }
  begin() {
    this.ended = this.run().catch((error) => this.d.trouble(error)).then(() => {
      this.over = true;
    });
  }
  /** Ends it; fulfilled when nothing runs any more but a handler of the program that takes its time. */
  stop() {
    var _a, _b;
    this.stopping = true;
    (_a = this.session) == null ? void 0 : _a.leave();
    (_b = this.awaken) == null ? void 0 : _b.call(this);
    return this.ended;
  }
  /** There may be something to do or to send. */
  changed() {
    var _a, _b;
    if (this.waitsForConsent) (_a = this.awaken) == null ? void 0 : _a.call(this);
    (_b = this.session) == null ? void 0 : _b.sendDue();
  }
  hurry() {
    var _a;
    if (!this.waitsForConsent) (_a = this.awaken) == null ? void 0 : _a.call(this);
  }
  /** The identity is gone. */
  reset() {
    var _a, _b;
    (_a = this.session) == null ? void 0 : _a.fail(new ResetError("the registration was ended"));
    (_b = this.awaken) == null ? void 0 : _b.call(this);
  }
  async run() {
    while (!this.stopping) {
      const delay = await this.step();
      if (delay === void 0) {
        this.over = true;
        this.d.emit({ kind: "taken_over" });
        return;
      }
      if (delay > 0 && !this.stopping) await this.pause(delay * this.d.o.scale);
    }
  }
  pause(ms) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.awaken = void 0;
        resolve();
      };
      const timer = ms === Infinity ? void 0 : setTimeout(done, ms);
      this.awaken = done;
    });
  }
  /** Does the next thing; how long to wait after it in milliseconds, undefined: the life is over. */
  async step() {
    const d = this.d;
    const id = d.state.identity;
    if (id.ending) return this.attempt(() => d.tellEnd());
    if (!id.consent) {
      d.emit({ kind: "waiting", for: "consent" });
      this.waitsForConsent = true;
      while (!this.stopping && !d.state.identity.consent && !d.state.identity.ending) await this.pause(Infinity);
      this.waitsForConsent = false;
      return 0;
    }
    if (!id.registration_id) return this.attempt(() => register(d));
    return this.connect(id.registration_id);
  }
  async attempt(work) {
    try {
      await work();
      return 0;
    } catch (error) {
      return this.after(error);
    }
  }
  async connect(registrationID) {
    var _a, _b;
    const d = this.d;
    const addresses = this.usable((_a = d.state.identity.mqtt) != null ? _a : []);
    if (addresses.length === 0) {
      await forget(d, registrationID);
      return this.after(new RefusedError("connect", 0, "the server told no address this SDK can use"));
    }
    const address = (_b = this.other) != null ? _b : addresses[this.turn % addresses.length];
    this.other = void 0;
    const s = new Session(d, registrationID);
    this.session = s;
    const { lasted, why } = await s.run(address);
    this.session = void 0;
    if (lasted > 0) this.voids = 0;
    else this.turn++;
    if (lasted >= settled * d.o.scale) this.failures = 0;
    if (this.stopping || why instanceof ResetError) return 0;
    if (why instanceof DisconnectError) {
      if (why.answer.code === code.takenOver) return void 0;
      if (why.answer.code === code.useAnotherServer || why.answer.code === code.serverMoved) this.other = moved(address, why.answer.reference);
    }
    if (lasted > 0) d.emit({ kind: "disconnected", reason: why.message });
    if (why instanceof RefusedError && (why.code === code.badCredentials || why.code === code.identifierInvalid)) {
      await forget(d, registrationID);
      return ++this.voids === 1 ? 0 : this.failed(0);
    }
    return this.after(why);
  }
  /** The addresses to try in turn: those of the preferred transport, or all if there is none of it. */
  usable(addresses) {
    const schemes = this.d.o.on.transports.flatMap((t) => t.schemes);
    const known = addresses.filter((a) => schemes.includes(schemeOf(a)));
    const preferred = known.filter((a) => (/^wss?$/.test(schemeOf(a)) ? "ws" : "tcp") === this.d.o.transport);
    return preferred.length > 0 ? preferred : known;
  }
  /** How long to wait after an error, milliseconds. */
  after(error) {
    if (this.stopping) return 0;
    if (error instanceof RefusedError && (error.what === "register" || error.code === code.notAuthorized || error.code === 0)) {
      this.d.emit({ kind: "refused", what: error.what, code: error.code, reason: error.reason });
      this.failures++;
      return longBackoff(this.d.o.random());
    }
    this.d.trouble(error);
    return this.failed(error instanceof LaterError ? error.after : 0);
  }
  failed(retryAfter) {
    this.failures++;
    return backoff(this.failures, this.d.o.random(), retryAfter);
  }
};
var schemeOf = (address) => {
  var _a, _b;
  return (_b = (_a = /^([a-z]+):\/\//.exec(address)) == null ? void 0 : _a[1]) != null ? _b : "";
};
function moved(from, reference) {
  if (!reference || /[/ @]/.test(reference)) return void 0;
  return from.replace(/^([a-z]+:\/\/)[^/]*/, `$1${reference}`);
}

// src/device.ts
var TooMuchError = class extends Error {
  constructor() {
    super(...arguments);
    this.name = "TooMuchError";
  }
};
var maxFailures = 3;
var Device = class _Device {
  constructor(o) {
    this.o = o;
    /** @internal Receipts of the front of the list that are under way. */
    this.flyingReceipts = 0;
    /** @internal The pending profile is sent one member at a time, because it was refused as a whole. */
    this.apart = false;
    /** @internal The message being handled: the next waits for it, also over connections. */
    this.handling = Promise.resolve();
    this.ending = Promise.resolve();
    this.failures = /* @__PURE__ */ new Map();
    this.state = new State(o.storage);
  }
  /** Reads the storage. It causes no traffic; start does. */
  static async open(options, on) {
    const d = new _Device(settle(options, on));
    await d.state.load();
    return d;
  }
  /** The device's id, undefined while it has none. */
  get registrationID() {
    return this.state.identity.registration_id;
  }
  /** Connects as soon as there is consent, and stays connected. */
  start() {
    if (!this.life || this.life.over) {
      this.life = new Life(this);
      this.life.begin();
    }
  }
  /** Disconnects and stays offline; fulfilled when nothing of the SDK runs any more. */
  async stop() {
    var _a;
    await ((_a = this.life) == null ? void 0 : _a.stop());
  }
  /** The network may be back: a delay before the next attempt to connect is cut short. */
  networkUp() {
    var _a;
    (_a = this.life) == null ? void 0 : _a.hurry();
  }
  /** The device's owner agreed: to which version of the terms, and to which purposes. It is kept. */
  async consent(version2, purposes) {
    var _a, _b;
    const id = this.state.identity;
    id.consent = { version: version2, purposes: [...purposes] };
    (_a = id.install_id) != null ? _a : id.install_id = this.uuid();
    await this.state.save("identity");
    if (id.registration_id) await this.say({ consent: id.consent });
    (_b = this.life) == null ? void 0 : _b.changed();
  }
  uuid() {
    const b = this.o.on.random(16);
    b[6] = b[6] & 15 | 64;
    b[8] = b[8] & 63 | 128;
    const hex = Array.from(b, (v) => v.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  }
  /** Replaces all tags. */
  setTags(tags) {
    return this.say({ tags: { set: [...tags] } });
  }
  addTags(tags) {
    return this.say({ tags: { add: [...tags] } });
  }
  removeTags(tags) {
    return this.say({ tags: { remove: [...tags] } });
  }
  /** "" unbinds. signature is the backend's, where the app demands it. */
  setAlias(alias, signature) {
    return this.say(signature ? { alias, alias_signature: signature } : { alias });
  }
  /** Merges attributes; null deletes one. */
  setAttributes(attributes) {
    return this.say({ attributes: { ...attributes } });
  }
  /** An IANA name. */
  setTimezone(timezone) {
    return this.say({ timezone });
  }
  /** Whether the system lets the program show notifications. */
  setNotificationsEnabled(enabled) {
    return this.say({ notifications_enabled: enabled });
  }
  /** While push is off, messages that come are acknowledged and not handed over. */
  setPushEnabled(enabled) {
    return this.say({ push_enabled: enabled });
  }
  /** Hours in which messages are handed over as silent; null clears them. */
  async setSilence(silence) {
    checkSilence(silence);
    await this.say({ silence });
  }
  async say(p) {
    var _a, _b, _c, _d;
    const w = this.state.words;
    const [said, pending] = [remembered(then(w.said, p)), then(w.pending, p)];
    const { set, add, remove } = (_a = pending.tags) != null ? _a : {};
    if (((_b = set != null ? set : add) != null ? _b : []).length + (remove != null ? remove : []).length > maxTags || Object.keys((_c = said.attributes) != null ? _c : {}).length > maxMembers) {
      throw new TooMuchError("too much waits to be sent");
    }
    [w.said, w.pending] = [said, pending];
    if (p.push_enabled !== void 0) w.off = !p.push_enabled;
    if (p.silence !== void 0) w.silence = p.silence;
    await this.saveWords();
    (_d = this.life) == null ? void 0 : _d.changed();
  }
  /** @internal Stores the words; what is under way is still to be kept. */
  saveWords() {
    const s = this.state;
    return s.save("profile", () => s.flying ? { ...s.words, pending: then(s.flying, s.words.pending) } : s.words);
  }
  /** Tells a vendor's token; what the server has is not sent again. */
  async putToken(token) {
    var _a;
    const w = this.state.words;
    const t = { channel: token.channel, token: token.token, ...token.environment ? { environment: token.environment } : {} };
    const [known, waits] = [w.tokens[t.channel], w.pending_tokens[t.channel]];
    if (known && sameToken(known, t) && (!waits || sameToken(waits, t))) return;
    if (!known && Object.keys(w.tokens).length >= maxMembers) throw new TooMuchError("too many channels");
    w.tokens[t.channel] = w.pending_tokens[t.channel] = t;
    await this.saveWords();
    (_a = this.life) == null ? void 0 : _a.changed();
  }
  /** Reports that a message was shown. */
  displayed(id) {
    return this.report(id, "displayed");
  }
  /** Reports that the owner opened a message. */
  clicked(id) {
    return this.report(id, "clicked");
  }
  /** Reports that the owner put a message away. */
  dismissed(id) {
    return this.report(id, "dismissed");
  }
  /** @internal at: by the server's clock, now if absent. */
  async report(id, event, at) {
    var _a;
    const s = this.state;
    if (s.receipts.some((r) => r.id === id && r.event === event)) return;
    const list = [...s.receipts, { id, event, at: at != null ? at : this.serverNow() }];
    const dropped = Math.max(0, list.length - maxReceipts);
    s.receipts = list.slice(dropped);
    this.flyingReceipts = Math.max(0, this.flyingReceipts - dropped);
    await s.save("receipts");
    (_a = this.life) == null ? void 0 : _a.changed();
  }
  /** @internal The time by the server's clock, Unix milliseconds. */
  serverNow() {
    var _a;
    return Math.round(this.o.now() + ((_a = this.state.identity.offset) != null ? _a : 0));
  }
  /** @internal Learns the server's clock. */
  async setOffset(serverTime) {
    var _a;
    const offset = serverTime - this.o.now();
    if (!(serverTime > 0) || Math.abs(offset - ((_a = this.state.identity.offset) != null ? _a : 0)) < 1e3) return;
    this.state.identity.offset = offset;
    await this.state.save("identity");
  }
  /**
   * Ends the registration: everything is forgotten at once, the consent too, and the server is told. If it cannot be reached
   * the promise is rejected, and a started device tells it before anything else.
   */
  async end() {
    var _a;
    const s = this.state;
    const { registration_id, secret, ending } = s.identity;
    s.identity = {};
    if (registration_id && secret) s.identity.ending = { registration_id, secret };
    else if (ending) s.identity.ending = ending;
    [s.words, s.receipts, s.seen, s.flying, this.flyingReceipts] = [noWords(), [], { messages: [], gone: [] }, void 0, 0];
    (_a = this.life) == null ? void 0 : _a.reset();
    await Promise.all([s.save("identity"), ...documents.filter((name) => name !== "identity").map((name) => s.remove(name))]);
    await this.tellEnd();
  }
  /** @internal Tells the server of a registration that ended here, if there is one. */
  tellEnd() {
    const done = this.ending.then(() => tellEnd(this));
    this.ending = done.catch(() => void 0);
    return done.then(() => {
      var _a;
      return (_a = this.life) == null ? void 0 : _a.changed();
    });
  }
  /** @internal */
  emit(e) {
    var _a, _b;
    try {
      (_b = (_a = this.o).onEvent) == null ? void 0 : _b.call(_a, e);
    } catch (e2) {
    }
  }
  /** @internal */
  trouble(error) {
    this.emit({ kind: "error", error: error instanceof Error ? error : new Error(String(error)) });
  }
  /** @internal Hands a message over and remembers it; false: it is not to be acknowledged. */
  async handle(f) {
    var _a, _b, _c, _d, _e, _f, _g;
    const install = this.state.identity.install_id;
    switch (this.judge(f)) {
      case "known":
        return true;
      case "removal":
        await ((_b = (_a = this.o).onWithdraw) == null ? void 0 : _b.call(_a, f.withdraw));
        break;
      case "show": {
        if (await ((_d = (_c = this.o.on).known) == null ? void 0 : _d.call(_c, keyOf(f)))) break;
        const { withdraw: _, ...m } = f;
        try {
          await ((_f = (_e = this.o).onMessage) == null ? void 0 : _f.call(_e, m));
        } catch (error) {
          const n = ((_g = this.failures.get(keyOf(f))) != null ? _g : 0) + 1;
          if (this.failures.size >= maxSeen) this.failures.clear();
          this.failures.set(keyOf(f), n);
          if (n < maxFailures) {
            this.trouble(error);
            return false;
          }
        }
        break;
      }
      case "drop":
        break;
    }
    if (this.state.identity.install_id !== install) return true;
    this.failures.delete(keyOf(f));
    const seen = this.state.seen;
    seen.messages = bounded(seen.messages, keyOf(f), maxSeen);
    for (const id of [f.withdraw, f.override]) if (id) seen.gone = bounded(seen.gone, id, maxSeen);
    await this.state.save("seen");
    return true;
  }
  /** Decides about a message and sets silent. */
  judge(f) {
    const { seen, words } = this.state;
    if (seen.messages.includes(keyOf(f))) return "known";
    if (f.type === "withdraw") return "removal";
    if (seen.gone.includes(f.id) || words.off || f.expires_at && f.expires_at <= this.serverNow()) return "drop";
    f.silent = covers(words.silence, new Date(this.o.now()));
    return "show";
  }
  /** @internal Takes the next change of the profile into flight. */
  nextProfile() {
    const { words } = this.state;
    if (isEmpty(words.pending)) {
      this.apart = false;
      return void 0;
    }
    const [one, rest] = this.apart ? first(words.pending) : [words.pending, {}];
    [this.state.flying, words.pending] = [one, rest];
    return one;
  }
  /** @internal What was under way waits again. */
  grounded() {
    const s = this.state;
    if (s.flying) s.words.pending = then(s.flying, s.words.pending);
    s.flying = void 0;
    this.flyingReceipts = 0;
  }
};
var sameToken = (a, b) => a.token === b.token && (a.environment || "production") === (b.environment || "production");

// src/storage.ts
var MemoryStorage = class {
  constructor() {
    this.documents = /* @__PURE__ */ new Map();
  }
  async get(name) {
    return this.documents.get(name);
  }
  async put(name, document) {
    this.documents.set(name, document);
  }
  async remove(name) {
    this.documents.delete(name);
  }
};

// src/websocket.ts
var WebSocketTransport = class {
  constructor(socket) {
    this.socket = socket;
    this.schemes = ["ws", "wss"];
  }
  open(address, events) {
    const ws = new this.socket(address, "mqtt");
    ws.binaryType = "arraybuffer";
    let over = false;
    const close = (why) => {
      if (over) return;
      over = true;
      events.closed(new Error(why));
    };
    ws.onopen = () => events.opened();
    ws.onmessage = (e) => {
      if (!over && e.data instanceof ArrayBuffer) events.received(new Uint8Array(e.data));
    };
    ws.onerror = () => close("the WebSocket failed");
    ws.onclose = (e) => close(`the WebSocket was closed: ${e.code} ${e.reason}`.trim());
    return {
      send: (bytes) => ws.send(bytes),
      close: () => {
        ws.close();
        close("closed");
      }
    };
  }
};

// src/miniprogram/index.ts
var timeout = 3e4;
function openDevice(wx, options) {
  var _a;
  const storage = (_a = options.storage) != null ? _a : new MiniProgramStorage(wx);
  const opened = Device.open({ ...options, storage }, { transports: [new MiniProgramTransport(wx)], request: (ask) => request(wx, ask), random });
  return opened.then((device) => {
    var _a2;
    (_a2 = wx.onNetworkStatusChange) == null ? void 0 : _a2.call(wx, (r) => {
      if (r.isConnected) device.networkUp();
    });
    return device;
  });
}
function random(n) {
  return Uint8Array.from({ length: n }, () => Math.floor(Math.random() * 256));
}
var MiniProgramTransport = class {
  constructor(wx) {
    this.wx = wx;
    this.schemes = ["ws", "wss"];
  }
  open(address, events) {
    let over = false;
    const close = (why) => {
      if (over) return;
      over = true;
      events.closed(new Error(why));
    };
    const task = this.wx.connectSocket({ url: address, protocols: ["mqtt"], complete: () => void 0, fail: (e) => {
      var _a;
      return close((_a = e.errMsg) != null ? _a : "no socket");
    } });
    task.onOpen(() => {
      if (!over) events.opened();
    });
    task.onMessage((m) => {
      if (!over && m.data instanceof ArrayBuffer) events.received(new Uint8Array(m.data));
    });
    task.onError((e) => {
      var _a;
      return close((_a = e.errMsg) != null ? _a : "the socket failed");
    });
    task.onClose((e) => {
      var _a, _b;
      return close(`the socket was closed: ${(_a = e == null ? void 0 : e.code) != null ? _a : ""} ${(_b = e == null ? void 0 : e.reason) != null ? _b : ""}`.trim());
    });
    return {
      send: (bytes) => task.send({ data: bytes.slice().buffer }),
      close: () => {
        task.close({});
        close("closed");
      }
    };
  }
};
function request(wx, ask) {
  return new Promise((resolve, reject) => {
    wx.request({
      url: ask.url,
      method: ask.method,
      header: ask.headers,
      ...ask.body !== void 0 ? { data: ask.body } : {},
      dataType: "text",
      // what is not "json" is left as it came
      responseType: "text",
      timeout,
      success: (r) => {
        var _a, _b;
        const name = Object.keys((_a = r.header) != null ? _a : {}).find((k) => k.toLowerCase() === "retry-after");
        const body = typeof r.data === "string" ? r.data : JSON.stringify((_b = r.data) != null ? _b : "");
        resolve({ status: r.statusCode, body, ...name ? { retryAfter: String(r.header[name]) } : {} });
      },
      fail: (e) => {
        var _a;
        return reject(new Error((_a = e.errMsg) != null ? _a : "no answer"));
      }
    });
  });
}
var MiniProgramStorage = class {
  constructor(wx, prefix = "borealis/") {
    this.wx = wx;
    this.prefix = prefix;
  }
  get(name) {
    return new Promise((resolve) => {
      this.wx.getStorage({ key: this.prefix + name, success: (r) => resolve(typeof r.data === "string" ? r.data : void 0), fail: () => resolve(void 0) });
    });
  }
  put(name, document) {
    return new Promise((resolve, reject) => {
      this.wx.setStorage({ key: this.prefix + name, data: document, success: resolve, fail: (e) => {
        var _a;
        return reject(new Error((_a = e.errMsg) != null ? _a : "not stored"));
      } });
    });
  }
  remove(name) {
    return new Promise((resolve) => this.wx.removeStorage({ key: this.prefix + name, complete: resolve }));
  }
};
