import { Life } from "./life.js";
import { checkSilence, covers, keyOf, type Frame, type Silence } from "./message.js";
import { settle, type Event, type Options, type Settled } from "./options.js";
import { first, isEmpty, remembered, then, type Profile, type Token } from "./profile.js";
import { tellEnd } from "./register.js";
import type { Platform } from "./seams.js";
import { bounded, documents, maxMembers, maxReceipts, maxSeen, maxTags, noWords, State, type Receipt } from "./state.js";

/** Too much waits to be sent; the call changed nothing. */
export class TooMuchError extends Error {
  override readonly name = "TooMuchError";
}

/** How often a message is handed over that the program does not take. */
const maxFailures = 3;

/** What to do with a message. */
type Verdict = "show" | "drop" | "known" | "removal";

/** A device. Every call may be made at any time; its promise is fulfilled when what it says is stored. */
export class Device {
  /** @internal */ readonly state: State;
  /** @internal Receipts of the front of the list that are under way. */
  flyingReceipts = 0;
  /** @internal The pending profile is sent one member at a time, because it was refused as a whole. */
  apart = false;
  /** @internal The message being handled: the next waits for it, also over connections. */
  handling: Promise<void> = Promise.resolve();
  private life: Life | undefined;
  private ending: Promise<void> = Promise.resolve();
  private readonly failures = new Map<string, number>();

  private constructor(
    /** @internal */ readonly o: Settled,
  ) {
    this.state = new State(o.storage);
  }

  /** Reads the storage. It causes no traffic; start does. */
  static async open(options: Options, on: Platform): Promise<Device> {
    const d = new Device(settle(options, on));
    await d.state.load();
    return d;
  }

  /** The device's id, undefined while it has none. */
  get registrationID(): string | undefined {
    return this.state.identity.registration_id;
  }

  /** Connects as soon as there is consent, and stays connected. */
  start(): void {
    if (!this.life || this.life.over) {
      this.life = new Life(this);
      this.life.begin();
    }
  }

  /** Disconnects and stays offline; fulfilled when nothing of the SDK runs any more. */
  async stop(): Promise<void> {
    await this.life?.stop();
  }

  /** The network may be back: a delay before the next attempt to connect is cut short. */
  networkUp(): void {
    this.life?.hurry();
  }

  /** The device's owner agreed: to which version of the terms, and to which purposes. It is kept. */
  async consent(version: string, purposes: string[]): Promise<void> {
    const id = this.state.identity;
    id.consent = { version, purposes: [...purposes] };
    id.install_id ??= this.uuid();
    await this.state.save("identity");
    if (id.registration_id) await this.say({ consent: id.consent });
    this.life?.changed();
  }

