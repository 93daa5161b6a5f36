import { backoff } from "./backoff.js";
import { schemeOf } from "./life.js";
import { parseFrame } from "./message.js";
import { code, connectPacket, disconnectPacket, MalformedError, PacketReader, packetType, parseAnswer, parsePublish, pingPacket, pubackPacket, publishPacket, } from "./mqtt.js";
import { RefusedError } from "./options.js";
import { first, isEmpty, then } from "./profile.js";
import { batchSize } from "./state.js";
/** How long opening a connection may take, until CONNACK; milliseconds. */
const connectTimeout = 20000;
/** How long receipts wait for others; milliseconds. */
const lingering = 1000;
/** A DISCONNECT of the server, or a CONNACK that names another one. */
export class DisconnectError extends Error {
    constructor(answer) {
        super(`the server ended the connection: 0x${answer.code.toString(16)} ${answer.reason ?? ""}`.trim());
        this.answer = answer;
        this.name = "DisconnectError";
    }
}
/** The identity of the connection is gone. */
export class ResetError extends Error {
    constructor() {
        super(...arguments);
        this.name = "ResetError";
    }
}
const kinds = ["profile", "token", "events"];
const topics = { profile: "up/profile", token: "up/tokens", events: "up/events" };
/** One connection from its CONNECT to its end. */
export class Session {
    constructor(d, registrationID) {
        this.d = d;
        this.registrationID = registrationID;
        this.reader = new PacketReader();
        this.accepted = false;
        this.over = false;
        this.began = 0;
        this.heard = 0;
        this.nextID = 0;
        this.due = 0; // when the receipts that wait are to be sent; 0: none wait
        this.ups = { profile: newUp(), token: newUp(), events: newUp() };
        this.queue = [];
        this.working = false;
        this.finish = () => undefined;
    }
    /** Connects and serves the connection until it ends. lasted, milliseconds, is 0 if the server did not accept it. */
    async run(address) {
        const ended = new Promise((resolve) => (this.finish = resolve));
        this.limit = setTimeout(() => this.fail(new Error("no answer in time")), connectTimeout);
        const transport = this.d.o.on.transports.find((t) => t.schemes.includes(schemeOf(address)));
        try {
            this.channel = transport.open(address, {
                opened: () => this.greet(),
                received: (bytes) => this.received(bytes),
                closed: (why) => this.fail(why),
            });
        }
        catch (error) {
            this.fail(error instanceof Error ? error : new Error(String(error)));
        }
        const why = await ended;
        return { lasted: this.accepted ? Math.max(1, Date.now() - this.began) : 0, why };
    }
    /** Ends the connection; the first reason counts. */
    fail(why) {
        if (this.over)
            return;
        this.over = true;
        clearTimeout(this.limit);
        clearTimeout(this.timer);
        clearInterval(this.pings);
        this.queue.length = 0; // they come again
        if (!(why instanceof ResetError))
            this.d.grounded();
        this.channel?.close();
        this.finish(why);
    }
    /** Says good-bye and ends the connection. */
    leave() {
        if (this.accepted && !this.over)
            this.send(disconnectPacket());
        this.fail(new Error("stopped"));
    }
    send(bytes) {
        if (this.over)
            return;
        try {
            this.channel?.send(bytes);
        }
        catch (error) {
            this.fail(error instanceof Error ? error : new Error(String(error)));
        }
    }
    greet() {
        const { secret, keep_alive } = this.d.state.identity;
        this.send(connectPacket(this.registrationID, this.d.o.appKey, secret ?? "", Math.min(keep_alive ?? 0, 65535)));
    }
    received(bytes) {
        this.heard = Date.now();
        try {
            for (const p of this.reader.push(bytes)) {
                if (this.over)
                    return;
                this.take(p);
            }
        }
        catch (error) {
            this.fail(error instanceof Error ? error : new Error(String(error)));
        }
    }
    take(p) {
        if (!this.accepted) {
            if (p.type !== packetType.connack)
                throw new MalformedError(`packet ${p.type} instead of CONNACK`);
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
        if (a.code === code.useAnotherServer || a.code === code.serverMoved)
            return this.fail(new DisconnectError(a));
        if (a.code !== 0)
            return this.fail(new RefusedError("connect", a.code, a.reason));
        this.accepted = true;
        this.began = Date.now();
        clearTimeout(this.limit);
        const time = Number(a.user["server_time"] ?? 0);
        this.d.setOffset(time).catch((error) => this.d.trouble(error));
        const keepAlive = (a.keepAlive ?? this.d.state.identity.keep_alive ?? 0) * 1000;
        if (keepAlive > 0)
            this.keepAlive(keepAlive);
        this.d.emit({ kind: "connected" });
        this.sendDue();
    }
    keepAlive(every) {
        let pinged = Date.now();
        this.pings = setInterval(() => {
            const now = Date.now();
            if (now - this.heard >= every * 1.5)
                return this.fail(new Error("the server is silent"));
            if (now - pinged >= every) {
                pinged = now;
                this.send(pingPacket());
            }
        }, every / 4);
    }
    /** Handles messages one after another. */
    async work() {
        if (this.working)
            return;
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
        if (this.over)
            return; // it comes again
        let acknowledge = true;
        if (p.topic === "push") {
            const frame = parseFrame(p.payload);
            try {
                if (typeof frame === "string")
                    this.d.trouble(new Error(`a message was ignored: ${frame}`));
                else
                    acknowledge = await this.d.handle(frame);
            }
            catch (error) {
                acknowledge = false;
                this.d.trouble(error);
            }
        }
        if (acknowledge && p.id !== 0)
            this.send(pubackPacket(p.id));
    }
    /** Sends what may be sent now. */
    sendDue() {
        if (!this.accepted || this.over || this.d.registrationID !== this.registrationID)
            return;
        clearTimeout(this.timer);
        let wait = Infinity;
        for (const kind of kinds) {
            const up = this.ups[kind];
            if (up.id !== 0)
                continue;
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
            this.nextID = (this.nextID % 65535) + 1;
            up.id = this.nextID;
            this.send(publishPacket(topics[kind], up.id, JSON.stringify(body)));
        }
        if (wait !== Infinity && !this.over)
            this.timer = setTimeout(() => this.sendDue(), wait);
    }
    /** Takes the next of a kind into flight; a number says how many milliseconds until there may be one. */
    next(kind) {
        const { words, receipts } = this.d.state;
        if (kind === "profile")
            return this.d.nextProfile() ?? Infinity;
        if (kind === "token") {
            this.token = Object.values(words.pending_tokens)[0];
            return this.token ?? Infinity;
        }
        const n = Math.min(receipts.length, batchSize);
        if (n === 0) {
            this.due = 0;
            return Infinity;
        }
        if (this.due === 0)
            this.due = Date.now() + lingering * this.d.o.scale;
        const left = this.due - Date.now();
        if (left > 0 && n < batchSize)
            return left;
        this.due = 0;
        this.d.flyingReceipts = n;
        return { events: receipts.slice(0, n) };
    }
    acknowledged(a) {
        const kind = kinds.find((k) => this.ups[k].id === a.id && a.id !== 0);
        if (!kind || this.d.registrationID !== this.registrationID)
            return;
        const up = this.ups[kind];
        up.id = 0;
        let final = a.code < 0x80;
        if (a.code === code.notAuthorized || a.code === code.quota || a.code === code.invalidPayload) {
            if (kind === "profile" && this.sendApart())
                return this.sendDue();
            final = true;
            const what = kind;
            this.d.emit({ kind: "refused", what, code: a.code, reason: a.reason ?? "" });
        }
        if (final)
            [up.failures, up.notBefore] = [0, 0];
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
        if (!s.flying || isEmpty(first(s.flying)[1]))
            return false;
        this.d.apart = true;
        s.words.pending = then(s.flying, s.words.pending);
        s.flying = undefined;
        return true;
    }
    /** Ends the flight of a kind: what is final is forgotten, the rest waits again. */
    async landed(kind, final) {
        const s = this.d.state;
        if (kind === "profile") {
            if (!final && s.flying)
                s.words.pending = then(s.flying, s.words.pending);
            s.flying = undefined;
            if (final)
                await this.d.saveWords();
            return;
        }
        if (kind === "token") {
            const t = this.token;
            this.token = undefined;
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
}
const newUp = () => ({ id: 0, failures: 0, notBefore: 0 });
