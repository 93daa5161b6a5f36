import type { Silence } from "./message.js";
import type { Consent, Profile, Token } from "./profile.js";
import type { Storage } from "./storage.js";

/** Bounds of what is kept. */
export const maxSeen = 500;
export const maxReceipts = 1000;
export const batchSize = 100;
export const maxTags = 1000; // in one pending change
export const maxMembers = 64; // attributes, token channels

/** Who the device is. It is empty before consent. */
export interface Identity {
  consent?: Consent;
  install_id?: string;
  registration_id?: string;
  secret?: string;
  mqtt?: string[];
  /** Seconds. */
  keep_alive?: number;
  /** The last registration id, also after it became void. */
  known?: string;
  /** The server's clock minus the device's, milliseconds. */
  offset?: number;
  /** The identity whose end the server has not heard of. */
  ending?: Credentials;
}

export interface Credentials {
  registration_id: string;
  secret: string;
}

/** What the program said of the device. */
export interface Words {
  /** All of it, for a new registration. */
  said: Profile;
  /** What the server has not acknowledged. */
  pending: Profile;
  tokens: Record<string, Token>;
  pending_tokens: Record<string, Token>;
  off: boolean;
  silence: Silence | null;
}

/** What happened to a message, as topic up/events takes it. */
export interface Receipt {
  id: string;
  event: "displayed" | "clicked" | "dismissed";
  at: number;
}

/** Messages that need not be shown any more, the oldest first. */
export interface Seen {
  /** "type/id" of those that were handed over, or never will be. */
  messages: string[];
  /** Ids that were withdrawn or overridden. */
  gone: string[];
}

export const noWords = (): Words => ({ said: {}, pending: {}, tokens: {}, pending_tokens: {}, off: false, silence: null });

/** Names of the documents. */
export const documents = ["identity", "profile", "receipts", "seen"] as const;

/** Everything a device remembers, and its way into the storage. */
export class State {
  identity: Identity = {};
  words: Words = noWords();
  receipts: Receipt[] = [];
  seen: Seen = { messages: [], gone: [] };
  /** What of the profile is under way to the server, and still to be kept. */
  flying: Profile | undefined;
  private last: Promise<void> = Promise.resolve();

  constructor(private readonly storage: Storage) {}

  async load(): Promise<void> {
    const read = async <T>(name: string, otherwise: T): Promise<T> => {
      const text = await this.storage.get(name);
      return text ? (JSON.parse(text) as T) : otherwise;
    };
    this.identity = await read("identity", {});
    this.words = { ...noWords(), ...(await read("profile", {})) };
    this.receipts = await read("receipts", []);
    this.seen = await read("seen", this.seen);
  }

  /** Stores a document as it is when its turn comes; fulfilled when it is stored. */
  save(name: (typeof documents)[number], merged?: () => unknown): Promise<void> {
    return this.turn(() => this.storage.put(name, JSON.stringify(merged ? merged() : this.document(name))));
  }

  remove(name: (typeof documents)[number]): Promise<void> {
    return this.turn(() => this.storage.remove(name));
  }

  /** One access after the other, in the order they were asked for. */
  private turn(work: () => Promise<void>): Promise<void> {
    const done = this.last.then(work);
    this.last = done.catch(() => undefined);
    return done;
  }

  private document(name: (typeof documents)[number]): unknown {
    return { identity: this.identity, profile: this.words, receipts: this.receipts, seen: this.seen }[name];
  }
}

/** list with v at its end, without the oldest beyond limit. */
export const bounded = (list: string[], v: string, limit: number): string[] => [...list, v].slice(-limit);