  private uuid(): string {
    const b = this.o.on.random(16);
    b[6] = (b[6]! & 0x0f) | 0x40;
    b[8] = (b[8]! & 0x3f) | 0x80;
    const hex = Array.from(b, (v) => v.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  }

  /** Replaces all tags. */
  setTags(tags: string[]): Promise<void> {
    return this.say({ tags: { set: [...tags] } });
  }
  addTags(tags: string[]): Promise<void> {
    return this.say({ tags: { add: [...tags] } });
  }
  removeTags(tags: string[]): Promise<void> {
    return this.say({ tags: { remove: [...tags] } });
  }
  /** "" unbinds. signature is the backend's, where the app demands it. */
  setAlias(alias: string, signature?: string): Promise<void> {
    return this.say(signature ? { alias, alias_signature: signature } : { alias });
  }
  /** Merges attributes; null deletes one. */
  setAttributes(attributes: Record<string, string | null>): Promise<void> {
    return this.say({ attributes: { ...attributes } });
  }
  /** An IANA name. */
  setTimezone(timezone: string): Promise<void> {
    return this.say({ timezone });
  }
  /** Whether the system lets the program show notifications. */
  setNotificationsEnabled(enabled: boolean): Promise<void> {
    return this.say({ notifications_enabled: enabled });
  }
  /** While push is off, messages that come are acknowledged and not handed over. */
  setPushEnabled(enabled: boolean): Promise<void> {
    return this.say({ push_enabled: enabled });
  }
  /** Hours in which messages are handed over as silent; null clears them. */
  async setSilence(silence: Silence | null): Promise<void> {
    checkSilence(silence);
    await this.say({ silence });
  }

  private async say(p: Profile): Promise<void> {
    const w = this.state.words;
    const [said, pending] = [remembered(then(w.said, p)), then(w.pending, p)];
    const { set, add, remove } = pending.tags ?? {};
    if ((set ?? add ?? []).length + (remove ?? []).length > maxTags || Object.keys(said.attributes ?? {}).length > maxMembers) {
      throw new TooMuchError("too much waits to be sent");
    }
    [w.said, w.pending] = [said, pending];
    if (p.push_enabled !== undefined) w.off = !p.push_enabled;
    if (p.silence !== undefined) w.silence = p.silence;
    await this.saveWords();
    this.life?.changed();
  }

  /** @internal Stores the words; what is under way is still to be kept. */
  saveWords(): Promise<void> {
    const s = this.state;
    return s.save("profile", () => (s.flying ? { ...s.words, pending: then(s.flying, s.words.pending) } : s.words));
  }

  /** Tells a vendor's token; what the server has is not sent again. */
  async putToken(token: Token): Promise<void> {
    const w = this.state.words;
    const t: Token = { channel: token.channel, token: token.token, ...(token.environment ? { environment: token.environment } : {}) };
    const [known, waits] = [w.tokens[t.channel], w.pending_tokens[t.channel]];
    if (known && sameToken(known, t) && (!waits || sameToken(waits, t))) return;
    if (!known && Object.keys(w.tokens).length >= maxMembers) throw new TooMuchError("too many channels");
    w.tokens[t.channel] = w.pending_tokens[t.channel] = t;
    await this.saveWords();
    this.life?.changed();
  }

  /** Reports that a message was shown. */
  displayed(id: string): Promise<void> {
    return this.report(id, "displayed");
  }
  /** Reports that the owner opened a message. */
  clicked(id: string): Promise<void> {
    return this.report(id, "clicked");
  }
  /** Reports that the owner put a message away. */
  dismissed(id: string): Promise<void> {
    return this.report(id, "dismissed");
  }

  /** @internal at: by the server's clock, now if absent. */
  async report(id: string, event: Receipt["event"], at?: number): Promise<void> {
    const s = this.state;
    if (s.receipts.some((r) => r.id === id && r.event === event)) return;
    const list = [...s.receipts, { id, event, at: at ?? this.serverNow() }];
    const dropped = Math.max(0, list.length - maxReceipts);
    s.receipts = list.slice(dropped);
    this.flyingReceipts = Math.max(0, this.flyingReceipts - dropped);
    await s.save("receipts");
    this.life?.changed();
  }

  /** @internal The time by the server's clock, Unix milliseconds. */
  serverNow(): number {
    return Math.round(this.o.now() + (this.state.identity.offset ?? 0));
  }

  /** @internal Learns the server's clock. */
  async setOffset(serverTime: number): Promise<void> {
    const offset = serverTime - this.o.now();
    if (!(serverTime > 0) || Math.abs(offset - (this.state.identity.offset ?? 0)) < 1000) return; // not worth a write
    this.state.identity.offset = offset;
    await this.state.save("identity");
  }

  /**
   * Ends the registration: everything is forgotten at once, the consent too, and the server is told. If it cannot be reached
   * the promise is rejected, and a started device tells it before anything else.
   */
  async end(): Promise<void> {
    const s = this.state;
    const { registration_id, secret, ending } = s.identity;
    s.identity = {};
    if (registration_id && secret) s.identity.ending = { registration_id, secret };
    else if (ending) s.identity.ending = ending;
    [s.words, s.receipts, s.seen, s.flying, this.flyingReceipts] = [noWords(), [], { messages: [], gone: [] }, undefined, 0];
    this.life?.reset();
    await Promise.all([s.save("identity"), ...documents.filter((name) => name !== "identity").map((name) => s.remove(name))]);
    await this.tellEnd();
  }

  /** @internal Tells the server of a registration that ended here, if there is one. */
  tellEnd(): Promise<void> {
    const done = this.ending.then(() => tellEnd(this));
    this.ending = done.catch(() => undefined);
    return done.then(() => this.life?.changed());
  }

  /** @internal */
  emit(e: Event): void {
    try {
      this.o.onEvent?.(e);
    } catch {
      // An observer cannot break what it observes.
    }
  }

  /** @internal */
  trouble(error: unknown): void {
    this.emit({ kind: "error", error: error instanceof Error ? error : new Error(String(error)) });
  }

  /** @internal Hands a message over and remembers it; false: it is not to be acknowledged. */
  async handle(f: Frame): Promise<boolean> {
    const install = this.state.identity.install_id;
    switch (this.judge(f)) {
      case "known":
        return true;
      case "removal":
        await this.o.onWithdraw?.(f.withdraw!);
        break;
      case "show": {
        if (await this.o.on.known?.(keyOf(f))) break;
        const { withdraw: _, ...m } = f;
        try {
          await this.o.onMessage?.(m);
        } catch (error) {
          const n = (this.failures.get(keyOf(f)) ?? 0) + 1;
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
    if (this.state.identity.install_id !== install) return true; // the device has ended meanwhile
    this.failures.delete(keyOf(f));
    const seen = this.state.seen;
    seen.messages = bounded(seen.messages, keyOf(f), maxSeen);
    for (const id of [f.withdraw, f.override]) if (id) seen.gone = bounded(seen.gone, id, maxSeen);
    // In memory it stays even if this fails: this life does not show it again, and acknowledges it when it comes again.
    await this.state.save("seen");
    return true;
  }

  /** Decides about a message and sets silent. */
  private judge(f: Frame): Verdict {
    const { seen, words } = this.state;
    if (seen.messages.includes(keyOf(f))) return "known";
    if (f.type === "withdraw") return "removal";
    if (seen.gone.includes(f.id) || words.off || (f.expires_at && f.expires_at <= this.serverNow())) return "drop";
    f.silent = covers(words.silence, new Date(this.o.now()));
    return "show";
  }

  /** @internal Takes the next change of the profile into flight. */
  nextProfile(): Profile | undefined {
    const { words } = this.state;
    if (isEmpty(words.pending)) {
      this.apart = false;
      return undefined;
    }
    const [one, rest] = this.apart ? first(words.pending) : [words.pending, {}];
    [this.state.flying, words.pending] = [one, rest];
    return one;
  }

  /** @internal What was under way waits again. */
  grounded(): void {
    const s = this.state;
    if (s.flying) s.words.pending = then(s.flying, s.words.pending);
    s.flying = undefined;
    this.flyingReceipts = 0;
  }
}

const sameToken = (a: Token, b: Token): boolean => a.token === b.token && (a.environment || "production") === (b.environment || "production");
