import { backoff, longBackoff, settled } from "./backoff.js";
import type { Device } from "./device.js";
import { code } from "./mqtt.js";
import { LaterError, RefusedError } from "./options.js";
import { forget, register } from "./register.js";
import { DisconnectError, ResetError, Session } from "./session.js";

/** One life of a device: from start to stop. */
export class Life {
  over = false;
  private stopping = false;
  private session: Session | undefined;
  private ended: Promise<void> = Promise.resolve();
  private awaken: (() => void) | undefined;
  private waitsForConsent = false;
  private failures = 0; // in a row
  private voids = 0; // refusals of the credentials in a row
  private turn = 0; // of the addresses
  private other: string | undefined; // the server to go to instead

  constructor(private readonly d: Device) {}

  begin(): void {
    this.ended = this.run()
      .catch((error: unknown) => this.d.trouble(error))
      .then(() => {
        this.over = true;
      });
  }

  /** Ends it; fulfilled when nothing runs any more but a handler of the program that takes its time. */
  stop(): Promise<void> {
    this.stopping = true;
    this.session?.leave();
    this.awaken?.();
    return this.ended;
  }

  /** There may be something to do or to send. */
  changed(): void {
    if (this.waitsForConsent) this.awaken?.();
    this.session?.sendDue();
  }

  hurry(): void {
    if (!this.waitsForConsent) this.awaken?.();
  }

  /** The identity is gone. */
  reset(): void {
    this.session?.fail(new ResetError("the registration was ended"));
    this.awaken?.();
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      const delay = await this.step();
      if (delay === undefined) {
        this.over = true; // before the program hears of it and starts again
        this.d.emit({ kind: "taken_over" });
        return;
      }
      if (delay > 0 && !this.stopping) await this.pause(delay * this.d.o.scale);
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.awaken = undefined;
        resolve();
      };
      const timer = ms === Infinity ? undefined : setTimeout(done, ms);
      this.awaken = done;
    });
  }

  /** Does the next thing; how long to wait after it in milliseconds, undefined: the life is over. */
  private async step(): Promise<number | undefined> {
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

  private async attempt(work: () => Promise<void>): Promise<number> {
    try {
      await work();
      return 0;
    } catch (error) {
      return this.after(error);
    }
  }

  private async connect(registrationID: string): Promise<number | undefined> {
    const d = this.d;
    const addresses = this.usable(d.state.identity.mqtt ?? []);
    if (addresses.length === 0) {
      await forget(d, registrationID);
      return this.after(new RefusedError("connect", 0, "the server told no address this SDK can use"));
    }
    const address = this.other ?? addresses[this.turn % addresses.length]!;
    this.other = undefined;
    const s = new Session(d, registrationID);
    this.session = s;
    const { lasted, why } = await s.run(address);
    this.session = undefined;
    if (lasted > 0) this.voids = 0;
    else this.turn++;
    if (lasted >= settled * d.o.scale) this.failures = 0;
    if (this.stopping || why instanceof ResetError) return 0;
    if (why instanceof DisconnectError) {
      if (why.answer.code === code.takenOver) return undefined;
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
  private usable(addresses: string[]): string[] {
    const schemes = this.d.o.on.transports.flatMap((t) => t.schemes);
    const known = addresses.filter((a) => schemes.includes(schemeOf(a)));
    const preferred = known.filter((a) => (/^wss?$/.test(schemeOf(a)) ? "ws" : "tcp") === this.d.o.transport);
    return preferred.length > 0 ? preferred : known;
  }

  /** How long to wait after an error, milliseconds. */
  private after(error: unknown): number {
    if (this.stopping) return 0;
    if (error instanceof RefusedError && (error.what === "register" || error.code === code.notAuthorized || error.code === 0)) {
      this.d.emit({ kind: "refused", what: error.what, code: error.code, reason: error.reason });
      this.failures++;
      return longBackoff(this.d.o.random());
    }
    this.d.trouble(error);
    return this.failed(error instanceof LaterError ? error.after : 0);
  }

  private failed(retryAfter: number): number {
    this.failures++;
    return backoff(this.failures, this.d.o.random(), retryAfter);
  }
}

export const schemeOf = (address: string): string => /^([a-z]+):\/\//.exec(address)?.[1] ?? "";

/** The address that a server's reference ("host:port") means for a device that used from. */
export function moved(from: string, reference: string | undefined): string | undefined {
  if (!reference || /[/ @]/.test(reference)) return undefined;
  return from.replace(/^([a-z]+:\/\/)[^/]*/, `$1${reference}`);
}
