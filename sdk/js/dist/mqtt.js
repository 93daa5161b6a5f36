import { decodeUTF8, encodeUTF8 } from "./text.js";
// MQTT 5 as far as a device needs it: CONNECT and what answers it, PUBLISH and PUBACK at QoS 0 and 1, PINGREQ and
// DISCONNECT.
export const packetType = { connect: 1, connack: 2, publish: 3, puback: 4, pingreq: 12, pingresp: 13, disconnect: 14 };
export const code = {
    identifierInvalid: 0x85,
    badCredentials: 0x86,
    notAuthorized: 0x87,
    takenOver: 0x8e,
    quota: 0x97,
    invalidPayload: 0x99,
    useAnotherServer: 0x9c,
    serverMoved: 0x9d,
};
const maxPacket = 256 << 10; // bytes of a packet from the server
export const receiveMaximum = 32;
/** Bytes that are not MQTT. */
export class MalformedError extends Error {
    constructor() {
        super(...arguments);
        this.name = "MalformedError";
    }
}
/** Cuts packets off a stream of bytes. */
export class PacketReader {
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
        for (let p = this.next(); p; p = this.next())
            out.push(p);
        return out;
    }
    next() {
        const b = this.buffer;
        let size = 0;
        let at = 1;
        for (;; at++) {
            if (at >= b.length)
                return undefined;
            size |= (b[at] & 0x7f) << (7 * (at - 1));
            if (!(b[at] & 0x80))
                break;
            if (at === 4)
                throw new MalformedError("length of more than four bytes");
        }
        if (size > maxPacket)
            throw new MalformedError(`packet of ${size} bytes`);
        at++;
        if (b.length < at + size)
            return undefined;
        this.buffer = b.subarray(at + size);
        return { type: b[0] >> 4, flags: b[0] & 15, body: b.subarray(at, at + size) };
    }
}
/** Bytes being put together. */
class Writer {
    constructor() {
        this.bytes = [];
    }
    byte(...v) {
        this.bytes.push(...v);
        return this;
    }
    uint16(v) {
        return this.byte((v >> 8) & 255, v & 255);
    }
    uint32(v) {
        return this.uint16(v >>> 16).uint16(v & 0xffff);
    }
    varint(v) {
        for (; v >= 0x80; v >>= 7)
            this.byte((v & 0x7f) | 0x80);
        return this.byte(v);
    }
    raw(v) {
        for (let i = 0; i < v.length; i++)
            this.bytes.push(v[i]);
        return this;
    }
    text(v) {
        const bytes = encodeUTF8(v);
        return this.uint16(bytes.length).raw(bytes);
    }
    packet(first) {
        return Uint8Array.from(new Writer().byte(first).varint(this.bytes.length).raw(this.bytes).bytes);
    }
}
/** Asks for a connection; keepAlive in seconds. */
export function connectPacket(clientID, user, password, keepAlive) {
    const properties = new Writer().byte(0x11).uint32(0xffffffff).byte(0x21).uint16(receiveMaximum).byte(0x27).uint32(maxPacket).bytes;
    const w = new Writer().text("MQTT").byte(5, 0xc0).uint16(keepAlive).varint(properties.length).raw(properties);
    return w.text(clientID).text(user).text(password).packet(packetType.connect << 4);
}
export function publishPacket(topic, id, payload) {
    return new Writer().text(topic).uint16(id).byte(0).raw(encodeUTF8(payload)).packet((packetType.publish << 4) | 2);
}
export const pubackPacket = (id) => new Writer().uint16(id).packet(packetType.puback << 4);
export const pingPacket = () => Uint8Array.of(packetType.pingreq << 4, 0);
export const disconnectPacket = () => Uint8Array.of(packetType.disconnect << 4, 0);
/** Bytes being taken apart; throws MalformedError where they end too soon. */
class Reader {
    constructor(bytes) {
        this.bytes = bytes;
        this.at = 0;
    }
    get left() {
        return this.bytes.length - this.at;
    }
    take(n) {
        if (n > this.left)
            throw new MalformedError("packet too short");
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
        if (v === undefined)
            throw new MalformedError("text that is not UTF-8");
        return v;
    }
    varint() {
        let n = 0;
        for (let i = 0; i < 4; i++) {
            const b = this.byte();
            n |= (b & 0x7f) << (7 * i);
            if (!(b & 0x80))
                return n;
        }
        throw new MalformedError("length of more than four bytes");
    }
    properties() {
        const out = { user: {} };
        if (this.left === 0)
            return out; // packets may end before them
        const r = new Reader(this.take(this.varint()));
        while (r.left > 0) {
            const id = r.byte();
            if (id === 0x13)
                out.keepAlive = r.uint16();
            else if (id === 0x1c)
                out.reference = r.text();
            else if (id === 0x1f)
                out.reason = r.text();
            else if (id === 0x26) {
                const name = r.text();
                out.user[name] = r.text();
            }
            else if ([0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a].includes(id))
                r.take(1);
            else if ([0x21, 0x22, 0x23].includes(id))
                r.take(2);
            else if ([0x02, 0x11, 0x18, 0x27].includes(id))
                r.take(4);
            else if (id === 0x0b)
                r.varint();
            else if ([0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1a].includes(id))
                r.take(r.uint16());
            else
                throw new MalformedError(`unknown property ${id}`);
        }
        return out;
    }
}
export function parseAnswer(p) {
    const r = new Reader(p.body);
    let id = 0;
    if (p.type === packetType.connack)
        r.byte(); // session present
    if (p.type === packetType.puback)
        id = r.uint16();
    const c = p.type === packetType.connack || r.left > 0 ? r.byte() : 0;
    return { id, code: c, ...r.properties() };
}
export function parsePublish(p) {
    const r = new Reader(p.body);
    const topic = r.text();
    const qos = (p.flags >> 1) & 3;
    if (qos > 1)
        throw new MalformedError("QoS that nobody asked for");
    const id = qos === 1 ? r.uint16() : 0;
    if (qos === 1 && id === 0)
        throw new MalformedError("packet identifier 0");
    if (r.left === 0)
        throw new MalformedError("packet too short");
    r.properties();
    return { topic, id, payload: r.take(r.left) };
}
